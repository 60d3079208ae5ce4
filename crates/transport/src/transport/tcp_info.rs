//! What the kernel knows of a TCP connection.
//!
//! All unsafe code of this crate: neither the standard library nor socket2 nor rustix has a safe
//! way to `TCP_INFO`.
#![expect(unsafe_code, reason = "the audited module for it")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;

use tokio::net::TcpStream;

use super::LinkStats;

/// The path of a connection; zeros if the kernel does not say.
pub(super) fn path(stream: &TcpStream) -> LinkStats {
    let Ok(info) = tcp_info(stream) else { return LinkStats::default() };
    LinkStats {
        rtt_us: info.tcpi_rtt.into(),
        retransmits: info.tcpi_total_retrans.into(),
        // The kernel counts it in segments.
        congestion_window: u64::from(info.tcpi_snd_cwnd) * u64::from(info.tcpi_snd_mss),
    }
}

fn tcp_info(stream: &TcpStream) -> io::Result<libc::tcp_info> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let size = size_of::<libc::tcp_info>();
    let mut len = libc::socklen_t::try_from(size).expect("a struct of some hundred bytes");
    // SAFETY: the kernel writes at most `len` bytes to `info`, which has so many, and `len` itself;
    // both outlive the call. The descriptor is open, as `stream` is borrowed.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the struct has only integers, for which all bytes will do: those that the kernel
    // wrote, and zeros where an older one writes less.
    Ok(unsafe { info.assume_init() })
}
