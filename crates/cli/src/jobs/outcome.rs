//! How a job ended: for people, and as an exit code.

use dx_scheduler::client::{JobState, JobView, TaskView};
use dx_scheduler::end::{Exit, Finish, TaskState};

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
    let what = match task.state {
        TaskState::Failed => finish.map_or_else(|| "failed".to_owned(), failed),
        TaskState::TimedOut => "ran longer than its timeout, and was killed".to_owned(),
        TaskState::Oom => "used up its memory, and was killed".to_owned(),
        TaskState::Cancelled => "was cancelled".to_owned(),
        TaskState::Lost => "was lost: nobody can say how it ended".to_owned(),
        TaskState::Aborted => "never ran, because others failed".to_owned(),
        TaskState::Expired => "never ran, because its time was over".to_owned(),
        other => format!("ended as {}", word(other)),
    };
    let reason = task.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let place = match last {
        Some(attempt) if attempt.record.number > 1 => {
            format!(" on {} in attempt {}", attempt.node_name, attempt.record.number)
        }
        Some(attempt) => format!(" on {}", attempt.node_name),
        None => String::new(),
    };
    // Of these the words above say it all; what else happened is worth its reason.
    let is_said = matches!(task.state, TaskState::Failed | TaskState::TimedOut | TaskState::Oom)
        || task.reason.as_deref() == Some(what.as_str());
    let reason = if is_said { String::new() } else { reason };
    Some(format!("{what}{place}{reason}"))
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
