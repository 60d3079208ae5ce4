//! Whether a task runs again after an attempt of it ended, and when.

use dx_agents::rng::Rng;

use super::apply::Blame;
use super::event::{Doom, How, Then};
use super::job::Job;
use super::rows::Row;
use crate::end::{End, Exit, Finish, TaskState};
use crate::job::{Retry, RetryOn};

/// What becomes of a task whose attempt ended so at `at`, by that fault.
pub fn after(job: &Job, row: &Row, how: &How, blame: Blame, at: u64, rng: &mut Rng) -> Then {
    let end = match how {
        How::Told(finish) => finish.end,
        How::Lost(_) => End::Lost,
    };
    if end == End::Succeeded {
        return Then::Over(TaskState::Succeeded);
    }
    if let Some(doom) = row.doom {
        return Then::Over(after_doom(doom, end));
    }
    let retry = &job.spec.retry;
    let tries = match blame {
        // It goes on elsewhere, or here once the node is used again.
        Blame::Nobody => Some(0),
        Blame::Node => {
            let faults = u32::from(row.faults) + 1;
            (faults <= retry.max_node_faults).then_some(faults - 1)
        }
        Blame::Job => {
            let counted = u32::from(row.counted) + 1;
            let finish = match how {
                How::Told(finish) => Some(&**finish),
                How::Lost(_) => None,
            };
            let is_worth_it = finish.is_some_and(|finish| is_worth_it(retry, finish));
            (counted < retry.max_attempts && is_worth_it).then_some(counted)
        }
    };
    match tries {
        None => Then::Over(end.into()),
        Some(tries) => Then::Again(at.saturating_add(wait(retry, tries, rng))),
    }
}

/// How a task ends whose attempt ended while it was to be killed.
fn after_doom(doom: Doom, end: End) -> TaskState {
    match (doom, end) {
        (Doom::Cancel, End::Lost) => TaskState::Cancelled,
        (Doom::Deadline, End::Lost | End::Cancelled) => TaskState::TimedOut,
        (Doom::Siblings, End::Lost | End::Cancelled) => TaskState::Aborted,
        _ => end.into(),
    }
}

fn is_worth_it(retry: &Retry, finish: &Finish) -> bool {
    let kind = match (finish.end, finish.exit) {
        (End::TimedOut, _) => RetryOn::Timeout,
        (End::Oom, _) => RetryOn::Oom,
        (End::Failed, Some(Exit::Code(code))) if retry.not_on_codes.contains(&code) => {
            return false;
        }
        (End::Failed, Some(Exit::Code(_))) => RetryOn::Exit,
        (End::Failed, Some(Exit::Signal(_))) => RetryOn::Signal,
        (End::Failed, None) => RetryOn::NotStarted,
        (End::Succeeded | End::Cancelled | End::Lost, _) => return false,
    };
    retry.on.contains(&kind)
}

/// The wait after the `tries`th try, in milliseconds: none after the first fault of a node, since
/// another node may do.
fn wait(retry: &Retry, tries: u32, rng: &mut Rng) -> u64 {
    let Some(doublings) = tries.checked_sub(1) else { return 0 };
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let wait = retry.backoff.millis().saturating_mul(factor).min(retry.max_backoff.millis());
    wait.saturating_add(rng.below(wait / 4 + 1))
}
