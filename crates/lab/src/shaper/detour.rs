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

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netdevice, socket_with};

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

/// The far end.
#[derive(Debug)]
pub(super) struct Detour {
    socket: OwnedFd,
}

impl Detour {
    /// Builds the pair and the route into it.
    pub(super) fn open(router: &Namespace) -> Result<Self, LabError> {
        Tool::Ip.run(router, &pair())?;
        let socket = router.enter(listen).map_err(Unavailable::NoPacketSocket)?;
        for tool in [Tool::Ip, Tool::Ip6] {
            tool.run(router, &route())?;
        }
        Ok(Self { socket })
    }

    /// The next frame's length, or `None` if none is waiting.
    pub(super) fn read(&self, frame: &mut [u8]) -> Option<usize> {
        rustix::io::read(&self.socket, frame).ok()
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

/// Opens the far end in the calling thread's namespace.
fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
    sys::end_offload(&socket, NEAR)?;
    set_socket_recv_buffer_size_force(&socket, SOCKET_BYTES)
        .or_else(|_| set_socket_recv_buffer_size(&socket, SOCKET_BYTES))?;
    let index = netdevice::name_to_index(&socket, FAR)?;
    bind(&socket, &InterfaceAddress::new(index))?;
    Ok(socket)
}

/// Without ARP each frame is addressed to the near end itself: the far end's
/// kernel ignores it, and written back it is accepted.
fn pair() -> String {
    format!(
        "link add {NEAR} type veth peer name {FAR}\n\
         link set {NEAR} addrgenmode none\n\
         link set {FAR} addrgenmode none\n\
         link set {NEAR} arp off up\n\
         link set {FAR} arp off up\n"
    )
}

/// Sends marked packets into the near end, for one family of addresses.
fn route() -> String {
    format!(
        "rule add fwmark {MARK} lookup {MARK}\n\
         route add default dev {NEAR} table {MARK}\n"
    )
}
