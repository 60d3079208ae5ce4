//! `dx job cancel`, `retry`, `hold`, `release`, `priority` and `rm`.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use dx_scheduler::client::Part;
use serde_json::{Value, json};

use crate::cli::{Act, Cancel, Hold, JobPriority, Remove, Retry};
use crate::exit;
use crate::jobs::{self, Changed, Selected, Service, note};

/// Ends tasks.
pub async fn cancel(service: Service, cancel: &Cancel, json: bool) -> anyhow::Result<ExitCode> {
    let more = json!({ "now": cancel.now, "reason": cancel.reason, "states": cancel.state });
    let doing = Doing { path: "/v1/cancel", verb: "cancel", done: "cancelled", asks: true, more };
    doing.run(service, &cancel.act, json).await
}

/// Runs tasks again.
pub async fn retry(service: Service, retry: &Retry, json: bool) -> anyhow::Result<ExitCode> {
    let more = json!({ "all": retry.all, "states": retry.state });
    let doing = Doing { path: RETRY, verb: "run again", done: "to run again", asks: true, more };
    doing.run(service, &retry.act, json).await
}

/// Keeps tasks from running.
pub async fn hold(service: Service, hold: &Hold, json: bool) -> anyhow::Result<ExitCode> {
    let more = json!({ "states": hold.state });
    let doing = Doing { path: "/v1/hold", verb: "hold", done: "held", asks: false, more };
    doing.run(service, &hold.act, json).await
}

/// Lets them run.
pub async fn release(service: Service, hold: &Hold, json: bool) -> anyhow::Result<ExitCode> {
    let more = json!({ "states": hold.state });
    let doing = Doing { path: "/v1/release", verb: "release", done: "released", asks: false, more };
    doing.run(service, &hold.act, json).await
}

/// Changes the priority.
pub async fn priority(
    service: Service,
    priority: &JobPriority,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let more = json!({ "priority": priority.priority });
    let doing = Doing { path: "/v1/priority", verb: "change", done: "changed", asks: false, more };
    doing.run(service, &priority.act, json).await
}

/// Removes jobs.
pub async fn remove(service: Service, remove: &Remove, json: bool) -> anyhow::Result<ExitCode> {
    let more = json!({ "force": remove.force });
    let doing = Doing { path: REMOVE, verb: "remove", done: "removed", asks: true, more };
    doing.run(service, &remove.act, json).await
}

const RETRY: &str = "/v1/retry";
const REMOVE: &str = "/v1/remove";

/// Something that can be done to a selection.
struct Doing {
    path: &'static str,
    verb: &'static str,
    done: &'static str,
    /// Whether it should not be done to several jobs by mistake.
    asks: bool,
    /// What it needs beside the selection.
    more: Value,
}

impl Doing {
    async fn run(&self, mut service: Service, act: &Act, json: bool) -> anyhow::Result<ExitCode> {
        let selected = jobs::look_up(&mut service, &act.what).await?;
        if self.asks && !act.yes && selected.len() > 1 && !self.is_meant(&selected)? {
            note("nothing was done");
            return Ok(exit::FAILED);
        }
        let mut body = self.more.clone();
        body["what"] = texts(&act.what, &selected).into();
        // What has changed a task is not done twice to it, so that it can be asked for again; only
        // a task that was to run again could have ended once more by then.
        let changed: Changed = if self.path == RETRY {
            service.post_once(self.path, &body).await?
        } else {
            service.post(self.path, &body).await?
        };
        if json {
            writeln!(io::stdout(), "{}", serde_json::to_string(&changed)?)?;
            return Ok(exit::OK);
        }
        let what = if self.path == REMOVE {
            jobs::plural(changed.changed, "job")
        } else {
            jobs::tasks(changed.changed)
        };
        note(&match changed.changed {
            0 => format!("there was nothing to {}", self.verb),
            _ => format!("{what} {}", self.done),
        });
        Ok(exit::OK)
    }

    /// Asks whether really all of these are meant, where somebody can answer.
    fn is_meant(&self, selected: &[Selected]) -> anyhow::Result<bool> {
        let (stdin, mut stderr) = (io::stdin(), io::stderr());
        if !stdin.is_terminal() || !stderr.is_terminal() {
            return Ok(true);
        }
        let shown: Vec<String> = selected
            .iter()
            .take(MOST_NAMED)
            .map(|one| {
                let name = one.job.name.as_ref().unwrap_or(&one.job.command);
                format!("  {} {}", one.job.id, crate::console::shown(name.as_bytes()))
            })
            .collect();
        let rest = match selected.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!("\n  and {more} more"),
        };
        let jobs = jobs::plural(selected.len() as u64, "job");
        write!(stderr, "{}{rest}\ndx: {} these {jobs}? [y/N] ", shown.join("\n"), self.verb)?;
        stderr.flush()?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// Jobs that are named before somebody is asked whether all are meant.
const MOST_NAMED: usize = 10;

/// The selection as it was looked up: `last` is the job that was the last then.
fn texts(what: &[Part], selected: &[Selected]) -> Vec<String> {
    let of = |part: &Part| match part {
        Part::Last | Part::Label(..) => None,
        other => Some(other.to_string()),
    };
    match what.iter().map(of).collect() {
        Some(texts) => texts,
        None => selected
            .iter()
            .map(|one| match one.tasks {
                Some((first, last)) => Part::Tasks(one.job.id, first, last).to_string(),
                None => one.job.id.to_string(),
            })
            .collect(),
    }
}
