//! Agents whose behaviour a test writes down as a closure, and gates at which they wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use dx_agents::runtime::{Heard, Port, Runtime, RuntimeConfig};
use dx_agents::{
    Agent, AgentId, Answer, AskError, AskId, Context, Down, JobId, Message, Outcome, Refusal,
    SharedState, Spawn, Stopping, TimerKey,
};
use serde::{Deserialize, Serialize};

/// All that these agents say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number(pub u64);

impl Message for Number {
    const NAME: &'static str = "number";
}

/// What none of these agents takes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Alien;

impl Message for Alien {
    const NAME: &'static str = "alien";
}

/// What an agent heard.
#[derive(Debug)]
#[expect(dead_code, reason = "no script asks which timer, question or job it was of its only one")]
pub enum Hears {
    Start,
    Message(AgentId, u64),
    Timer(TimerKey),
    Reply(AskId, Result<Answer, AskError>),
    Done(JobId, Outcome),
    Down(AgentId, Down),
    Refused(Refusal),
    Writable(AgentId),
    Stopping,
}

/// What an agent does when it hears something.
pub trait Script: FnMut(Hears, &mut Context) + Clone + Send + Sync + 'static {}
impl<F: FnMut(Hears, &mut Context) + Clone + Send + Sync + 'static> Script for F {}

/// An agent that follows a script; each start begins with a fresh copy of it.
pub struct Plays<F> {
    script: F,
    stopping: Stopping,
    shared: Option<Arc<dyn SharedState>>,
}

impl<F: Script> Agent for Plays<F> {
    type Message = Number;

    fn start(&mut self, cx: &mut Context) {
        (self.script)(Hears::Start, cx);
    }

    fn message(&mut self, from: AgentId, Number(number): Number, cx: &mut Context) {
        (self.script)(Hears::Message(from, number), cx);
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        (self.script)(Hears::Timer(key), cx);
    }

    fn reply(&mut self, ask: AskId, answer: Result<Answer, AskError>, cx: &mut Context) {
        (self.script)(Hears::Reply(ask, answer), cx);
    }

    fn done(&mut self, job: JobId, outcome: Outcome, cx: &mut Context) {
        (self.script)(Hears::Done(job, outcome), cx);
    }

    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        (self.script)(Hears::Down(who, why), cx);
    }

    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        (self.script)(Hears::Refused(refusal), cx);
    }

    fn writable(&mut self, to: AgentId, cx: &mut Context) {
        (self.script)(Hears::Writable(to), cx);
    }

    fn stopping(&mut self, cx: &mut Context) -> Stopping {
        (self.script)(Hears::Stopping, cx);
        self.stopping
    }

    fn shared(&self) -> Option<Arc<dyn SharedState>> {
        self.shared.clone()
    }
}

/// An agent that follows `script`.
pub fn agent(script: impl Script) -> Spawn {
    Spawn::new("scripted", move || Plays {
        script: script.clone(),
        stopping: Stopping::Now,
        shared: None,
    })
}

/// One that says by itself when it has stopped.
pub fn reluctant(script: impl Script) -> Spawn {
    Spawn::new("reluctant", move || Plays {
        script: script.clone(),
        stopping: Stopping::Later,
        shared: None,
    })
}

/// One with a shared state.
pub fn with_shared(state: Arc<dyn SharedState>, script: impl Script) -> Spawn {
    Spawn::new("shared", move || Plays {
        script: script.clone(),
        stopping: Stopping::Now,
        shared: Some(Arc::clone(&state)),
    })
}

/// One that tells `to` every number that it hears.
pub fn teller(to: AgentId) -> Spawn {
    agent(move |hears, cx| {
        if let Hears::Message(_, number) = hears {
            cx.send(to, Number(number));
        }
    })
}

/// A runtime with so many threads in its pool.
pub fn runtime(pool: usize) -> Runtime {
    let config = RuntimeConfig { pool, crew: 2, seed: Some(7), ..RuntimeConfig::default() };
    Runtime::start(config).expect("the system gives threads")
}

/// A place where agents and shared states wait until a test lets them go.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    waiting: usize,
    is_open: bool,
}

impl Gate {
    /// Waits until it is open.
    pub fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.waiting += 1;
        changed.notify_all();
        let mut state = changed.wait_while(state, |state| !state.is_open).unwrap();
        state.waiting -= 1;
    }

    /// Waits until so many wait at it.
    pub fn await_waiting(&self, count: usize) {
        let (state, changed) = &*self.0;
        drop(changed.wait_while(state.lock().unwrap(), |state| state.waiting < count).unwrap());
    }

    /// Opens it for good.
    pub fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }
}

/// A number that agents count up.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts one more: how many there were before.
    pub fn count(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    /// Counts so many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::SeqCst);
    }

    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Waits until something is so that will be so.
pub fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

/// More than any answer takes.
pub const LONG: Duration = Duration::from_secs(30);

/// The next message; news of room is passed over.
pub fn number(port: &Port) -> u64 {
    loop {
        match port.recv_within(LONG) {
            Some(Heard::Message(message)) => return message.open::<Number>().unwrap().0,
            Some(Heard::Writable(_)) => {}
            other => panic!("expected a message, heard {other:?}"),
        }
    }
}

/// So many messages.
pub fn numbers(port: &Port, count: usize) -> Vec<u64> {
    (0..count).map(|_| number(port)).collect()
}

/// The next end of an agent.
pub fn down(port: &Port) -> (AgentId, Down) {
    match port.recv_within(LONG) {
        Some(Heard::Down(who, why)) => (who, why),
        other => panic!("expected the end of an agent, heard {other:?}"),
    }
}

/// How many dead letters there are for a reason.
pub fn dead(runtime: &Runtime, reason: &str) -> u64 {
    runtime.status().dead_letters.get(reason).copied().unwrap_or(0)
}
