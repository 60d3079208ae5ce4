//! The system calls that have no safe wrapper in the crates that we use. All unsafe code of this
//! crate is in here and in `sys/`.
#![expect(unsafe_code, reason = "each block says why it is sound")]

#[cfg(target_arch = "x86_64")]
pub mod clone;
pub mod turn;

use std::io;
use std::mem::MaybeUninit;

use rustix::process::Pid;

/// What a process and all descendants that it waited for used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Nanoseconds of processor time.
    pub cpu: u64,
    /// The most bytes that one of them had resident.
    pub max_rss: u64,
}

/// Reaps a child that has ended, and says what it used. From here on its number can be another's.
pub fn reap(pid: Pid) -> io::Result<Used> {
    wait(pid, libc::WNOHANG)
}

/// Waits for a child that ends at once, and reaps it.
#[cfg(target_arch = "x86_64")]
fn reap_surely(pid: Pid) {
    while wait(pid, 0).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
}

fn wait(pid: Pid, options: libc::c_int) -> io::Result<Used> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let mut status = 0;
    // SAFETY: both places are valid for writes, and of the types that wait4 fills in.
    let reaped = unsafe {
        libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, options, usage.as_mut_ptr())
    };
    match reaped {
        -1 => return Err(io::Error::last_os_error()),
        0 => return Err(io::ErrorKind::WouldBlock.into()),
        _ => {}
    }
    // SAFETY: zeros are a valid rusage, whether or not wait4 filled it in.
    let usage = unsafe { usage.assume_init() };
    let nanos = |time: libc::timeval| {
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
            + u64::try_from(time.tv_usec).unwrap_or(0) * 1000
    };
    Ok(Used {
        cpu: nanos(usage.ru_utime) + nanos(usage.ru_stime),
        max_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    })
}
