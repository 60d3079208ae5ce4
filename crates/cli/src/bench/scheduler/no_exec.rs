//! What a task costs that nobody executes: what controller and runner do about it, on two nodes of
//! this process over tls, with the controller's journal on the disk.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use dx_agents::mesh::{Node, NodeConfig};
use dx_agents::runtime::{Port, RuntimeConfig};
use dx_agents::{
    AgentId, AgentSpec, Directory, MailboxBounds, NodeId, Options, Placement, Registry,
};
use dx_scheduler::client::{Answer, Answered, Asked, JobView, Request, WATCH_FOR};
use dx_scheduler::controller::Controller;
use dx_scheduler::core::{self, Config};
use dx_scheduler::message::ControllerMessage;
use dx_scheduler::runner::{Runner, RunnerConfig};
use dx_scheduler::{controller_of, processor_of, runner_of};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::ender::Ender;
use super::race::{SPAWN, array, ensure_succeeded};
use super::run::{Measured, Run};
use crate::bench::course::median;
use crate::bench::mesh::Cluster;
use crate::bench::report::{Param, Params, Unit};
use crate::bench::transport::TransportName;

/// Tasks that the node takes at a time: as a small machine, and as a large one.
const SLOTS: [u32; 2] = [2, 256];

/// Tasks of a quick run.
const QUICK: u32 = 5000;

/// The figure.
const EACH: (&str, Unit) = ("per task", Unit::Microseconds);

const CONTROLS: NodeId = NodeId(1);
const RUNS: NodeId = NodeId(2);

/// The kinds of agents.
const KINDS: [&str; 3] = ["bench-controller", "bench-runner", "bench-ender"];

/// Nodes that are not connected within this time never will be.
const START: Duration = Duration::from_secs(30);

/// How long nodes may take to stop.
const STOP: Duration = Duration::from_secs(5);

/// A question is answered within this time, or never.
const PATIENCE: Duration = WATCH_FOR.saturating_add(Duration::from_secs(10));

/// Measures it with few and with many slots.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let tasks = run.options.tasks(QUICK);
    for slots in SLOTS {
        let params = Params::new()
            .with("slots", Param::Count(slots.into()))
            .with("tasks", Param::Count(tasks.into()));
        run.begin(&params);
        let rounds = run.options.effort.rounds();
        let folder = run.folder();
        let measured = run.within(measure(&folder, slots, tasks.into(), rounds)).await;
        run.output.progress.advance();
        run.report(params, EACH, measured)?;
    }
    Ok(())
}

async fn measure(folder: &Path, slots: u32, tasks: u64, rounds: usize) -> anyhow::Result<Measured> {
    let folder = TempDir::new_in(folder).context("failed to make a folder for the journal")?;
    let pair = Pair::start(folder.path(), slots).await?;
    // The runner has joined when it is done.
    pair.run(1).await?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let took = pair.run(tasks).await?;
        times.push(took.as_secs_f64() * 1e6 / tasks as f64);
    }
    pair.end().await?;
    Ok(Measured { value: median(times), floor: None })
}

/// The node with the controller, and the one with the runner.
struct Pair {
    controls: Node,
    runs: Node,
    port: Port,
}

impl Pair {
    async fn start(folder: &Path, slots: u32) -> anyhow::Result<Self> {
        let journal = folder.join("journal");
        let pair = spawn_blocking(move || Self::started(&journal, slots)).await??;
        let ready = async { tokio::join!(pair.controls.ready(), pair.runs.ready()) };
        timeout(START, ready).await.context("the nodes do not connect")?;
        Ok(pair)
    }

