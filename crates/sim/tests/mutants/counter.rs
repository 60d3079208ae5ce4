//! A counter that is changed at most once by each request, however often it is asked: clients ask
//! again until they are answered, the server knows whom it answered last and what. Both survive
//! crashes.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Message, NodeId, Options, Registry, TimerKey,
};
use dx_sim::{Choices, Failure, Scenario, Sim, SimConfig};
use serde::{Deserialize, Serialize};

const SERVER: AgentId = AgentId(1);
const CLIENTS: [AgentId; 2] = [AgentId(2), AgentId(3)];
const OPS: u64 = 20;
const RETRY: Duration = Duration::from_millis(30);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Bug {
    None,
    /// Every request counts, also one that is asked again.
    NoDedup,
    /// Who was answered last is not written down.
    DedupInMemory,
    /// The counter is not written down.
    NothingPersisted,
    /// A snapshot has the counter and not who was answered.
    SnapshotForgets,
    /// The client asks once.
    NoRetry,
    /// The client takes any answer for the one it waits for.
    AnyAnswer,
}

#[derive(Clone, Serialize, Deserialize)]
enum Op {
    Add(u64),
    Done(u64),
}

impl Message for Op {
    const NAME: &'static str = "op";
}

type State = (u64, BTreeMap<AgentId, u64>);

struct Server {
    bug: Bug,
    state: State,
    since: u64,
}

impl Agent for Server {
    type Message = Op;

    fn start(&mut self, cx: &mut Context) {
        let recovered = cx.recovered();
        if let Some(snapshot) = recovered.snapshot {
            self.state = serde_json::from_slice(&snapshot).unwrap();
        }
        for record in recovered.records {
            let (from, id): (AgentId, u64) = serde_json::from_slice(&record).unwrap();
            self.state.0 += 1;
            if self.bug != Bug::DedupInMemory {
                self.state.1.insert(from, id);
            }
        }
    }

    fn message(&mut self, from: AgentId, op: Op, cx: &mut Context) {
        let Op::Add(id) = op else { return };
        let is_new = self.state.1.get(&from).is_none_or(|last| id > *last);
        if is_new || self.bug == Bug::NoDedup {
            self.state.0 += 1;
            self.state.1.insert(from, id);
            self.since += 1;
            if self.bug != Bug::NothingPersisted {
                cx.persist(serde_json::to_vec(&(from, id)).unwrap());
            }
            if self.since.is_multiple_of(8) && self.bug != Bug::NothingPersisted {
                let mut state = self.state.clone();
                if self.bug == Bug::SnapshotForgets {
                    state.1.clear();
                }
                cx.snapshot(serde_json::to_vec(&state).unwrap());
            }
        }
        cx.send(from, Op::Done(id));
    }
}

struct Client {
    bug: Bug,
    /// The operation under way.
    current: u64,
}

impl Client {
    fn ask(&self, cx: &mut Context) {
        if self.current > OPS {
            return;
        }
        cx.send(SERVER, Op::Add(self.current));
        if self.bug != Bug::NoRetry {
            cx.set_timer(TimerKey(1), RETRY);
        }
    }
}

impl Agent for Client {
    type Message = Op;

    fn start(&mut self, cx: &mut Context) {
        let recovered = cx.recovered();
        let last =
            recovered.records.last().map(|id| u64::from_le_bytes(id[..].try_into().unwrap()));
        self.current = last.unwrap_or(1);
        self.ask(cx);
    }

    fn message(&mut self, _: AgentId, op: Op, cx: &mut Context) {
        let Op::Done(id) = op else { return };
        if id == self.current || self.bug == Bug::AnyAnswer {
            self.current += 1;
            cx.persist(self.current.to_le_bytes().to_vec());
            self.ask(cx);
        }
    }

    fn timer(&mut self, _: TimerKey, cx: &mut Context) {
        self.ask(cx);
    }
}

fn make(bug: Bug) -> impl Fn(u64, Choices) -> Sim {
    move |seed, choices| {
        let registry = Registry::new()
            .kind("server", move |_, _| Ok(Server { bug, state: State::default(), since: 0 }))
            .kind("client", move |_, _| Ok(Client { bug, current: 0 }));
        let spec = |id: AgentId, kind: &str| AgentSpec {
            id,
            kind: kind.to_owned(),
            node: NodeId(id.0 as u32),
            attr: serde_json::Value::Null,
            options: Options::default(),
        };
        let clients = CLIENTS.map(|id| spec(id, "client"));
        let agents = clients.into_iter().chain([spec(SERVER, "server")]);
        let config = SimConfig::seeded(seed);
        Sim::with_choices(config, Directory::new(agents), registry, choices).unwrap()
    }
}

fn clients(sim: &Sim) -> [Option<u64>; 2] {
    CLIENTS.map(|id| sim.agent::<Client>(id).map(|it| it.current))
}

fn nothing_unasked(sim: &mut Sim) {
    sim.always("nothing is counted that nobody asked for", |sim| {
        // 0: it is about to start, and does not know yet.
        let [Some(one @ 1..), Some(two @ 1..)] = clients(sim) else { return Ok(()) };
        let total = sim.agent::<Server>(SERVER).map_or(0, |server| server.state.0);
        if total <= one.min(OPS) + two.min(OPS) {
            return Ok(());
        }
        Err(format!("it counts {total}, and {one} and {two} are under way"))
    });
}

fn play(sim: &mut Sim) -> Result<(), Failure> {
    nothing_unasked(sim);
    sim.torment(Duration::from_secs(1), 1)?;
    all_in_the_end(sim)
}

fn all_in_the_end(sim: &mut Sim) -> Result<(), Failure> {
    sim.run_until("all operations are done in the end", Duration::from_mins(2), |sim| {
        clients(sim).iter().all(|current| *current == Some(OPS + 1))
    })?;
    sim.run_until("what was answered is counted", Duration::from_secs(1), |sim| {
        let total = sim.agent::<Server>(SERVER).map(|server| server.state.0);
        total == Some(OPS * CLIENTS.len() as u64)
    })
}

#[test]
fn the_correct_counter_raises_no_alarm_and_is_the_same_run_twice() {
    let scenario = Scenario { make: make(Bug::None), play };
    scenario.explore(0..super::QUIET).expect_none();
    scenario.determined(0..20).unwrap();
}

#[test]
fn every_bug_of_the_counter_is_found() {
    let bugs = [
        Bug::NoDedup,
        Bug::DedupInMemory,
        Bug::NothingPersisted,
        Bug::SnapshotForgets,
        Bug::NoRetry,
        Bug::AnyAnswer,
    ];
    for bug in bugs {
        super::hunt(&format!("{bug:?}"), &Scenario { make: make(bug), play });
    }
}

/// Both clients do what they have to, without faults.
fn count(sim: &mut Sim) -> Result<(), Failure> {
    nothing_unasked(sim);
    all_in_the_end(sim)
}

#[test]
fn bugs_that_need_an_order_are_found_by_search_and_by_priorities() {
    for bug in [Bug::NoDedup, Bug::AnyAnswer] {
        let scenario = Scenario { make: make(bug), play: count };
        super::prioritize(&format!("{bug:?}"), &scenario, 2 * RETRY);
    }
    super::search("NoDedup", &Scenario { make: make(Bug::NoDedup), play: count }, 2 * RETRY);
}

#[test]
fn the_correct_counter_holds_in_every_order() {
    super::hold_in_every_order(&Scenario { make: make(Bug::None), play: count }, 2 * RETRY);
}
