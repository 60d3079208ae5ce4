//! Jobs, from the side of those who submit, watch and steer them: what the commands about jobs are
//! made of.
//!
//! ```text
//! options, job file --> JobSpec --> Service (asks again if a node is lost) --> views --> text
//!                                      '--> EventStream --> Log --> follow --> Terminal
//! ```
//!
//! Everything goes over the REST API of whichever node answers; there is no other way to a job.

mod after;
mod bar;
mod blocked;
pub mod complete;
mod counts;
mod event_stream;
mod follow;
pub mod graph;
mod items;
mod log;
mod moment;
mod node;
mod options;
mod outcome;
mod pages;
mod path;
mod selected;
mod service;
mod table;
mod terminal;
mod words;

pub use after::{After, wait_for};
pub use bar::Bar;
pub use blocked::Slot;
pub use counts::{bytes, counted, done, failed, plural, tasks};
pub use event_stream::{Event, EventStream, TooLong};
pub use follow::{FollowError, Heard, follow};
pub use items::ItemsError;
pub use log::{Log, LogError, Part, Printed};
pub use moment::{ago, lasted, now};
pub use node::{Reading, reading};
pub use options::command;
pub(crate) use outcome::as_word;
pub use outcome::{exit_code, failure, job_word, printed_nothing, signal_name, word};
pub use pages::{AllSubmitted, Changed, JobPage, NodePage, Submitted, TaskPage};
pub use path::{Query, encoded};
pub use selected::{Selected, look_up};
pub use service::{AskError, Service};
pub use table::{Style, Table, is_coloured, paint};
pub use terminal::{Marks, Terminal, timestamp};
pub use words::{EnvironmentEntry, KeyValue, capture, constraint, cpus, one_word};

use std::io::{self, Write};

/// The schema of job files, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    let one = crate::config::schema::of::<dx_scheduler::job::JobSpec>();
    let several = crate::config::schema::of::<dx_scheduler::job::Jobs>();
    serde_json::json!({
        "$schema": one["$schema"],
        "title": "dx job file",
        "if": { "required": ["job"] },
        "then": several,
        "else": one,
    })
}

/// The attempt that this process is a part of, if a job service runs it.
#[must_use]
pub fn this_attempt() -> Option<dx_scheduler::id::AttemptId> {
    let number = |name| std::env::var(name).ok();
    let job: dx_scheduler::id::JobId = number("DX_JOB_ID")?.parse().ok()?;
    let index = number("DX_TASK_INDEX")?.parse().ok()?;
    Some(job.task(index).attempt(number("DX_ATTEMPT")?.parse().ok()?))
}

/// Tells people something.
pub fn note(text: &str) {
    // If nobody reads standard error, the exit code still tells.
    drop(writeln!(io::stderr(), "dx: {text}"));
}
