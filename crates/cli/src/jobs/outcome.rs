//! How a job ended: for people, and as an exit code.

use dx_scheduler::client::{JobState, JobView, TaskView};
use dx_scheduler::end::{AttemptRecord, Exit, Finish, TaskState};

/// The exit code that stands for how `job` ended: that of its only task, 128 + n if signal n
/// killed it; of several, 0 if all succeeded, else 1.
#[must_use]
pub fn exit_code(job: &JobView) -> u8 {
    let by_state = u8::from(job.state != JobState::Succeeded);
    job.exit.map_or(by_state, |code| u8::try_from(code).unwrap_or(1))
}

/// How a task that did not succeed ended, in a few words; none if it did, or has not ended.
#[must_use]
pub fn failure(task: &TaskView) -> Option<String> {
    if !task.state.is_failure() {
        return None;
    }
    let last = task.attempts.last();
    let finish = last.and_then(|attempt| attempt.record.finish.as_ref());
    let what = match (task.state, finish) {
        (TaskState::Failed, Some(finish)) => failed(finish),
        _ => task.reason.clone().unwrap_or_else(|| format!("ended as {}", word(task.state))),
    };
    let place = match last {
        Some(attempt) if attempt.record.number > 1 => {
            format!(" on {} in attempt {}", attempt.node_name, attempt.record.number)
        }
        Some(attempt) => format!(" on {}", attempt.node_name),
        None => String::new(),
    };
    Some(format!("{what}{place}"))
}

/// Whether an attempt has ended and nothing is kept of what it printed.
#[must_use]
pub fn printed_nothing(attempt: &AttemptRecord) -> bool {
    attempt.finish.as_ref().is_some_and(|finish| finish.kept == 0)
}

fn failed(finish: &Finish) -> String {
    let which = if finish.command > 0 {
        format!("command {} ", u64::from(finish.command) + 1)
    } else {
        String::new()
    };
    match (&finish.exit, &finish.not_started) {
        (Some(Exit::Code(code)), _) => format!("{which}exited with {code}"),
        (Some(Exit::Signal(signal)), _) => format!("{which}was killed by {}", signal_name(*signal)),
        (None, Some(not_started)) => format!("{which}could not start: {}", not_started.reason),
        (None, None) => format!("{which}failed"),
    }
}

/// A signal as people call it.
#[must_use]
pub fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        other => return format!("signal {other}"),
    };
    format!("SIG{name}")
}

/// A state as it is written everywhere.
#[must_use]
pub fn word(state: TaskState) -> String {
    as_word(&state)
}

/// A job's state as it is written everywhere.
#[must_use]
pub fn job_word(state: JobState) -> String {
    as_word(&state)
}

/// The word that a value of an enumeration is in JSON.
pub(crate) fn as_word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("an enumeration without fields is a word, and not {other:?}"),
    }
}
