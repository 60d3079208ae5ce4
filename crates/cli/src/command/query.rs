//! `dx query`: from arguments to exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use dx_scheduler::client::{JobView, MAX_PAGE, NodeState, NodeView, TaskView};
use dx_scheduler::end::TaskState;
use serde_json::{Value, json};

use super::nodes::{percent, share};
use super::{choose, job};
use crate::cli::{Query, QueryAction};
use crate::exit;
use crate::jobs::{self, JobPage, NodePage, Query as Asked, Reading, Service, Style, Table, note};

/// Answers what was asked.
pub fn run(arguments: &Query) -> anyhow::Result<ExitCode> {
    if let QueryAction::Add(submit) = &arguments.action {
        return job::submit::run(submit, &arguments.which);
    }
    choose::block_on(async {
        let mut service = choose::service(&arguments.which).await?;
        let (json, text, code) = answer(&mut service, &arguments.action).await?;
        let text = if arguments.which.json { format!("{json}\n") } else { text };
        io::stdout().write_all(text.as_bytes())?;
        Ok(code)
    })
}

/// The answer for programs, and for people.
async fn answer(
    service: &mut Service,
    action: &QueryAction,
) -> anyhow::Result<(Value, String, ExitCode)> {
    let (json, text) = match action {
        QueryAction::Add(_) => unreachable!("it was done before"),
        QueryAction::Executors => executors(&nodes(service).await?),
        QueryAction::ResourceUsage => usage(&nodes(service).await?, jobs::now()),
        QueryAction::Finished => {
            let open = Asked::default().with("limit", 1);
            let open = open.with_each("state", ["waiting", "held", "running"]);
            let page: JobPage = service.get(&open.of("/v1/jobs")).await?;
            let is_finished = page.jobs.is_empty();
            let code = if is_finished { exit::OK } else { exit::FAILED };
            return Ok((json!(is_finished), format!("{is_finished}\n"), code));
        }
        QueryAction::TasksPending(bound) => listed(service, Kind::Pending, bound.limit).await?,
        QueryAction::TasksRunning(bound) => listed(service, Kind::Running, bound.limit).await?,
        QueryAction::TasksFinished(bound) => listed(service, Kind::Finished, bound.limit).await?,
        QueryAction::Tasks(bound) => {
            let (mut json, mut text) = (json!({}), String::new());
            for kind in [Kind::Pending, Kind::Running, Kind::Finished] {
                let (tasks, table) = listed(service, kind, bound.limit).await?;
                json[kind.name()] = tasks;
                let gap = if text.is_empty() { "" } else { "\n" };
                text = [&*text, gap, kind.name(), ":\n", &table].concat();
            }
            (json, text)
        }
    };
    Ok((json, text, exit::OK))
}

async fn nodes(service: &mut Service) -> anyhow::Result<Vec<NodeView>> {
    let page: NodePage = service.get("/v1/nodes").await?;
    Ok(page.nodes)
}

/// Nodes that are there, by whether they run tasks.
fn executors(nodes: &[NodeView]) -> (Value, String) {
    let there = nodes.iter().filter(|it| !matches!(it.state, NodeState::Unknown | NodeState::Lost));
    let (busy, idle): (Vec<&NodeView>, Vec<&NodeView>) = there.partition(|it| it.attempts > 0);
    let names = |nodes: &[&NodeView]| -> Vec<String> {
        nodes.iter().map(|node| node.name.clone()).collect()
    };
    let (idle, busy) = (names(&idle), names(&busy));
    let line = |name: &str, nodes: &[String]| format!("{name}: {}", nodes.join(", "));
    let text = format!("{}\n{}\n", line("idle", &idle).trim_end(), line("busy", &busy).trim_end());
    (json!({ "idle": idle, "busy": busy }), text)
}

