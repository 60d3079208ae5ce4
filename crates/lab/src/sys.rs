//! All unsafe code of this crate: three system calls without a safe wrapper.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::ioctl::{self, Updater};
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

/// `struct ifreq` of `<linux/if.h>` as TUNSETIFF reads and writes it: the name,
/// then a union of 24 bytes whose first two are the flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// TUNSETIFF of `<linux/if_tun.h>`: `_IOW('T', 202, int)`.
const TUNSETIFF: ioctl::Opcode = ioctl::opcode::write::<i32>(b'T', 202);
const IFF_TUN: u16 = 0x0001;
const IFF_NO_PI: u16 = 0x1000;

/// Makes `device`, an open /dev/net/tun, the far end of a new interface that
/// hands over and takes bare IP packets.
pub(crate) fn attach_tun(device: &File, name: &str) -> io::Result<()> {
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq` of 40 bytes, which
    // `request` is and which outlives the call.
    Ok(unsafe { ioctl::ioctl(device, Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request)) }?)
}
