//! A core with its journal, and what is said to it and by it, by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use dx_agents::NodeId;
use dx_scheduler::client::{
    Answer, Explanation, JobQuery, JobView, NodeView, Request, Selection, TaskView,
};
use dx_scheduler::core::{Batch, Config, Core, NodeConfig, Outcome};
use dx_scheduler::end::{End, Exit, Fault, Finish, NotStarted, TaskState};
use dx_scheduler::id::{AttemptId, JobId, ShimId, TaskId};
use dx_scheduler::job::{Command, JobSpec};
use dx_scheduler::message::{Join, Report, ToController, ToRunner};
use dx_scheduler::processor::Certainty;

/// The lease of these tests, in milliseconds.
pub const LEASE: u64 = 30_000;

/// See the module.
pub struct Desk {
    pub core: Core,
    pub at: u64,
    pub journal: Vec<Batch>,
    /// What was said to each node and not looked at.
    pub said: BTreeMap<NodeId, Vec<ToRunner>>,
    /// Whether the state is counted anew after each step.
    pub is_careful: bool,
    config: Config,
    seed: u64,
}

impl Desk {
    /// A core that knows the nodes 1 to `nodes`, whose label `zone` is `a` or `b` in turns.
    pub fn new(nodes: u32) -> Self {
        let node = |id: u32| {
            let zone = if id % 2 == 1 { "a" } else { "b" };
            let labels = BTreeMap::from([
                ("zone".to_owned(), zone.to_owned()),
                ("rank".to_owned(), id.to_string()),
            ]);
            (NodeId(id), NodeConfig { name: format!("n{id}"), labels })
        };
        Self::with(Config {
            nodes: (1..=nodes).map(node).collect(),
            lease: LEASE,
            ..Config::default()
        })
    }

    pub fn with(config: Config) -> Self {
        let core = Core::new(config.clone());
        let mut desk = Self {
            core,
            at: 1_000_000,
            journal: Vec::new(),
            said: BTreeMap::new(),
            is_careful: true,
            config,
            seed: 1,
        };
        desk.step(Core::begin_term);
        desk
    }

    /// What its core was told about the cluster.
    pub fn core_config(&self) -> Config {
        self.config.clone()
    }

    /// A step of the core, at the time that it is.
    pub fn step<R>(&mut self, step: impl FnOnce(&mut Core) -> R) -> R {
        self.seed += 1;
        self.core.begin(self.at, self.seed);
        let result = step(&mut self.core);
        let Outcome { batch, tell, .. } = self.core.finish();
        self.journal.extend(batch);
        for (node, message) in tell {
            self.said.entry(node).or_default().push(message);
        }
        if self.is_careful {
            self.core.state().check().unwrap();
        }
        result
    }

    /// The controller crashes and starts anew, from its journal. The state is the same.
    pub fn restart(&mut self) {
        let mut core = Core::new(self.config.clone());
        for batch in &self.journal {
            core.replay(batch);
        }
        assert_eq!(core.state(), self.core.state(), "a replay comes to the same state");
        let mut restored = Core::new(self.config.clone());
        restored.restore(&self.core.state().snapshot()).unwrap();
        assert_eq!(restored.state(), self.core.state(), "a snapshot is the same state");
        self.core = restored;
        self.step(Core::begin_term);
    }

    /// Time passes, and the core wakes up when it wants to.
    pub fn pass(&mut self, millis: u64) {
        let until = self.at + millis;
        while let Some(due) = self.core.next_due().filter(|due| *due <= until) {
            self.at = due.max(self.at + 1);
            self.step(|_| ());
        }
        self.at = until.max(self.at);
        self.step(|_| ());
    }

    pub fn hear(&mut self, node: u32, message: ToController) {
        self.step(|core| core.hear(NodeId(node), message));
    }

    pub fn ask(&mut self, request: Request) -> Answer {
        self.step(|core| core.request(request))
    }

    /// What was said to a node since the last look.
    pub fn said(&mut self, node: u32) -> Vec<ToRunner> {
        self.said.remove(&NodeId(node)).unwrap_or_default()
    }

