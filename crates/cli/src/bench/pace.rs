//! Open-loop load: messages are due at fixed times, whatever became of those before.
//!
//! Latency is counted from the time at which a message was due, not from when it was sent: if the
//! system stalls, the messages that waited for it have waited too. (Leaving that out is called
//! coordinated omission.)

use std::io;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A metronome. The runtime's own timers tick in whole milliseconds, too coarse for a thousand
/// messages per second, so it uses one of the kernel's.
pub struct Pacer {
    timer: AsyncFd<OwnedFd>,
    start: Instant,
    period: Duration,
    due: u64,
}

impl Pacer {
    /// Starts to tick, `per_second` times. Needs to be inside of a runtime.
    ///
    /// # Errors
    /// If the kernel gives no timer.
    pub fn start(per_second: u32) -> io::Result<Self> {
        let period = Duration::from_secs(1) / per_second;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        #[expect(deprecated, reason = "sound for an `OwnedFd`; its successor is unsafe to call")]
        let timer = AsyncFd::new(timer)?;
        let spec = Itimerspec { it_interval: timespec(period), it_value: timespec(period) };
        let start = Instant::now();
        timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
        Ok(Self { timer, start, period, due: 0 })
    }

    /// Waits until at least one message is due; returns the numbers of those that became due.
    ///
    /// # Errors
    /// If the timer cannot be read.
    pub async fn due(&mut self) -> io::Result<std::ops::Range<u64>> {
        let expirations = loop {
            let mut ready = self.timer.readable().await?;
            match ready.try_io(|timer| read_expirations(timer.get_ref())) {
                Ok(result) => break result?,
                Err(_would_block) => {}
            }
        };
        let first = self.due;
        self.due += expirations;
        Ok(first..self.due)
    }

    /// When message `number` is, or was, due.
    #[must_use]
    pub fn due_at(&self, number: u64) -> Instant {
        self.schedule().due_at(number)
    }

    /// The same for another task.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule { start: self.start, period: self.period }
    }
}

/// When which message is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    period: Duration,
}

impl Schedule {
    /// When message `number` is, or was, due. The first is number 0, one period after the start.
    #[must_use]
    pub fn due_at(&self, number: u64) -> Instant {
        let nanoseconds = self.period.as_nanos() * u128::from(number + 1);
        let nanoseconds = u64::try_from(nanoseconds).expect("no bench runs for 500 years");
        self.start + Duration::from_nanos(nanoseconds)
    }
}

fn read_expirations(timer: &OwnedFd) -> io::Result<u64> {
    let mut count = [0; 8];
    rustix::io::read(timer, &mut count)?;
    Ok(u64::from_ne_bytes(count))
}

fn timespec(duration: Duration) -> Timespec {
    let nanoseconds = i64::try_from(duration.as_nanos()).expect("a period is a second at most");
    Timespec { tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_due_in_order_and_never_early() {
        let mut pacer = Pacer::start(10_000).unwrap();
        let mut next = 0;
        while next < 100 {
            let due = pacer.due().await.unwrap();
            let now = Instant::now();
            assert_eq!(due.start, next);
            assert!(due.end > due.start);
            assert!(pacer.due_at(due.end - 1) <= now, "message {} came early", due.end - 1);
            next = due.end;
        }
    }

    #[test]
    fn a_stall_does_not_move_later_due_times() {
        let schedule = Schedule { start: Instant::now(), period: Duration::from_micros(100) };
        let gap = schedule.due_at(1000) - schedule.due_at(0);
        assert_eq!(gap, Duration::from_millis(100));
    }
}
