//! Finds what a task started, where it is not in a cgroup: by its process group, by a mark in its
//! environment, and by its ancestors.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal, waitid,
};

/// A process, as `/proc/PID/stat` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// In ticks since the machine's start: with the number, it names a process for good.
    pub start: u64,
    is_dead: bool,
}

/// Only what the calling thread itself is the parent of: `__WNOTHREAD` of linux/wait.h. Orphans
/// are given to the main thread; what was started belongs to the thread that started it.
const NO_OTHER_THREAD: u32 = 0x2000_0000;

/// Reaps orphans that were given to this process and have ended. To be called on its main thread.
pub fn reap_orphans() {
    let own = WaitIdOptions::from_bits_retain(NO_OTHER_THREAD);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | own;
    while let Ok(Some(_)) = waitid(WaitId::All, options) {}
}

/// Whether this process has orphans, which anything that outlives the task that started it
/// becomes. If the kernel does not say, it may.
pub fn has_orphans() -> bool {
    let pid = getpid().as_raw_nonzero();
    match fs::read(format!("/proc/self/task/{pid}/children")) {
        Ok(children) => !children.is_empty(),
        Err(_) => true,
    }
}

/// All processes of this machine that have not ended.
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(process).filter(|it| !it.is_dead).collect()
}

/// One process.
pub fn process(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    // A program's name may have any character: what follows its last bracket is ours.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?;
    let mut number = || fields.next()?.parse::<i32>().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // Fields 3 to 6 are taken; the start is the 22nd.
    let start = fields.nth(15)?.parse().ok()?;
    Some(Process { pid, parent, group, session, start, is_dead: matches!(state, "Z" | "X" | "x") })
}

/// Whether it has all of these in its environment, as it was when its program began.
pub fn has_marks(pid: i32, marks: &[&[u8]]) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
    marks.iter().all(|mark| variables.contains(mark))
}

/// Those of `all` that `is_one`, and their descendants.
pub fn family(all: &[Process], is_one: impl Fn(&Process) -> bool) -> Vec<Process> {
    let mut found: BTreeSet<i32> = all.iter().filter(|it| is_one(it)).map(|it| it.pid).collect();
    loop {
        let children = all.iter().filter(|it| found.contains(&it.parent)).map(|it| it.pid);
        let new: Vec<i32> = children.filter(|pid| !found.contains(pid)).collect();
        if new.is_empty() {
            break;
        }
        found.extend(new);
    }
    all.iter().filter(|it| found.contains(&it.pid)).copied().collect()
}

/// Kills it. What can be polled until it has ended; nothing, if it has.
pub fn kill(process: &Process) -> Option<OwnedFd> {
    let pid = Pid::from_raw(process.pid)?;
    let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // The number may have been given to another meanwhile; from here on it is held.
    let now = self::process(process.pid)?;
    if now.start != process.start || now.is_dead {
        return None;
    }
    match pidfd_send_signal(&fd, Signal::KILL) {
        Err(Errno::SRCH) => None,
        _ => Some(fd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_can_have_brackets_and_spaces() {
        let stat = "77 (a) S 1 (b)) S 5 6 7 0 -1 4194560 1 2 3 4 5 6 7 8 9 10 11 12 4242 13 14";
        let process = parse(77, stat).unwrap();
        assert_eq!((process.parent, process.group, process.session), (5, 6, 7));
        assert_eq!((process.start, process.is_dead), (4242, false));
    }

    #[test]
    fn this_process_is_among_all() {
        let own = getpid().as_raw_nonzero().get();
        assert!(all().iter().any(|it| it.pid == own));
    }

    #[test]
    fn descendants_belong_to_the_family() {
        let of =
            |pid, parent| Process { pid, parent, group: pid, session: 1, start: 1, is_dead: false };
        let all = [of(2, 1), of(3, 2), of(4, 3), of(5, 1)];
        let pids: Vec<i32> = family(&all, |it| it.pid == 2).iter().map(|it| it.pid).collect();
        assert_eq!(pids, [2, 3, 4]);
    }
}
