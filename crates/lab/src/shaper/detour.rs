//! The detour: a veth pair inside the router whose far end is this process.
//!
//! Marked packets are routed into the near end and come out at the far end,
//! which has no address, so that the kernel does not take them itself. A packet
//! socket reads the frames there, and writes them back unchanged. This needs no
//! more rights than the rest of the lab, unlike a TUN interface, and it sees
//! single packets, unlike netem, which loses up to 64 KiB of a TCP stream at once
//! where segmentation offload has joined its packets.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_error,
};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netdevice, recv, socket_with,
};

use crate::namespace::Namespace;
use crate::sys::{self, InterfaceAddress};
use crate::tool::Tool;
use crate::{LabError, Unavailable};

/// The end by which packets leave the router's routing and come back to it.
pub(crate) const NEAR: &str = "shaper";
/// The end that the shaper holds.
const FAR: &str = "shaper-far";
/// The mark of packets that are to take the detour, and its routing table.
pub(crate) const MARK: u32 = 77;
/// What the kernel holds for the shaper while the machine is busy; a packet
/// occupies about 2 KiB, so this is 0.4 s at 20,000 packets a second. Without
/// root the kernel grants `net.core.rmem_max` only.
const SOCKET_BYTES: usize = 16 << 20;
/// An Ethernet header without tags, which veth never adds.
pub(super) const HEADER_BYTES: usize = 14;
/// The longest frame.
pub(super) const FRAME_BYTES: usize = HEADER_BYTES + 1500;
/// The shortest frame of Ethernet.
const PROBE_BYTES: usize = 60;
/// How often the new detour is tried before it is given up: for 20 s, since the
/// kernel puts the work off by up to a second and a busy machine by more.
const PROBES: u32 = 2_000;
/// How long each try waits for its frame.
const PROBE_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// The far end.
#[derive(Debug)]
pub(super) struct Detour {
    socket: OwnedFd,
}

impl Detour {
    /// Builds the pair and the route into it.
    pub(super) fn open(router: &Namespace) -> Result<Self, LabError> {
        Tool::Ip.run(router, &pair())?;
        // Else the far end would speak for itself, and be read as if it had come.
        router.set("/proc/sys/net/ipv6/conf/shaper-far/disable_ipv6", "1")?;
        let socket = router.enter(grasp).map_err(Unavailable::NoPacketSocket)?;
        Tool::Ip.run(router, &ends_up())?;
        await_detour(router, &socket).map_err(LabError::step("get a packet to the shaper"))?;
        for tool in [Tool::Ip, Tool::Ip6] {
            tool.run(router, &route())?;
        }
        Ok(Self { socket })
    }

    /// The next frame's length, or `None` if none is waiting.
    ///
    /// # Panics
    /// On a frame that is longer than [`FRAME_BYTES`]: were several packets
    /// joined in one, loss would strike them all.
    pub(super) fn read(&self, buffer: &mut [u8; FRAME_BYTES]) -> Option<usize> {
        // With TRUNC the kernel tells the frame's length, not the part it copied.
        let (_, length) = recv(&self.socket, &mut buffer[..], RecvFlags::TRUNC).ok()?;
        assert!(length <= FRAME_BYTES, "the kernel joins packets though offload has ended");
        Some(length)
    }

    /// Sends a frame back to the router; `false` if the kernel has no room.
    pub(super) fn write(&self, frame: &[u8]) -> bool {
        loop {
            match rustix::io::write(&self.socket, frame) {
                Err(Errno::INTR) => (),
                outcome => return outcome.is_ok(),
            }
        }
    }

    /// The wait for the next frame.
    pub(super) fn readable(&self) -> PollFd<'_> {
        PollFd::new(&self.socket, PollFlags::IN)
    }
}

/// How many packets the router has sent into the detour.
pub(super) fn sent(router: &Namespace) -> io::Result<u64> {
    let devices = router.enter(|| fs::read_to_string("/proc/thread-self/net/dev"))?;
    let near = devices.lines().find_map(|line| line.trim().strip_prefix("shaper:"));
    // Eight columns of what was received, then bytes and packets sent.
    let packets = near.and_then(|columns| columns.split_whitespace().nth(9)?.parse().ok());
    packets.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Takes hold of the far end before anything can come through.
fn grasp() -> io::Result<OwnedFd> {
    let far = listen(FAR)?;
    sys::end_offload(&far, NEAR)?;
    // Binding to an end that is still down leaves an error behind, which the
    // next wait would take for a frame; reading it clears it.
    let _down = socket_error(&far)?;
    Ok(far)
}

/// A socket for the frames of one end, in the calling thread's namespace.
fn listen(end: &str) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
    set_socket_recv_buffer_size_force(&socket, SOCKET_BYTES)
        .or_else(|_| set_socket_recv_buffer_size(&socket, SOCKET_BYTES))?;
    let index = netdevice::name_to_index(&socket, end)?;
    bind(&socket, &InterfaceAddress::new(index))?;
    Ok(socket)
}

/// Sends frames into the near end until one arrives. The kernel activates the
/// end that came up first some time after the other, and loses silently what
/// is sent before. What has arrived is left to be read.
fn await_detour(router: &Namespace, far: &OwnedFd) -> io::Result<()> {
    let near = router.enter(|| listen(NEAR))?;
    for _ in 0..PROBES {
        // Lost or refused, the next one follows.
        let _ = rustix::io::write(&near, &[0; PROBE_BYTES]);
        if poll(&mut [PollFd::new(far, PollFlags::IN)], Some(&PROBE_INTERVAL))? > 0 {
            return Ok(());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Without ARP each frame is addressed to the near end itself: the far end's
/// kernel ignores it, and written back it is accepted.
fn pair() -> String {
    format!(
        "link add {NEAR} type veth peer name {FAR}\n\
         link set {NEAR} addrgenmode none\n\
         link set {FAR} addrgenmode none\n\
         link set {NEAR} arp off\n\
         link set {FAR} arp off\n"
    )
}

/// The far end comes up last, so that it is active at once.
fn ends_up() -> String {
    format!("link set {NEAR} up\nlink set {FAR} up\n")
}

/// Sends marked packets into the near end, for one family of addresses.
fn route() -> String {
    format!(
        "rule add fwmark {MARK} lookup {MARK}\n\
         route add default dev {NEAR} table {MARK}\n"
    )
}