    /// A node joins with so many processors.
    pub fn join(&mut self, node: u32, life: u64, cpus: u32, holds: Vec<AttemptId>) {
        let join = Join {
            number: 1,
            shim: shim(node, life),
            capacity: Arc::from(format!(r#"{{"cpus":{cpus},"memory":"1GiB","gpus":1}}"#)),
            kill: Certainty::Certain,
            memory: false,
            holds,
            overran: Vec::new(),
        };
        self.hear(node, ToController::Join(join));
    }

    pub fn report(&mut self, node: u32, life: u64, reports: Vec<Report>) {
        self.hear(node, ToController::Reports { shim: shim(node, life), reports });
    }

    pub fn end(&mut self, node: u32, life: u64, attempt: AttemptId, finish: Finish) {
        self.report(node, life, vec![Report::Ended(attempt, finish)]);
    }

    pub fn beat(&mut self, node: u32, life: u64) {
        self.hear(node, ToController::Beat { shim: shim(node, life), clock: self.at });
    }

    pub fn submit(&mut self, spec: JobSpec) -> JobId {
        match self.ask(submission(spec)) {
            Answer::Submitted { job, .. } => job,
            other => panic!("{other:?}"),
        }
    }

    pub fn job(&mut self, id: JobId) -> JobView {
        match self.ask(Request::Job(id)) {
            Answer::Job(job) => *job,
            other => panic!("{other:?}"),
        }
    }

    pub fn task(&mut self, id: TaskId) -> TaskView {
        match self.ask(Request::Task(id)) {
            Answer::Task(task) => *task,
            other => panic!("{other:?}"),
        }
    }

    pub fn explain(&mut self, id: TaskId) -> Explanation {
        match self.ask(Request::Explain(id)) {
            Answer::Explained(it) => *it,
            other => panic!("{other:?}"),
        }
    }

    pub fn node(&mut self, id: u32) -> NodeView {
        match self.ask(Request::Nodes) {
            Answer::Nodes(nodes) => {
                nodes.into_iter().find(|node| node.id == NodeId(id)).expect("it is known")
            }
            other => panic!("{other:?}"),
        }
    }

    /// How many were changed.
    pub fn changed(&mut self, request: Request) -> u64 {
        match self.ask(request) {
            Answer::Done { changed } => changed,
            other => panic!("{other:?}"),
        }
    }

    /// The attempts that were assigned to a node, of what was said and not looked at.
    pub fn assigned(&mut self, node: u32) -> Vec<AttemptId> {
        assigned(&self.said(node))
    }
}

/// The attempts that messages assign.
pub fn assigned(said: &[ToRunner]) -> Vec<AttemptId> {
    let runs = said.iter().flat_map(|message| match message {
        ToRunner::Assign { runs, .. } => runs.clone(),
        _ => Vec::new(),
    });
    runs.flat_map(|run| {
        (run.first..run.first + run.count).map(move |index| run.job.task(index).attempt(run.number))
    })
    .collect()
}

pub fn shim(node: u32, incarnation: u64) -> ShimId {
    ShimId { node: NodeId(node), incarnation }
}

pub fn submission(spec: JobSpec) -> Request {
    Request::Submit { spec: Box::new(spec), by: "me".to_owned(), dry_run: false }
}

/// A job of these indices.
pub fn spec(array: &str) -> JobSpec {
    let exec = vec!["true".to_owned()];
    JobSpec {
        commands: vec![Command { exec }],
        array: Some(array.to_owned()),
        ..JobSpec::default()
    }
}

pub fn all_of(job: JobId) -> Selection {
    Selection::job(job)
}

/// A process that came to this.
pub fn exit(exit: Exit) -> Finish {
    let end = if exit == Exit::Code(0) { End::Succeeded } else { End::Failed };
    Finish {
        end,
        command: 0,
        exit: Some(exit),
        not_started: None,
        yielded: false,
        detached: false,
        ran: 2_000_000,
        cpu: 1_000_000,
        max_rss: 1 << 20,
        printed: 10,
        kept: 10,
    }
}

/// An attempt that was ended so from outside.
pub fn ended(end: End) -> Finish {
    Finish { end, exit: Some(Exit::Signal(15)), ..exit(Exit::Code(1)) }
}

/// A command that could not be started.
pub fn not_started(fault: Fault) -> Finish {
    let reason = "there is no such file".to_owned();
    let not_started = Some(NotStarted { fault, errno: 2, reason });
    Finish { exit: None, not_started, ..exit(Exit::Code(1)) }
}

impl Desk {
    /// Of what is open on a node, the attempt that comes first.
    pub fn core_first(&mut self, node: u32) -> AttemptId {
        let open = self.core.state().open_on(NodeId(node));
        open.first().copied().expect("something is open there")
    }

    /// How the task of an attempt stands.
    pub fn core_state(&mut self, attempt: AttemptId) -> TaskState {
        self.task(attempt.task).state
    }

    /// How many jobs have ended.
    pub fn jobs_ended(&mut self) -> usize {
        match self.ask(Request::Jobs(JobQuery::default())) {
            Answer::Jobs { jobs, .. } => jobs.iter().filter(|job| job.ended.is_some()).count(),
            other => panic!("{other:?}"),
        }
    }
}
