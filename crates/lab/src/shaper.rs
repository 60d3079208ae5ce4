//! Delay and loss: packets take a detour through this process.
//!
//! The router sends marked packets into a TUN interface. One thread reads
//! them, holds them as long as their line demands, and writes them back, upon
//! which they are routed on to their host. The kernel splits what segmentation
//! offload has joined before it hands packets over, so that loss strikes single
//! packets of TCP and UDP alike.

mod delay_line;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::OFlags;

use crate::cables::Direction;
use crate::lab::lock;
use crate::namespace::Namespace;
use crate::tool::Tool;
use crate::{LabError, Unavailable, sys};
use delay_line::DelayLines;

/// The interface's name in the router.
pub(crate) const DEVICE: &str = "shaper";
/// The mark of packets that are to take the detour.
pub(crate) const MARK: u32 = 77;
/// Packets that the kernel holds for the thread while the machine is busy:
/// half a second at 20,000 packets (about 200 Mbit) per second.
const KERNEL_QUEUE_PACKETS: u32 = 10_000;
/// Packets read before due ones are written again.
const BATCH: usize = 64;
/// No IP packet is longer.
const MAX_PACKET_BYTES: usize = 65_535;

/// What happens to packets on their way in one direction.
///
/// Losses are drawn per packet from `seed`: the same seed loses the same
/// packets, counted from the moment the shape is set. Order is kept; jitter
/// stretches and squeezes the distance between packets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// Added to every packet's way.
    pub delay: Duration,
    /// Each packet's delay differs by up to this much, both ways; it never
    /// falls below zero.
    pub jitter: Duration,
    /// The fraction of packets lost, from 0 to 1.
    pub loss: f64,
    /// Decides which packets are lost, and each one's jitter.
    pub seed: u64,
}

impl Shape {
    pub(crate) fn check(&self) -> Result<(), LabError> {
        if (0.0..=1.0).contains(&self.loss) { Ok(()) } else { Err(LabError::Loss(self.loss)) }
    }
}

/// What became of the packets of one direction since it was first shaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets sent on their way after their delay.
    pub delivered: u64,
    /// Packets lost by [`Shape::loss`].
    pub lost: u64,
    /// Packets dropped since 16 MiB of that direction were already under way.
    pub overflowed: u64,
}

/// The thread between the two ends of the detour.
#[derive(Debug)]
pub(crate) struct Shaper {
    lines: Arc<Mutex<DelayLines>>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Shaper {
    /// Creates the interface, the route into it, and the thread.
    pub(crate) fn start(router: &Namespace) -> Result<Self, LabError> {
        let device = router.enter(open).map_err(Unavailable::NoTun)?;
        for tool in [Tool::Ip, Tool::Ip6] {
            tool.run(router, &detour())?;
        }
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(io::Error::from);
        let stop = Arc::new(stop.map_err(LabError::step("create an event for the shaper"))?);
        let lines = Arc::new(Mutex::new(DelayLines::default()));
        let driver = Driver { device, stop: Arc::clone(&stop), lines: Arc::clone(&lines) };
        let thread = thread::Builder::new()
            .name("lab/shaper".to_owned())
            .spawn(move || driver.run())
            .map_err(LabError::step("start the shaper's thread"))?;
        Ok(Self { lines, stop, thread: Some(thread) })
    }

    /// Shapes a direction from the next packet on.
    pub(crate) fn set(&self, direction: Direction, shape: Shape) {
        lock(&self.lines).set(direction, shape);
    }

    pub(crate) fn traffic(&self, direction: Direction) -> Traffic {
        lock(&self.lines).traffic(direction)
    }
}

impl Drop for Shaper {
    fn drop(&mut self) {
        // Neither can fail on a healthy system, and dropping has no way to say so.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens the user-space end of a new interface in the calling thread's namespace.
fn open() -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let device =
        OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/net/tun")?;
    sys::attach_tun(&device, DEVICE)?;
    Ok(device)
}

/// Sends marked packets into the interface, for one family of addresses.
fn detour() -> String {
    format!(
        "link set {DEVICE} mtu 1500 txqueuelen {KERNEL_QUEUE_PACKETS} up\n\
         rule add fwmark {MARK} lookup {MARK}\n\
         route add default dev {DEVICE} table {MARK}\n"
    )
}

/// What the thread works with.
struct Driver {
    device: File,
    stop: Arc<OwnedFd>,
    lines: Arc<Mutex<DelayLines>>,
}

impl Driver {
    fn run(self) {
        let mut buffer = vec![0; MAX_PACKET_BYTES];
        while self.wait() {
            self.take_in(&mut buffer);
            self.let_out();
        }
    }

    /// Waits for a packet to come or to become due; `false` means stop.
    fn wait(&self) -> bool {
        let due = lock(&self.lines).next_due();
        let timeout = due.map(|due| timespec(due.saturating_duration_since(Instant::now())));
        let mut events =
            [PollFd::new(&self.device, PollFlags::IN), PollFd::new(&*self.stop, PollFlags::IN)];
        // An interrupted wait is as good as one that timed out.
        let _ = poll(&mut events, timeout.as_ref());
        events[1].revents().is_empty()
    }

    fn take_in(&self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            let Ok(length) = (&self.device).read(buffer) else { return };
            lock(&self.lines).admit(Instant::now(), &buffer[..length]);
        }
    }

    fn let_out(&self) {
        let now = Instant::now();
        loop {
            let Some(packet) = lock(&self.lines).release(now) else { return };
            // The interface refuses packets only while the lab is taken down.
            let _ = (&self.device).write(&packet);
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
