//! What the machine has, and how much of it is in use.

use std::fs;

use crate::processor::{Machine, Usage};

/// Reads usage; what is in use of a processor is known from two readings.
#[derive(Debug, Default)]
pub struct Meter {
    before: Vec<Ticks>,
}

/// Time of a processor, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl Meter {
    /// How much is in use since the last reading. Nothing at the first.
    pub fn read(&mut self) -> Option<Usage> {
        let now = ticks(&fs::read_to_string("/proc/stat").ok()?);
        let before = std::mem::replace(&mut self.before, now);
        if before.len() != self.before.len() {
            return None;
        }
        let mut shares = before.iter().zip(&self.before).map(|(before, now)| now.since(*before));
        let cpu = shares.next()?;
        let cores = shares.collect();
        let memory = fs::read_to_string("/proc/meminfo").ok()?;
        let bytes = |key| bytes(&memory, key).unwrap_or(0);
        let (total, swap) = (bytes("MemTotal"), bytes("SwapTotal"));
        Some(Usage {
            cpu,
            cores,
            memory: (total.saturating_sub(bytes("MemAvailable")), total),
            swap: (swap.saturating_sub(bytes("SwapFree")), swap),
            gpus: Vec::new(),
        })
    }
}

/// What this machine has.
pub fn machine() -> Machine {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gpus = fs::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count);
    Machine {
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX).saturating_mul(1000),
        memory: bytes(&memory, "MemTotal").unwrap_or(0),
        gpus: u32::try_from(gpus).unwrap_or(u32::MAX),
    }
}

impl Ticks {
    fn since(self, before: Self) -> f32 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 { 0.0 } else { self.busy.saturating_sub(before.busy) as f32 / all as f32 }
    }
}

/// Of all processors together, and then of each.
fn ticks(stat: &str) -> Vec<Ticks> {
    let lines = stat.lines().take_while(|line| line.starts_with("cpu"));
    let ticks = lines.map(|line| {
        // user nice system idle iowait irq softirq steal; guests are in user.
        let times: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|it| it.parse().ok()).collect();
        let all: u64 = times.iter().sum();
        let idle: u64 = times.iter().skip(3).take(2).sum();
        Ticks { busy: all - idle, all }
    });
    ticks.collect()
}

fn bytes(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_idle_or_waits_for_disks_is_not_in_use() {
        let before = ticks("cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 1 0 1 8 0 0 0 0 0 0\nintr 5\n");
        let now = ticks("cpu  20 0 20 120 40 0 0 0 5 5\ncpu0 1 0 1 8 0 0 0 0 0 0\nintr 9\n");
        assert_eq!(before.len(), 2);
        assert!((now[0].since(before[0]) - 0.2).abs() < 1e-6);
        assert!(now[1].since(before[1]).abs() < 1e-6);
    }

    #[test]
    fn sizes_are_read_by_their_whole_name() {
        let text = "MemTotal:       100 kB\nMemTotalX: 5 kB\nSwapFree: 7 kB\n";
        assert_eq!(bytes(text, "MemTotal"), Some(102_400));
        assert_eq!(bytes(text, "Swap"), None);
    }

    #[test]
    fn this_machine_has_processors_and_memory() {
        let machine = machine();
        assert!(machine.cpus >= 1000 && machine.memory > 1 << 20, "{machine:?}");
        let mut meter = Meter::default();
        assert_eq!(meter.read(), None);
        let usage = meter.read().unwrap();
        assert_eq!(usage.cores.len() as u32 * 1000, machine.cpus);
    }
}
