//! Processes that outlive the lab which started them, found and killed.
//!
//! Direct children die with the lab by the kernel's hand. Their own children
//! need not: those are found by the namespace that they live in while the lab
//! still exists, and by a mark in their environment once it is gone.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The environment variable that marks all processes started on a lab's hosts.
pub(crate) const OWNER: &str = "DX_LAB_OWNER";

/// A process that forks while it is hunted is caught in the next round; one
/// that outruns so many is left, and keeps its namespace.
const ROUNDS: usize = 16;

/// This process as [`OWNER`] names it: its PID namespace, its id there, and its
/// start time in ticks, since ids are used again.
pub(crate) fn owner() -> String {
    let space = pid_namespace(Path::new("/proc/self")).unwrap_or_default();
    let pid = std::process::id();
    format!("{space}:{pid}:{}", start_time(pid).unwrap_or_default())
}

/// Kills every process in these network namespaces, except this one.
pub(crate) fn clear(namespaces: &[u64]) {
    hunt(|process| {
        fs::metadata(process.join("ns/net")).is_ok_and(|found| namespaces.contains(&found.ino()))
    });
}

/// Kills every process whose lab is gone without having cleaned up.
pub(crate) fn sweep() {
    hunt(is_orphan);
}

/// Kills whatever `is_prey` until nothing is.
fn hunt(is_prey: impl Fn(&Path) -> bool) {
    for _ in 0..ROUNDS {
        let found = processes().filter(|pid| kill_if(*pid, &is_prey)).count();
        if found == 0 {
            return;
        }
    }
}

/// All processes but this one; none where /proc cannot be read.
fn processes() -> impl Iterator<Item = Pid> {
    let own = std::process::id().cast_signed();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
        .filter_map(Pid::from_raw)
}

/// Kills the process and waits for its end, if it is prey. It is looked at
/// after its descriptor is open, so another process cannot take its id meanwhile.
fn kill_if(pid: Pid, is_prey: impl Fn(&Path) -> bool) -> bool {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let path = format!("/proc/{pid}");
    if !is_prey(Path::new(&path)) || pidfd_send_signal(&process, Signal::KILL).is_err() {
        return false;
    }
    // The descriptor becomes readable when the process has ended.
    poll(&mut [PollFd::new(&process, PollFlags::IN)], None).is_ok()
}

fn is_orphan(process: &Path) -> bool {
    let Ok(environment) = fs::read(process.join("environ")) else { return false };
    let prefix = format!("{OWNER}=");
    environment
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix(&prefix))
        .any(|owner| is_dead(owner).unwrap_or(false))
}

/// Whether a lab's process has ended; `None` if that cannot be seen from here,
/// as in another PID namespace.
fn is_dead(owner: &str) -> Option<bool> {
    let mut parts = owner.split(':');
    let space: u64 = parts.next()?.parse().ok()?;
    let pid: u32 = parts.next()?.parse().ok()?;
    let started: u64 = parts.next()?.parse().ok()?;
    if space != pid_namespace(Path::new("/proc/self")).ok()? {
        return None;
    }
    Some(start_time(pid) != Some(started))
}

fn pid_namespace(process: &Path) -> io::Result<u64> {
    Ok(fs::metadata(process.join("ns/pid"))?.ino())
}

/// When a process started, in ticks since boot; `None` if there is none.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name and may hold anything, brackets
    // too; the start time is the 22nd field, the 20th after the name.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
