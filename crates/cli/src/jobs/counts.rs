//! How many tasks of a job are how.

use bytesize::ByteSize;
use dx_scheduler::client::JobView;
use dx_scheduler::end::TaskState;

use super::word;

/// Those that have ended.
#[must_use]
pub fn done(job: &JobView) -> u64 {
    sum(job, TaskState::is_ended)
}

/// Those that ended in another way than they were to.
#[must_use]
pub fn failed(job: &JobView) -> u64 {
    sum(job, TaskState::is_failure)
}

fn sum(job: &JobView, is_one: impl Fn(TaskState) -> bool) -> u64 {
    job.counts.0.iter().filter(|(state, _)| is_one(**state)).map(|(_, count)| count).sum()
}

/// All states with their counts: `2 running, 98 queued`.
#[must_use]
pub fn counted(job: &JobView) -> String {
    let present = job.counts.0.iter().filter(|(_, count)| **count > 0);
    let words: Vec<String> =
        present.map(|(state, count)| format!("{count} {}", word(*state))).collect();
    words.join(", ")
}

/// So many tasks, in words.
#[must_use]
pub fn tasks(count: u64) -> String {
    plural(count, "task")
}

/// So many of what is called `name`, in words.
#[must_use]
pub fn plural(count: u64, name: &str) -> String {
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

/// A number of bytes, as `12.5M`.
#[must_use]
pub fn bytes(count: u64) -> String {
    ByteSize(count).display().iec_short().to_string()
}
