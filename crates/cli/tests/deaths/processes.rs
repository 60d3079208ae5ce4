//! Processes of this machine, as `/proc` has them.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// All processes but this one that have `text` in their arguments or environment.
pub fn having(text: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let others = pids.filter(|pid| *pid != std::process::id());
    others.filter(|pid| ["cmdline", "environ"].iter().any(|it| has(*pid, it, text))).collect()
}

/// Whether a process is this command of `dx`.
pub fn is(pid: u32, command: &str) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    arguments.split(|byte| *byte == 0).nth(1) == Some(command.as_bytes())
}

fn has(pid: u32, file: &str, text: &str) -> bool {
    // Whoever has ended meanwhile has nothing.
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Kills a process, and waits until it has ended.
pub fn kill(pid: u32) {
    let Some(process) = open(pid) else { return };
    if pidfd_send_signal(&process, Signal::KILL).is_ok() {
        wait(&process);
    }
}

/// Waits until a process has ended.
pub fn wait_for(pid: u32) {
    if let Some(process) = open(pid) {
        wait(&process);
    }
}

fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn wait(process: &OwnedFd) {
    poll(&mut [PollFd::new(process, PollFlags::IN)], None).unwrap();
}
