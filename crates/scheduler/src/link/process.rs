//! The process at the other end of a connection.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;

/// How long a shim may take to be gone after it was killed, or hung up: the system may have to wait
/// for a disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// A shim's process. It is known by its end that its folder is free: it hangs up before.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// Who listened where `stream` is connected to; nobody, if it has ended meanwhile.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn behind(stream: &UnixStream) -> io::Result<Option<Self>> {
        let Some(pid) = stream.peer_cred()?.pid().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => Ok(Some(Self(process))),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills it.
    ///
    /// # Errors
    /// If that is not allowed.
    pub fn kill(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.0, Signal::KILL)?)
    }

    /// Ready when it has ended.
    ///
    /// # Errors
    /// If it has not within [`PATIENCE`], or the system refuses to wait for it.
    pub async fn ended(self) -> io::Result<()> {
        spawn_blocking(move || self.wait()).await.map_err(io::Error::other)?
    }

    fn wait(&self) -> io::Result<()> {
        let patience = Timespec::try_from(PATIENCE).expect("it is short");
        loop {
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                // A signal is not what is waited for.
                Err(Errno::INTR) => {}
                other => return Ok(other.map(drop)?),
            }
        }
    }
}
