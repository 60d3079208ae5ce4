//! The process of a node: one that was started here, or one that was found.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use dx_agents::NodeId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// A process.
#[derive(Debug)]
pub enum Process {
    /// A child, by whose end much is known.
    Child(Child),
    /// Somebody else's child: only that it ended is known.
    Found {
        /// Its number.
        pid: u32,
        /// What signals are sent to: never another process of the same number.
        fd: Arc<OwnedFd>,
        /// Sent when it has ended.
        ended: oneshot::Receiver<()>,
    },
}

/// How a node's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It returned this code.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
    /// It ended in good order. More is not known of a process that was taken over.
    InOrder,
    /// It ended in no good order.
    Gone,
}

/// The code by which a node says that starting it again cannot help.
const LASTING: i32 = 2;

/// The code by which it says that Ctrl-C ended it.
const INTERRUPTED: i32 = 130;

impl How {
    /// Whether it ended because it was told to.
    #[must_use]
    pub fn was_told(&self) -> bool {
        matches!(self, Self::Exited(0 | INTERRUPTED) | Self::InOrder)
    }

    /// Whether it was killed: by a signal, or in a way that nobody saw.
    #[must_use]
    pub fn was_killed(&self) -> bool {
        matches!(self, Self::Killed(_) | Self::Gone)
    }

    /// Whether it ended by the signal that asks for it.
    pub(super) fn is_by_request(self) -> bool {
        self == Self::Killed(Signal::TERM.as_raw())
    }

    /// Whether starting it again cannot help.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        *self == Self::Exited(LASTING)
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            how if how.was_told() => f.write_str("stopped"),
            Self::Exited(code) => write!(f, "ended with exit code {code}"),
            Self::Killed(signal) => match Signal::from_named_raw(*signal) {
                Some(signal) => write!(f, "was killed by SIG{}", name(signal)),
                None => write!(f, "was killed by signal {signal}"),
            },
            Self::InOrder | Self::Gone => f.write_str("ended, and nobody saw how"),
        }
    }
}

/// `KILL` for SIGKILL.
fn name(signal: Signal) -> String {
    let shown = format!("{signal:?}");
    shown.trim_matches('"').trim_start_matches("Signal::").to_owned()
}

impl From<ExitStatus> for How {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed(signal),
            (None, None) => Self::Gone,
        }
    }
}

impl Process {
    /// Starts node `id` of the cluster `configuration` as a process of this same program. It
    /// appends what it prints to the file `log`.
    pub async fn start(id: NodeId, configuration: &[u8], log: &Path) -> io::Result<Self> {
        let out = File::options().append(true).open(log)?;
        let mut command = Command::new(PROGRAM);
        command
            .arg0(std::env::args_os().next().unwrap_or_else(|| "dx".into()))
            .args(["node", "--from-stdin", "--id", &id.0.to_string()])
            .stdin(Stdio::piped())
            .stderr(out.try_clone()?)
            .stdout(out)
            // Ctrl-C at the terminal is for whoever watches, which then stops the nodes.
            .process_group(0);
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().expect("it is a pipe");
        // One that ends before it has read everything says why in its log.
        let _ = stdin.write_all(configuration).await;
        Ok(Self::Child(child))
    }

    /// Takes over the process `pid`.
    pub fn find(pid: u32) -> io::Result<Self> {
        let process = number(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let fd = Arc::new(pidfd_open(process, PidfdFlags::empty())?);
        let (has_ended, ended) = oneshot::channel();
        let watched = Arc::clone(&fd);
        thread::Builder::new().spawn(move || {
            let mut fds = [PollFd::new(&watched, PollFlags::IN)];
            // Interrupted, it waits on; nothing else can fail here.
            while poll(&mut fds, None) == Err(Errno::INTR) {}
            // Nobody waits any more where nodes are left to themselves.
            let _ = has_ended.send(());
        })?;
        Ok(Self::Found { pid, fd, ended })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        match self {
            // It is reaped when it was waited for, which is the end of this value.
            Self::Child(child) => child.id().unwrap_or_default(),
            Self::Found { pid, .. } => *pid,
        }
    }

    /// Waits for its end. A node that ended in good order has removed its control socket.
    /// Cancel-safe.
    pub async fn wait(&mut self, control_socket: &Path) -> How {
        match self {
            Self::Child(child) => child.wait().await.map_or(How::Gone, How::from),
            Self::Found { ended, .. } => {
                // The thread sends before it ends.
                let _ = ended.await;
                let is_left = fs::symlink_metadata(control_socket).is_ok();
                if is_left { How::Gone } else { How::InOrder }
            }
        }
    }

    /// Asks it to stop, or makes it.
    pub fn stop(&self, now: bool) {
        let signal = if now { Signal::KILL } else { Signal::TERM };
        // One that has ended needs no signal.
        let _ = match self {
            Self::Child(child) => match child.id().and_then(number) {
                Some(group) => kill_process_group(group, signal),
                None => Ok(()),
            },
            Self::Found { fd, .. } => pidfd_send_signal(fd, signal),
        };
    }
}

fn number(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// This program, even if its file was replaced or removed since.
const PROGRAM: &str = "/proc/self/exe";
