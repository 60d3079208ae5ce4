//! `dx job show`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use dx_scheduler::client::{JobView, TaskView};
use dx_scheduler::end::AttemptRecord;
use dx_scheduler::job::JobSpec;
use serde_json::json;

use crate::cli::Show;
use crate::console::shown;
use crate::exit;
use crate::jobs::{self, Selected, Service, Style, Table};

/// Tasks that are shown of a job, unless all are wanted.
const SHOWN: u32 = 20;

/// The column of what is a task's own; left out where no task has anything.
const ITEM: &str = "ITEM";

/// The most characters in it: `--json` has more.
const MAX_ITEM: usize = 40;

/// Shows jobs.
pub async fn run(mut service: Service, arguments: &Show, json: bool) -> anyhow::Result<ExitCode> {
    let selected = jobs::look_up(&mut service, &arguments.what).await?;
    if arguments.spec {
        for one in &selected {
            let spec: JobSpec = service.get(&format!("/v1/jobs/{}/spec", one.job.id)).await?;
            writeln!(io::stdout(), "{:#}", serde_json::to_value(&spec)?)?;
        }
        return Ok(exit::OK);
    }
    let mut texts = Vec::new();
    for one in &selected {
        let (tasks, is_all) = tasks(&mut service, arguments, one).await?;
        texts.push(if json {
            let mut object = json!(one.job);
            object["listed"] = json!(tasks);
            format!("{object}\n")
        } else {
            human(&one.job, &tasks, is_all, jobs::now())
        });
    }
    let between = if json { "" } else { "\n" };
    io::stdout().write_all(texts.join(between).as_bytes())?;
    Ok(exit::OK)
}

/// The tasks that are to be shown, and whether these are all that are meant.
async fn tasks(
    service: &mut Service,
    arguments: &Show,
    selected: &Selected,
) -> anyhow::Result<(Vec<TaskView>, bool)> {
    let most = if arguments.all { usize::MAX } else { SHOWN as usize };
    let (mut from, last) = selected.tasks.unwrap_or((0, u32::MAX));
    let mut all: Vec<TaskView> = Vec::new();
    loop {
        let limit = u32::try_from(most - all.len()).unwrap_or(u32::MAX);
        let page = service.tasks(selected.job.id, from, limit, &arguments.state).await?;
        all.extend(page.tasks.into_iter().filter(|task| task.index <= last));
        match page.next.filter(|next| *next <= last) {
            Some(next) if all.len() < most => from = next,
            next => return Ok((all, next.is_none())),
        }
    }
}

fn human(job: &JobView, tasks: &[TaskView], is_all: bool, now: u64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:10} {value}");
    };
    line("job", &job.id.to_string());
    if let Some(name) = &job.name {
        line("name", &shown(name.as_bytes()));
    }
    let state = jobs::job_word(job.state);
    line("state", &jobs::paint(&state, job.state.into(), jobs::is_coloured()));
    line("tasks", &jobs::counted(job));
    line("command", &shown(job.command.as_bytes()));
    line("submitted", &format!("{} by {}", moment(job.submitted, now), job.by));
    if let Some(started) = job.started {
        line("started", &moment(started, now));
    }
    if let Some(ended) = job.ended {
        let ran = job.started.map(|at| jobs::lasted(ended.saturating_sub(at)));
        let after = ran.map(|ran| format!(", after {ran}")).unwrap_or_default();
        line("ended", &format!("{}{after}", moment(ended, now)));
    }
    if let Some(exit) = job.exit {
        line("exit code", &exit.to_string());
    }
    if job.priority != 0 {
        line("priority", &job.priority.to_string());
    }
    if !job.labels.is_empty() {
        let labels: Vec<String> = job.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        line("labels", &shown(labels.join(", ").as_bytes()));
    }
    text.push('\n');
    text += &table(tasks, now).for_stdout();
    if !is_all {
        text += "... and more: `--all` shows them\n";
    }
    text
}

fn moment(at: u64, now: u64) -> String {
    format!("{} ({})", jobs::timestamp(at), jobs::ago(at, now))
}

fn table(tasks: &[TaskView], now: u64) -> Table {
    let mut table =
        Table::new([">TASK", ITEM, "STATE", ">ATTEMPT", "NODE", ">TIME", ">CPU", ">MEMORY", "WHY"]);
    let none = || "-".to_owned();
    for task in tasks {
        let plain = |text: String| (text, Style::Plain);
        let last = task.attempts.last().map(|attempt| (&attempt.record, &attempt.node_name));
        let time = last.and_then(|(record, _)| lasted(record, now));
        let finish = last.and_then(|(record, _)| record.finish.as_ref());
        let progress = task.progress.as_ref().map(|progress| {
            let of = progress.total.map(|total| format!("/{total}")).unwrap_or_default();
            format!("{}: {}{of}", progress.label, progress.step)
        });
        let why = jobs::failure(task).or_else(|| task.reason.clone()).or(progress);
        table.row([
            plain(format!("{}.{}", task.job, task.index)),
            plain(item(task)),
            (jobs::word(task.state), task.state.into()),
            plain(last.map_or_else(none, |(record, _)| record.number.to_string())),
            plain(last.map_or_else(none, |(_, node)| node.clone())),
            plain(time.map_or_else(none, jobs::lasted)),
            plain(finish.map_or_else(none, |finish| jobs::lasted(finish.cpu / 1_000_000))),
            plain(finish.map_or_else(none, |finish| jobs::bytes(finish.max_rss))),
            plain(why.unwrap_or_default()),
        ]);
    }
    table.without_empty(ITEM)
}

/// How long an attempt has run, in milliseconds. Its node knows best, but says so at its end only: that
/// it has started and ended may be heard of at once.
fn lasted(record: &AttemptRecord, now: u64) -> Option<u64> {
    let by_node = record.finish.as_ref().filter(|finish| finish.ran > 0);
    let by_news = || Some(record.ended.unwrap_or(now).saturating_sub(record.started?));
    by_node.map(|finish| finish.ran / 1_000_000).or_else(by_news)
}

/// What a task finds in its environment that is its own: an item by itself, values of a matrix with
/// their names.
fn item(task: &TaskView) -> String {
    let values = task.values.iter().map(|(name, value)| match name.as_str() {
        dx_scheduler::job::ITEM => value.clone(),
        _ => format!("{name}={value}"),
    });
    let text = values.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MAX_ITEM) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_took_what_its_node_measured_whenever_that_was_heard() {
        let finish = |ran: u64| {
            json!({
                "end": "succeeded", "command": 0, "exit": { "code": 0 }, "not_started": null,
                "yielded": false, "detached": false, "ran": ran, "cpu": 0, "max_rss": 0,
                "printed": 0, "kept": 0,
            })
        };
        let record = |started: Option<u64>, ended: Option<u64>, finish| {
            let record = json!({
                "number": 1, "node": 1, "shim": 1, "assigned": 5, "started": started,
                "ended": ended, "finish": finish, "end": null, "note": null,
            });
            serde_json::from_value::<AttemptRecord>(record).unwrap()
        };
        let json = serde_json::Value::Null;
        assert_eq!(lasted(&record(Some(40), Some(40), finish(15_281_729)), 90), Some(15));
        assert_eq!(lasted(&record(Some(40), None, json.clone()), 90), Some(50));
        assert_eq!(lasted(&record(None, Some(60), finish(0)), 90), None, "it never began");
        assert_eq!(lasted(&record(Some(40), Some(60), json), 90), Some(20), "its shim is lost");
    }
}
