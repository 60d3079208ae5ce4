//! Starts a process.

#[cfg(target_arch = "x86_64")]
mod cloned;
mod plain;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;

use super::cgroup::Cgroup;

/// A process that runs, the leader of its group.
#[derive(Debug)]
pub struct Child {
    /// Its number, and that of its group.
    pub pid: Pid,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
}

/// All that a process needs.
#[derive(Debug)]
pub struct Ready<'a> {
    /// The file to run.
    pub program: &'a Path,
    /// Its arguments, with its name.
    pub argv: &'a [String],
    /// All of its environment.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// Its working directory.
    pub cwd: &'a Path,
    /// What it reads.
    pub stdin: OwnedFd,
    /// Where it prints.
    pub stdout: OwnedFd,
    /// Where it prints onto standard error, if that is somewhere else.
    pub stderr: Option<OwnedFd>,
    /// Where it is put before it runs, if that is possible.
    pub cgroup: Option<&'a Cgroup>,
    /// How many descriptors it may have, if this process may have more.
    pub descriptors: Option<Descriptors>,
}

impl Ready<'_> {
    fn stderr(&self) -> &OwnedFd {
        self.stderr.as_ref().unwrap_or(&self.stdout)
    }
}

/// A limit of descriptors: that which warns, and that which cannot be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    pub soft: u64,
    pub hard: u64,
}

/// How processes are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the standard library, which uses `posix_spawn`: not into a cgroup.
    Plain,
    /// By `clone3`: they die with the shim.
    #[cfg(target_arch = "x86_64")]
    Clone,
}

impl Way {
    /// The best that this machine has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if super::sys::clone::is_there() {
            return Self::Clone;
        }
        Self::Plain
    }

    /// Whether processes begin in a cgroup.
    pub fn has_cgroups(self) -> bool {
        self != Self::Plain
    }
}

/// How often a program is tried that somebody has open for writing: a script that was just written
/// is inherited, for a moment, by whatever else starts.
const BUSY_TRIES: u32 = 8;

/// Starts it.
pub fn start(ready: &Ready<'_>, way: Way) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        let started = match way {
            Way::Plain => plain::start(ready),
            #[cfg(target_arch = "x86_64")]
            Way::Clone => cloned::start(ready),
        };
        match started {
            Err(error) if is_busy(&error) && tries < BUSY_TRIES => {
                thread::sleep(Duration::from_millis(1 << tries.min(4)));
                tries += 1;
            }
            other => return other,
        }
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::TXTBSY.raw_os_error())
}
