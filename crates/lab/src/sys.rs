//! All unsafe code of this crate: system calls without a safe wrapper.
#![expect(unsafe_code, reason = "the audited module for it")]

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::ioctl::{self, Updater};
use rustix::net::AddressFamily;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread into a new, empty network namespace.
pub(crate) fn unshare_network() -> io::Result<()> {
    // SAFETY: `unshare` is unsafe for flags that split memory or descriptors
    // between threads; the network namespace is no memory.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// Has the kernel kill the command's process when the *thread* that starts it ends.
pub(crate) fn die_with_the_thread(command: &mut Command) -> &mut Command {
    let hook = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec the hook makes one system call and
    // touches neither the heap nor a lock.
    unsafe { command.pre_exec(hook) }
}

/// `struct ifreq` of `<linux/if.h>`: the interface's name, then a union of 24
/// bytes, here a pointer to the command that it shall carry out.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME_BYTES],
    command: *mut ChecksumCommand,
    rest: [u8; 24 - size_of::<*mut ChecksumCommand>()],
}

/// `struct ethtool_value` of `<linux/ethtool.h>`.
#[repr(C)]
struct ChecksumCommand {
    command: u32,
    value: u32,
}

/// IFNAMSIZ of `<linux/if.h>`.
const NAME_BYTES: usize = 16;
/// SIOCETHTOOL of `<linux/sockios.h>`.
const SIOCETHTOOL: ioctl::Opcode = 0x8946;
/// `ETHTOOL_STXCSUM` of `<linux/ethtool.h>`: set the offload of checksums.
const ETHTOOL_STXCSUM: u32 = 0x17;

/// Has the kernel finish every packet, checksum and segmentation included,
/// before it hands it to the interface. `name` has at most 15 bytes.
pub(crate) fn end_offload(socket: &OwnedFd, name: &str) -> io::Result<()> {
    let mut command = ChecksumCommand { command: ETHTOOL_STXCSUM, value: 0 };
    let mut request =
        InterfaceRequest { name: [0; NAME_BYTES], command: &raw mut command, rest: [0; _] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: SIOCETHTOOL reads and writes one `struct ifreq` and, for this
    // command, the `struct ethtool_value` that it points to; both outlive the
    // call, and nothing else uses them meanwhile.
    Ok(unsafe {
        ioctl::ioctl(socket, Updater::<SIOCETHTOOL, InterfaceRequest>::new(&mut request))
    }?)
}

/// `struct sockaddr_ll` of `<linux/if_packet.h>`: all frames of one interface.
#[repr(C)]
pub(crate) struct InterfaceAddress {
    family: u16,
    protocol: u16,
    index: i32,
    /// Hardware type, packet type and address, none of which bind(2) reads.
    rest: [u8; 12],
}

/// The size of `struct sockaddr_ll`.
const ADDRESS_BYTES: SocketAddrLen = 20;
const _: () = assert!(size_of::<InterfaceAddress>() == ADDRESS_BYTES as usize);

/// `ETH_P_ALL` of `<linux/if_ether.h>`.
const ETH_P_ALL: u16 = 3;

impl InterfaceAddress {
    /// The address of the interface with this index.
    pub(crate) fn new(index: u32) -> Self {
        Self {
            family: AddressFamily::PACKET.as_raw(),
            protocol: ETH_P_ALL.to_be(),
            index: index.cast_signed(),
            rest: [0; 12],
        }
    }
}

// SAFETY: the pointer and the length are those of a whole `struct sockaddr_ll`
// that is borrowed for the call.
unsafe impl SocketAddrArg for InterfaceAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        call: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        call((&raw const *self).cast(), ADDRESS_BYTES)
    }
}
