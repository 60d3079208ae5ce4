//! Two nodes of this process, of which one controls and the other ends at once whatever it is given:
//! tls between them, and the controller's journal on the disk.

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
use dx_scheduler::job::JobSpec;
use dx_scheduler::message::ControllerMessage;
use dx_scheduler::runner::{Runner, RunnerConfig};
use dx_scheduler::{controller_of, processor_of, runner_of};
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::ender::Ender;
use super::race::{SPAWN, array, ensure_succeeded};
use crate::bench::mesh::Cluster;
use crate::bench::transport::TransportName;

/// The node that controls.
pub const CONTROLS: NodeId = NodeId(1);
/// The one that runs.
pub const RUNS: NodeId = NodeId(2);

/// The kinds of agents.
const KINDS: [&str; 3] = ["bench-controller", "bench-runner", "bench-ender"];

/// Nodes that are not connected within this time never will be.
pub const START: Duration = Duration::from_secs(30);

/// How long nodes may take to stop.
pub const STOP: Duration = Duration::from_secs(5);

/// A question is answered within this time, or never.
const PATIENCE: Duration = WATCH_FOR.saturating_add(Duration::from_secs(10));

/// The node with the controller, and the one with the runner.
pub struct Pair {
    controls: Node,
    runs: Node,
    port: Port,
}

impl Pair {
    /// Starts both, with the controller's journal in `folder`, and so many slots at the other. They
    /// are ready for work.
    ///
    /// # Errors
    /// If they do not start, or do not connect.
    pub async fn start(folder: &Path, slots: u32) -> anyhow::Result<Self> {
        let journal = folder.join("journal");
        let pair = spawn_blocking(move || Self::started(&journal, slots)).await??;
        let ready = async { tokio::join!(pair.controls.ready(), pair.runs.ready()) };
        timeout(START, ready).await.context("the nodes do not connect")?;
        // The runner has joined when it is done.
        pair.run_array(1).await?;
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
    ///
    /// # Errors
    /// If it does not end well.
    pub async fn run_array(&self, tasks: u64) -> anyhow::Result<Duration> {
        let only = BTreeMap::from([("only".to_owned(), array(&SPAWN.work, tasks))]);
        self.run(only, "only", tasks).await
    }

    /// Jobs that wait for each other, from their submission until the one called `last`, of so many
    /// tasks, is known to have ended.
    ///
    /// # Errors
    /// If it does not end well.
    pub async fn run(
        &self,
        jobs: BTreeMap<String, JobSpec>,
        last: &str,
        tasks: u64,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let by = "bench".to_owned();
        let submission = Request::SubmitAll { jobs, by, caller: None, dry_run: false };
        let job = match self.ask(&submission).await? {
            Answer::AllSubmitted { jobs, .. } => jobs.get(last).context("it was submitted")?.job,
            other => bail!("the jobs were not taken: {other:?}"),
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

    /// Stops both.
    ///
    /// # Errors
    /// If an agent does not stop.
    pub async fn end(self) -> anyhow::Result<()> {
        drop(self.port);
        for node in [self.runs, self.controls] {
            let report = spawn_blocking(move || node.stop(STOP)).await?;
            anyhow::ensure!(report.late.is_empty(), "agents did not stop: {:?}", report.late);
        }
        Ok(())
    }
}

/// The agents of both, all of them with threads and mailboxes as they have them for users.
pub fn specs() -> [AgentSpec; 3] {
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

/// What makes them.
pub fn registry(slots: u32) -> Registry {
    let node = core::NodeConfig { name: "runs".to_owned(), ..core::NodeConfig::default() };
    let config = Config { nodes: BTreeMap::from([(RUNS, node)]), ..Config::default() };
    Registry::new()
        .kind(KINDS[0], move |_, _| Ok(Controller::new(config.clone())))
        .kind(KINDS[1], |_, _| Ok(Runner::new(RunnerConfig::new(RUNS, CONTROLS))))
        .kind(KINDS[2], move |_, _| Ok(Ender::new(RUNS, slots)))
}
