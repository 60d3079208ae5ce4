//! Delay and loss: packets take a detour through this process.
//!
//! One thread takes the packets that the router sends into the detour, holds
//! them as long as their line demands, and gives them back, upon which they are
//! routed on to their host. The kernel splits what segmentation offload has
//! joined before it hands packets over, so that loss strikes single packets of
//! TCP and UDP alike.

mod delay_line;
mod detour;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::LabError;
use crate::cables::Direction;
use crate::lab::lock;
use crate::namespace::Namespace;
use delay_line::DelayLines;
use detour::{Detour, FRAME_BYTES};
pub(crate) use detour::{MARK, NEAR};

/// Packets read before due ones are written again.
const BATCH: usize = 64;

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
    /// Packets dropped since 16 MiB of that direction were already under way,
    /// or since the kernel had no room for them on their way out.
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
    /// Creates the detour and its thread.
    pub(crate) fn start(router: &Namespace) -> Result<Self, LabError> {
        let detour = Detour::open(router)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(io::Error::from);
        let stop = Arc::new(stop.map_err(LabError::step("create an event for the shaper"))?);
        let lines = Arc::new(Mutex::new(DelayLines::default()));
        let driver = Driver { detour, stop: Arc::clone(&stop), lines: Arc::clone(&lines) };
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

    /// How many packets the router sent into the detour and the thread has not read.
    pub(crate) fn unseen(&self, router: &Namespace) -> io::Result<u64> {
        let seen = lock(&self.lines).seen();
        Ok(detour::sent(router)?.saturating_sub(seen))
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

/// What the thread works with.
struct Driver {
    detour: Detour,
    stop: Arc<OwnedFd>,
    lines: Arc<Mutex<DelayLines>>,
}

impl Driver {
    fn run(self) {
        let mut frame = [0; FRAME_BYTES];
        while self.wait() {
            self.take_in(&mut frame);
            self.let_out();
        }
    }

    /// Waits for a packet to come or to become due; `false` means stop.
    fn wait(&self) -> bool {
        let due = lock(&self.lines).next_due();
        let timeout = due.map(|due| timespec(due.saturating_duration_since(Instant::now())));
        let stop = PollFd::new(&*self.stop, PollFlags::IN);
        let mut events = [self.detour.readable(), stop];
        // An interrupted wait is as good as one that timed out.
        let _ = poll(&mut events, timeout.as_ref());
        events[1].revents().is_empty()
    }

    fn take_in(&self, frame: &mut [u8; FRAME_BYTES]) {
        for _ in 0..BATCH {
            let Some(length) = self.detour.read(frame) else { return };
            lock(&self.lines).admit(Instant::now(), &frame[..length]);
        }
    }

    fn let_out(&self) {
        let now = Instant::now();
        loop {
            // Locked until it is counted, so that whoever receives the packet
            // finds it counted.
            let mut lines = lock(&self.lines);
            let Some((direction, frame)) = lines.release(now) else { return };
            let written = self.detour.write(&frame);
            lines.count(direction, written);
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
