//! What a measurement costs the machine besides time.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that this process has used so far, in all threads, user and system. Both ends of a
/// pair run in this process, so a difference of two readings covers both.
#[must_use]
pub fn time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// The same of the thread that asks.
#[must_use]
pub fn thread_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// Bytes of memory that this process has resident, or `None` where the system does not say.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    resident_bytes_of(std::process::id())
}

/// The same of another process.
#[must_use]
pub fn resident_bytes_of(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_cpu_time() {
        let before = (time(), thread_time());
        assert!((0..100_000_u64).map(std::hint::black_box).sum::<u64>() > 0);
        assert!(time() > before.0 && thread_time() > before.1);
    }

    #[test]
    fn touched_memory_is_resident() {
        let before = resident_bytes().unwrap();
        let touched = std::hint::black_box(vec![1_u8; 64 * 1024 * 1024]);
        let grown = resident_bytes().unwrap() - before;
        assert!(grown >= touched.len() as u64 / 2, "{grown} bytes");
    }
}
