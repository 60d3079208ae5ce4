//! A processor that runs nothing: whatever it is given has ended well at once.

use std::collections::BTreeSet;
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, NodeId, TimerKey};
use dx_scheduler::end::{End, Exit, Finish};
use dx_scheduler::id::{AttemptId, ShimId};
use dx_scheduler::message::RunnerMessage;
use dx_scheduler::processor::{Call, Certainty, Follow, Hello, Machine, Told};
use dx_scheduler::runner_of;

/// See the module. What has ended it keeps in memory only, so it is of one life.
pub struct Ender {
    node: NodeId,
    machine: Machine,
    ended: BTreeSet<AttemptId>,
    /// What is told at the end of the step.
    told: Vec<Told>,
}

/// Says its clock.
const BEAT: TimerKey = TimerKey(0);

/// Several times in every lease that a controller grants.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Of its only life.
const LIFE: u64 = 1;

impl Ender {
    /// That of `node`, on a machine of so many processors.
    pub fn new(node: NodeId, processors: u32) -> Self {
        let machine = Machine { cpus: processors * 1000, ..Machine::default() };
        Self { node, machine, ended: BTreeSet::new(), told: Vec::new() }
    }

    fn tell(&mut self, cx: &mut Context) {
        let told = std::mem::take(&mut self.told);
        if !told.is_empty() {
            cx.send(runner_of(self.node), RunnerMessage::Processor(told));
        }
    }

    fn say_hello(&mut self, cx: &mut Context) {
        let hello = Hello {
            shim: ShimId { node: self.node, incarnation: LIFE },
            number: 1,
            running: Vec::new(),
            ended: self.ended.iter().copied().collect(),
            kill: Certainty::Certain,
            memory: false,
            overran: Vec::new(),
            machine: self.machine,
        };
        self.told.push(Told::Hello(hello));
        for attempt in &self.ended {
            self.told.push(Told::Ended { attempt: *attempt, finish: well() });
        }
        self.tell(cx);
        self.beat(cx);
    }

    fn beat(&self, cx: &mut Context) {
        let clock = cx.now().0;
        cx.send(runner_of(self.node), RunnerMessage::Processor(vec![Told::Beat { clock }]));
        cx.set_timer(BEAT, BEAT_EVERY);
    }

    fn run(&mut self, attempt: AttemptId, shim: u64) {
        if shim != LIFE {
            self.told.push(Told::Unknown(attempt));
        } else if self.ended.insert(attempt) {
            self.told.push(Told::Ended { attempt, finish: well() });
        }
    }
}

impl Agent for Ender {
    type Message = Call;

    fn start(&mut self, cx: &mut Context) {
        self.say_hello(cx);
    }

    fn message(&mut self, _: AgentId, call: Call, cx: &mut Context) {
        match call {
            Call::Hello => self.say_hello(cx),
            Call::Run(runs) => runs.iter().for_each(|run| self.run(run.attempt, run.shim)),
            // Each has ended before the next follows.
            Call::Follow(Follow { shim, attempts, .. }) => {
                for attempt in attempts {
                    self.run(attempt, shim);
                }
            }
            Call::Forget(attempts) => {
                for attempt in attempts {
                    self.ended.remove(&attempt);
                }
            }
            // Nothing runs and there are no logs: so nothing is to be killed, shown or dropped, and
            // no lease is outlived.
            Call::Return(_)
            | Call::Kill(_)
            | Call::Status(_)
            | Call::List
            | Call::Log(_)
            | Call::DropLogs(_)
            | Call::Renew { .. }
            | Call::Abandon { .. }
            | Call::Stop => {}
        }
        self.tell(cx);
    }

    fn timer(&mut self, _: TimerKey, cx: &mut Context) {
        self.beat(cx);
    }
}

/// How a process ends that exits with 0.
fn well() -> Finish {
    Finish {
        end: End::Succeeded,
        command: 0,
        exit: Some(Exit::Code(0)),
        not_started: None,
        yielded: false,
        detached: false,
        ran: 0,
        cpu: 0,
        max_rss: 0,
        printed: 0,
        kept: 0,
    }
}