/// How much of each node is in use; `dead` where that was not heard for too long.
fn usage(nodes: &[NodeView], now: u64) -> (Value, String) {
    let mut object = json!({});
    let mut table = Table::new(["NODE", ">GPU", ">RAM", ">SWAP", ">CPU", "CORES"]);
    for node in nodes {
        let plain = |text: String| (text, Style::Plain);
        let dead = || ("dead".to_owned(), Style::Bad);
        let Reading::Fresh(usage) = jobs::reading(node, now) else {
            object[&node.name] = json!("dead");
            table.row([plain(node.name.clone()), dead(), dead(), dead(), dead(), dead()]);
            continue;
        };
        object[&node.name] = json!(usage);
        let each = |parts: &[f32]| {
            let texts: Vec<String> = parts.iter().map(|part| percent(*part)).collect();
            if texts.is_empty() { "-".to_owned() } else { texts.join(" ") }
        };
        table.row([
            plain(node.name.clone()),
            plain(each(&usage.gpus)),
            plain(share(usage.memory)),
            plain(share(usage.swap)),
            plain(percent(usage.cpu)),
            plain(each(&usage.cores)),
        ]);
    }
    (object, table.for_stdout())
}

/// How far a task is.
#[derive(Clone, Copy)]
enum Kind {
    Pending,
    Running,
    Finished,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }

    fn is(self, state: TaskState) -> bool {
        match self {
            Self::Pending => !state.is_ended() && !state.has_attempt(),
            Self::Running => state.has_attempt(),
            Self::Finished => state.is_ended(),
        }
    }
}

/// Tasks of a kind, of the newest jobs first.
async fn listed(service: &mut Service, kind: Kind, most: u32) -> anyhow::Result<(Value, String)> {
    let mut found: Vec<(JobView, TaskView)> = Vec::new();
    let mut query = Some(Asked::default().with("limit", MAX_PAGE));
    let mut is_all = true;
    'all: while let Some(here) = query {
        let page: JobPage = service.get(&here.of("/v1/jobs")).await?;
        let following = |next| Asked::default().with("limit", MAX_PAGE).with("before", next);
        query = page.next.map(following);
        for job in page.jobs {
            let present = job.counts.0.iter().filter(|(_, count)| **count > 0);
            let states: Vec<TaskState> =
                present.map(|(state, _)| *state).filter(|state| kind.is(*state)).collect();
            let mut from = (!states.is_empty()).then_some(0);
            while let Some(index) = from {
                let left = most.saturating_sub(found.len() as u32);
                if left == 0 {
                    is_all = false;
                    break 'all;
                }
                let page = service.tasks(job.id, index, left, &states).await?;
                found.extend(page.tasks.into_iter().map(|task| (job.clone(), task)));
                from = page.next;
            }
        }
    }
    if !is_all {
        note(&format!("there are more {} tasks than {most}: see `--limit`", kind.name()));
    }
    let tasks: Vec<&TaskView> = found.iter().map(|(_, task)| task).collect();
    Ok((json!(tasks), table(&found, kind, jobs::now())))
}

fn table(found: &[(JobView, TaskView)], kind: Kind, now: u64) -> String {
    let plain = |text: String| (text, Style::Plain);
    let mut table = Table::new([">TASK", "STATE", "NODE", "DISPATCHED", "FINISHED", "WHAT"]);
    for (job, task) in found {
        let last = task.attempts.last();
        let moment = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), |at| jobs::ago(at, now));
        let node = last.map_or("-", |attempt| attempt.node_name.as_str());
        let finished =
            last.and_then(|attempt| attempt.record.ended).filter(|_| kind.is(task.state));
        let what = job.name.as_ref().unwrap_or(&job.command);
        table.row([
            plain(format!("{}.{}", task.job, task.index)),
            (jobs::word(task.state), task.state.into()),
            plain(node.to_owned()),
            plain(moment(last.map(|attempt| attempt.record.assigned))),
            plain(moment(finished.filter(|_| matches!(kind, Kind::Finished)))),
            plain(what.clone()),
        ]);
    }
    table.for_stdout()
}