    fn started(journal: &Path, slots: u32) -> anyhow::Result<Self> {
        let (cluster, directory) = (Cluster::new()?, Arc::new(Directory::new(specs())));
        let registry = registry(slots);
        let start = |node, peer, addresses, journal| {
            let mesh = cluster.node_at(node, TransportName::Tls, Ipv4Addr::LOCALHOST.into())?;
            let directory = Arc::clone(&directory);
            let runtime =
                RuntimeConfig { directory, journal, pool: 1, crew: 1, ..RuntimeConfig::default() };
            let config = NodeConfig { mesh, runtime, peers: vec![(peer, addresses)] };
            anyhow::Ok(Node::start(config, &registry)?)
        };
        let controls = start(CONTROLS, RUNS, Vec::new(), Some(journal.to_owned()))?;
        let runs = start(RUNS, CONTROLS, controls.endpoints().to_vec(), None)?;
        let port = controls.runtime().port();
        Ok(Self { controls, runs, port })
    }

    /// An array of so many tasks, from its submission until it is known to have ended.
    async fn run(&self, tasks: u64) -> anyhow::Result<Duration> {
        let spec = Box::new(array(&SPAWN.work, tasks));
        let began = Instant::now();
        let by = "bench".to_owned();
        let job = match self.ask(&Request::Submit { spec, by, dry_run: false }).await? {
            Answer::Submitted { job, .. } => job,
            other => bail!("the job was not taken: {other:?}"),
        };
        let mut since = 0;
        let view: JobView = loop {
            match self.ask(&Request::Watch { job: Some(job), since }).await? {
                Answer::Changed { job: Some(job), .. } if job.ended.is_some() => break *job,
                Answer::Changed { job: Some(job), .. } => since = job.version,
                other => bail!("the job is not shown: {other:?}"),
            }
        };
        let took = began.elapsed();
        ensure_succeeded(&view, tasks)?;
        Ok(took)
    }

    async fn ask(&self, request: &Request) -> anyhow::Result<Answer> {
        let question = ControllerMessage::Client(Asked::new(request));
        let answer = self.port.ask(controller_of(CONTROLS), question, PATIENCE).await?;
        Ok(answer.open::<Answered>()?.open()?)
    }

    async fn end(self) -> anyhow::Result<()> {
        drop(self.port);
        for node in [self.runs, self.controls] {
            let report = spawn_blocking(move || node.stop(STOP)).await?;
            anyhow::ensure!(report.late.is_empty(), "agents did not stop: {:?}", report.late);
        }
        Ok(())
    }
}

/// All of them with threads and mailboxes as they have them for users.
fn specs() -> [AgentSpec; 3] {
    let mailbox = MailboxBounds { messages: 16 << 10, ..MailboxBounds::DEFAULT };
    let spec = |id: AgentId, kind: &str, node, placement| AgentSpec {
        id,
        kind: kind.to_owned(),
        node,
        attr: Value::Null,
        options: Options { placement, mailbox, ..Options::default() },
    };
    let pool = || Options::default().placement;
    [
        spec(controller_of(CONTROLS), KINDS[0], CONTROLS, Placement::Thread { pin: None }),
        spec(runner_of(RUNS), KINDS[1], RUNS, pool()),
        spec(processor_of(RUNS), KINDS[2], RUNS, pool()),
    ]
}

fn registry(slots: u32) -> Registry {
    let node = core::NodeConfig { name: "runs".to_owned(), ..core::NodeConfig::default() };
    let config = Config { nodes: BTreeMap::from([(RUNS, node)]), ..Config::default() };
    Registry::new()
        .kind(KINDS[0], move |_, _| Ok(Controller::new(config.clone())))
        .kind(KINDS[1], |_, _| Ok(Runner::new(RunnerConfig::new(RUNS, CONTROLS))))
        .kind(KINDS[2], move |_, _| Ok(Ender::new(RUNS, slots)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_executes_ends_well_and_once() {
        let folder = TempDir::new().unwrap();
        for slots in SLOTS {
            let measured = measure(folder.path(), slots, 1000, 1).await.unwrap();
            assert!(measured.value.unwrap() > 0.0);
        }
    }
}
