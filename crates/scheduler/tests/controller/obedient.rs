//! A runner that runs nothing: what it is given ends well after a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, NodeId, Options, Registry, TimerKey,
};
use dx_scheduler::client::{Answer, Answered, Asked, Request};
use dx_scheduler::controller::Controller;
use dx_scheduler::core::{Config, NodeConfig};
use dx_scheduler::end::{End, Exit, Finish};
use dx_scheduler::id::{AttemptId, ShimId};
use dx_scheduler::message::{
    ControllerMessage, Join, Report, RunnerMessage, ToController, ToRunner,
};
use dx_scheduler::processor::Certainty;
use dx_scheduler::{controller_of, runner_of};
use dx_sim::{Heard, Port, Sim, SimConfig};

pub const HOME: NodeId = NodeId(1);
const BEAT: TimerKey = TimerKey(0);

/// How a process that exited with 0 ends.
pub fn well() -> Finish {
    Finish {
        end: End::Succeeded,
        command: 0,
        exit: Some(Exit::Code(0)),
        not_started: None,
        yielded: false,
        detached: false,
        ran: 1_000_000,
        cpu: 1,
        max_rss: 1,
        printed: 0,
        kept: 0,
    }
}

/// See the module. It is its own shim, and never forgets an end before it is recorded.
pub struct Obedient {
    pub shim: ShimId,
    pub runs: BTreeMap<AttemptId, bool>,
    timers: BTreeMap<u64, AttemptId>,
}

impl Obedient {
    fn join(&self, cx: &mut Context) {
        let join = Join {
            number: 0,
            shim: self.shim,
            capacity: Arc::from(r#"{"cpus":2,"memory":"1GiB"}"#),
            kill: Certainty::Certain,
            memory: false,
            holds: self.runs.keys().copied().collect(),
            overran: Vec::new(),
        };
        say(cx, ToController::Join(join));
    }

    fn report(&self, cx: &mut Context, reports: Vec<Report>) {
        if !reports.is_empty() {
            say(cx, ToController::Reports { shim: self.shim, reports });
        }
    }
}

fn say(cx: &mut Context, message: ToController) {
    cx.send(controller_of(HOME), ControllerMessage::Runner(message));
}

impl Agent for Obedient {
    type Message = RunnerMessage;

    fn start(&mut self, cx: &mut Context) {
        self.shim = ShimId { node: cx.node(), incarnation: cx.incarnation().0 };
        cx.monitor(controller_of(HOME));
        cx.set_timer(BEAT, Duration::from_secs(1));
        self.join(cx);
    }

    fn message(&mut self, _: AgentId, message: RunnerMessage, cx: &mut Context) {
        let RunnerMessage::Controller(message) = message else { return };
        match message {
            ToRunner::Who { .. } => self.join(cx),
            ToRunner::Welcome { keep, .. } => {
                self.runs.retain(|attempt, _| keep.contains(attempt));
                let ended = self.runs.iter().filter(|(_, is_over)| **is_over);
                let ended = ended.map(|(attempt, _)| Report::Ended(*attempt, well())).collect();
                self.report(cx, ended);
            }
            ToRunner::Assign { runs, .. } => {
                let mut reports = Vec::new();
                for run in runs {
                    for index in run.first..run.first + run.count {
                        let attempt = run.job.task(index).attempt(run.number);
                        self.runs.insert(attempt, false);
                        let key = self.timers.last_key_value().map_or(1, |(key, _)| key + 1);
                        self.timers.insert(key, attempt);
                        cx.set_timer(TimerKey(key), Duration::from_millis(10));
                        reports.push(Report::Started(attempt));
                    }
                }
                self.report(cx, reports);
            }
            ToRunner::Recorded { attempts, .. } => {
                self.runs.retain(|attempt, _| !attempts.contains(attempt));
            }
            _ => {}
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if key == BEAT {
            cx.set_timer(BEAT, Duration::from_secs(1));
            let clock = cx.now().0;
            return say(cx, ToController::Beat { shim: self.shim, clock });
        }
        let attempt = self.timers.remove(&key.0).expect("it was set");
        if let Some(is_over) = self.runs.get_mut(&attempt) {
            *is_over = true;
            self.report(cx, vec![Report::Ended(attempt, well())]);
        }
    }

    fn down(&mut self, who: AgentId, _: dx_agents::Down, cx: &mut Context) {
        cx.monitor(who);
        self.join(cx);
    }
}

/// A controller on node 1, and runners on this many nodes after it.
pub fn world(seed: u64, runners: u32) -> Sim {
    let nodes: BTreeMap<NodeId, NodeConfig> = (2..2 + runners)
        .map(|id| {
            let labels = BTreeMap::from([("parity".to_owned(), (id % 2).to_string())]);
            (NodeId(id), NodeConfig { name: format!("n{id}"), labels })
        })
        .collect();
    let config = Config { nodes: nodes.clone(), ..Config::default() };
    let shim = ShimId { node: HOME, incarnation: 0 };
    let registry = Registry::new()
        .kind("controller", move |_, _| Ok(Controller::new(config.clone())))
        .kind("runner", move |_, _| {
            Ok(Obedient { shim, runs: BTreeMap::new(), timers: BTreeMap::new() })
        });
    let spec = |id: AgentId, kind: &str, node: NodeId| AgentSpec {
        id,
        kind: kind.to_owned(),
        node,
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let runners = nodes.keys().map(|node| spec(runner_of(*node), "runner", *node));
    let all = runners.chain([spec(controller_of(HOME), "controller", HOME)]);
    Sim::new(SimConfig::seeded(seed), Directory::new(all), registry).expect("all kinds are known")
}

/// Asks the controller, and waits for its answer.
pub fn ask(sim: &mut Sim, port: Port, request: &Request) -> Answer {
    let asked = ControllerMessage::Client(Asked::new(request));
    sim.ask(port, controller_of(HOME), asked, Duration::from_mins(1));
    let mut answer = None;
    sim.run_until("it is answered", Duration::from_secs(61), |sim| {
        if let Some(Heard::Reply(_, reply)) = sim.heard(port) {
            answer = Some(reply.expect("it is answered").open::<Answered>().expect("it is JSON"));
        }
        answer.is_some()
    })
    .expect("it is answered");
    answer.expect("it was seen").open().expect("it is known")
}
