//! Waiting for others, and only for them: time in which this process did not run does not count.
//!
//! A process that is short of processor time is late with everything, answers that lie in its
//! sockets included. Were it to give up by the clock, it would do all its work in vain and begin
//! anew, with even more to do.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// The longest time between two looks at the clock. If the second look is late, the process did
/// not run. Shorter notices shorter stalls, and costs more.
const SLICE: Duration = Duration::from_millis(100);

/// An amount of time that may be spent on waiting.
#[derive(Debug)]
pub(crate) struct Patience(Duration);

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self(limit)
    }

    /// Waits for `future` until patience runs out. Cancel-safe if `future` is.
    pub(crate) async fn wait<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            let slice = self.0.min(SLICE);
            let began = Instant::now();
            let waited = timeout(slice, &mut future).await;
            self.0 -= began.elapsed().min(slice);
            match waited {
                Ok(output) => return Some(output),
                Err(_) if self.0.is_zero() => return None,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::Notify;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_is_spent_over_all_that_is_waited_for() {
        let began = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(5));
        assert_eq!(patience.wait(tokio::time::sleep(Duration::from_secs(3))).await, Some(()));
        assert_eq!(patience.wait(pending::<()>()).await, None);
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_did_not_run_does_not_lose_patience() {
        let answer = Notify::new();
        let mut patience = Patience::new(Duration::from_secs(1));
        let stalled = async {
            for _ in 0..5 {
                tokio::task::yield_now().await;
                advance(Duration::from_secs(2)).await;
            }
            answer.notify_one();
        };
        let (answered, ()) = tokio::join!(patience.wait(answer.notified()), stalled);
        assert_eq!(answered, Some(()));
    }
}
