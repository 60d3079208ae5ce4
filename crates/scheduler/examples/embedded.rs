//! A program with a job service of its own: controller, runner and shim are all of this one file.
//!
//! `cargo run -p dx-scheduler --example embedded -- 'sha256sum /etc/passwd' 'uname -a'` runs each
//! shell line as a task, two at a time, and prints what they printed, in their order.
//!
//! The controller's journal and the tasks' logs are in a folder that is removed at the end. A
//! program that keeps it finds its jobs again when it is started anew, also after SIGKILL.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dx_agents::runtime::{Port, Runtime, RuntimeConfig};
use dx_agents::{AgentSpec, NodeId, Options, Registry};
use dx_scheduler::client::{Answer, Answered, Asked, JobView, Request, WATCH_FOR};
use dx_scheduler::controller::Controller;
use dx_scheduler::core::{Config, NodeConfig};
use dx_scheduler::id::TaskId;
use dx_scheduler::job::{Command, Cpus, JobSpec};
use dx_scheduler::link::{self, LinkConfig};
use dx_scheduler::message::{ControllerMessage, RunnerMessage};
use dx_scheduler::processor::{LogPart, ReadLog};
use dx_scheduler::runner::{Offer, Runner, RunnerConfig};
use dx_scheduler::{controller_of, processor_of, runner_of, shim};
use tokio::sync::watch;

type Outcome<T> = Result<T, Box<dyn Error>>;

const NODE: NodeId = NodeId(1);

/// A question is answered within this time, or never.
const PATIENCE: Duration = WATCH_FOR.saturating_add(Duration::from_secs(10));

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The shim is this program, too: the link starts it so.
    if let [word, folder] = arguments.as_slice()
        && word == "shim"
    {
        let folder = PathBuf::from(folder);
        return Ok(shim::main_with(&shim::Config { folder, node: NODE, cgroups: true })?);
    }
    let lines =
        if arguments.is_empty() { vec!["echo hello from $$".to_owned()] } else { arguments };
    let folder = tempfile::tempdir()?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(folder.path(), &lines))
}

async fn serve(folder: &Path, lines: &[String]) -> Outcome<()> {
    let config = RuntimeConfig {
        node: NODE,
        journal: Some(folder.join("journal")),
        ..RuntimeConfig::default()
    };
    let runtime = Runtime::start(config)?;
    let processor = runtime.port_as(processor_of(NODE)).expect("nobody else has it");
    let (end, ending) = watch::channel(false);
    let shim = folder.join("shim");
    let link = tokio::spawn(link::run(
        processor,
        LinkConfig {
            folder: shim.clone(),
            program: "/proc/self/exe".into(),
            arguments: vec!["shim".into(), shim.into()],
            environment: Vec::new(),
            runner: runner_of(NODE),
        },
        ending,
    ));
    for (kind, id) in [("controller", controller_of(NODE)), ("runner", runner_of(NODE))] {
        let (kind, options) = (kind.to_owned(), Options::default());
        let spec = AgentSpec { id, kind, node: NODE, attr: serde_json::Value::Null, options };
        runtime.start_agent(&spec, &kinds())?;
    }
    let client = runtime.port();
    for (line, printed) in lines.iter().zip(run(&client, lines).await?) {
        println!("$ {line}");
        std::io::stdout().write_all(&printed)?;
    }
    // The shim ends all that it runs, and itself.
    end.send_replace(true);
    link.await?;
    drop(client);
    let late = runtime.stop(Duration::from_secs(5));
    assert!(late.is_empty(), "agents did not stop: {late:?}");
    Ok(())
}

fn kinds() -> Registry {
    let node = NodeConfig { name: "here".to_owned(), ..NodeConfig::default() };
    let config = Config { nodes: BTreeMap::from([(NODE, node)]), ..Config::default() };
    let offer = Offer { cpus: Some(Cpus(2000)), ..Offer::default() };
    Registry::new().kind("controller", move |_, _| Ok(Controller::new(config.clone()))).kind(
        "runner",
        move |_, _| {
            Ok(Runner::new(RunnerConfig { offer: offer.clone(), ..RunnerConfig::new(NODE, NODE) }))
        },
    )
}

/// Runs the lines as one array, and returns what each printed.
async fn run(client: &Port, lines: &[String]) -> Outcome<Vec<Vec<u8>>> {
    let mut spec = JobSpec {
        name: Some("lines".to_owned()),
        array: Some(format!("0-{}", lines.len() - 1)),
        commands: vec![Command {
            // The words are in the environment, literally: no line can break out of its task.
            exec: ["sh", "-c", "eval \"$(printenv LINE_$DX_TASK_INDEX)\""]
                .map(str::to_owned)
                .into(),
        }],
        ..JobSpec::default()
    };
    let line = |(index, line): (usize, &String)| (format!("LINE_{index}"), line.clone());
    spec.environment = lines.iter().enumerate().map(line).collect();
    let request = Request::Submit { spec: Box::new(spec), by: "me".to_owned(), dry_run: false };
    let job = match ask(client, &request).await? {
        Answer::Submitted { job, .. } => job,
        other => return Err(format!("the job was not taken: {other:?}").into()),
    };
    let mut since = 0;
    loop {
        match ask(client, &Request::Watch { job: Some(job), since }).await? {
            Answer::Changed { job: Some(job), .. } if job.ended.is_some() => break told(&job),
            Answer::Changed { version, .. } => since = version,
            other => return Err(format!("the job is not shown: {other:?}").into()),
        }
    }
    let mut printed = Vec::new();
    for index in 0..lines.len() {
        printed.push(log(client, job.task(index as u32)).await?);
    }
    Ok(printed)
}

fn told(job: &JobView) {
    let counts: Vec<String> =
        job.counts.0.iter().map(|(state, count)| format!("{count} {state:?}")).collect();
    eprintln!("job {} is {:?}: {}", job.id, job.state, counts.join(", "));
}

/// What the first attempt of a task printed.
async fn log(client: &Port, task: TaskId) -> Outcome<Vec<u8>> {
    let (mut from, mut printed) = (0, Vec::new());
    loop {
        let (attempt, max) = (task.attempt(1), 64 << 10);
        let read = ReadLog { ticket: 0, attempt, from, max, wait: true };
        let part = client.ask(runner_of(NODE), RunnerMessage::Read(read), PATIENCE).await?;
        let part: LogPart = part.open()?;
        part.pieces.iter().for_each(|piece| printed.extend_from_slice(&piece.bytes));
        if part.is_end || !part.is_known {
            return Ok(printed);
        }
        from = part.next;
    }
}

async fn ask(client: &Port, request: &Request) -> Outcome<Answer> {
    let question = ControllerMessage::Client(Asked::new(request));
    let answer = client.ask(controller_of(NODE), question, PATIENCE).await?;
    Ok(answer.open::<Answered>()?.open()?)
}
