//! Agents to test with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dx_agents::{Agent, AgentId, Context, Down, Lane, Message, Registry, ReplyTo, Stopping};
use serde::{Deserialize, Serialize};

use crate::nodes::HANG;

/// What all of them understand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Say {
    /// A number, and bytes beside it. Asked, an echo answers with the same; told, it tells it back.
    Number(u64, #[serde(skip)] Bytes),
    /// The same in the bulk lane.
    Bulk(u64, #[serde(skip)] Bytes),
    /// The same in the urgent lane.
    Urgent(u64),
    /// Stop.
    Stop,
    /// Panic.
    Panic,
    /// Who is to be monitored.
    Monitor(AgentId),
    /// What a monitor heard.
    Heard(AgentId, String),
}

impl Message for Say {
    const NAME: &'static str = "test.say";

    fn lane(&self) -> Lane {
        match self {
            Self::Urgent(_) => Lane::Urgent,
            Self::Bulk(..) => Lane::Bulk,
            _ => Lane::Normal,
        }
    }

    fn body(&self) -> Bytes {
        match self {
            Self::Number(_, body) | Self::Bulk(_, body) => body.clone(),
            _ => Bytes::new(),
        }
    }

    fn set_body(&mut self, new: Bytes) {
        if let Self::Number(_, body) | Self::Bulk(_, body) = self {
            *body = new;
        }
    }
}

pub fn number(number: u64) -> Say {
    Say::Number(number, Bytes::new())
}

/// Sends back what it gets, and tells who monitors through it what it hears.
#[derive(Default)]
struct Echo {
    client: AgentId,
}

impl Agent for Echo {
    type Message = Say;

    fn message(&mut self, from: AgentId, message: Say, cx: &mut Context) {
        match message {
            Say::Stop => cx.stop(),
            Say::Panic => panic!("as it was told"),
            Say::Monitor(who) => {
                self.client = from;
                cx.monitor(who);
            }
            other => match cx.asked() {
                Some(to) => cx.reply(to, other),
                None => cx.send(from, other),
            },
        }
    }

    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        cx.send(self.client, Say::Heard(who, format!("{why:?}")));
    }
}

/// Counts what it gets and says nothing; each message takes it so many milliseconds.
struct Sink {
    step: Duration,
    seen: Arc<AtomicU64>,
}

impl Agent for Sink {
    type Message = Say;

    fn message(&mut self, _: AgentId, _: Say, _: &mut Context) {
        if !self.step.is_zero() {
            std::thread::sleep(self.step);
        }
        self.seen.fetch_add(1, Ordering::Relaxed);
    }
}

/// Holds an agent in its first step until it is opened, and counts what passes afterwards.
#[derive(Clone, Default)]
pub struct Gate {
    /// What sinks have seen.
    pub seen: Arc<AtomicU64>,
    state: Arc<(Mutex<Passed>, Condvar)>,
}

#[derive(Default)]
struct Passed {
    is_open: bool,
    count: u64,
    last: Option<u64>,
    urgent: bool,
    is_disordered: bool,
}

impl Gate {
    pub fn open(&self) {
        self.state.0.lock().unwrap().is_open = true;
        self.state.1.notify_all();
    }

    /// Messages that have passed.
    pub fn passed(&self) -> u64 {
        self.state.0.lock().unwrap().count
    }

    /// Waits until exactly so many have passed.
    pub fn wait_for(&self, count: u64) {
        assert_eq!(self.wait_until(|passed| passed.count >= count), count);
    }

    /// Waits until an urgent message has passed.
    pub fn wait_for_urgent(&self) {
        self.wait_until(|passed| passed.urgent);
    }

    /// Whether all numbers grew.
    pub fn is_in_order(&self) -> bool {
        !self.state.0.lock().unwrap().is_disordered
    }

    fn wait_until(&self, is_done: impl Fn(&Passed) -> bool) -> u64 {
        let (state, change) = &*self.state;
        let waiting =
            change.wait_timeout_while(state.lock().unwrap(), HANG, |passed| !is_done(passed));
        let (passed, timeout) = waiting.unwrap();
        assert!(!timeout.timed_out(), "only {} messages came", passed.count);
        passed.count
    }

    fn pass(&self, say: &Say) {
        let (state, change) = &*self.state;
        let mut passed = change.wait_while(state.lock().unwrap(), |gate| !gate.is_open).unwrap();
        passed.count += 1;
        match *say {
            Say::Number(number, _) => {
                passed.is_disordered |= passed.last.is_some_and(|last| number <= last);
                passed.last = Some(number);
            }
            Say::Urgent(_) => passed.urgent = true,
            _ => {}
        }
        change.notify_all();
    }
}

struct Guard(Gate);

impl Agent for Guard {
    type Message = Say;

    fn message(&mut self, _: AgentId, message: Say, _: &mut Context) {
        self.0.pass(&message);
    }
}

/// What one that floods understands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Flood {
    GoOn,
    /// To be answered when all was sent.
    Ended,
}

impl Message for Flood {
    const NAME: &'static str = "test.flood";
}

/// Sends numbers as fast as it can, whether they are refused or not.
struct Flooder {
    to: AgentId,
    next: u64,
    count: u64,
    ended: Option<ReplyTo>,
}

impl Agent for Flooder {
    type Message = Flood;

    fn start(&mut self, cx: &mut Context) {
        let me = cx.me();
        cx.send(me, Flood::GoOn);
    }

    fn message(&mut self, _: AgentId, message: Flood, cx: &mut Context) {
        match message {
            Flood::Ended => self.ended = cx.asked(),
            Flood::GoOn => {
                for _ in 0..100.min(self.count - self.next) {
                    cx.send(self.to, number(self.next));
                    self.next += 1;
                }
                if self.next < self.count {
                    let me = cx.me();
                    cx.send(me, Flood::GoOn);
                }
            }
        }
        if self.next == self.count
            && let Some(to) = self.ended.take()
        {
            cx.reply(to, Flood::Ended);
        }
    }
}

/// What a farewell says: no more than may leave without hearing of the receiver, and wait.
pub const FAREWELLS: u64 = 64 + dx_agents::mesh::MAX_WAITING as u64;

/// Says much when it is stopped.
#[derive(Default)]
struct Farewell(AgentId);

impl Agent for Farewell {
    type Message = Say;

    fn message(&mut self, from: AgentId, message: Say, cx: &mut Context) {
        if let Say::Monitor(friend) = message {
            self.0 = friend;
            cx.send(from, Say::Heard(friend, "ready".to_owned()));
        }
    }

    fn stopping(&mut self, cx: &mut Context) -> Stopping {
        for n in 0..FAREWELLS {
            cx.send(self.0, number(n));
        }
        Stopping::Now
    }
}

/// The kinds, and what all sinks have seen.
pub fn registry() -> (Registry, Arc<AtomicU64>) {
    let gate = Gate::default();
    (registry_with(&gate), gate.seen)
}

/// The kinds; agents of the kind `gate` pass through this one.
pub fn registry_with(gate: &Gate) -> Registry {
    #[derive(Deserialize)]
    struct SinkAttr {
        #[serde(default)]
        step_ms: u64,
    }
    #[derive(Deserialize)]
    struct FloodAttr {
        to: AgentId,
        count: u64,
    }
    let (guard, seen) = (gate.clone(), Arc::clone(&gate.seen));
    Registry::new()
        .kind("echo", |_, _| Ok(Echo::default()))
        .kind("farewell", |_, _| Ok(Farewell::default()))
        .kind("gate", move |_, _| Ok(Guard(guard.clone())))
        .kind("sink", move |spec, _| {
            let attr: SinkAttr = spec.attr()?;
            Ok(Sink { step: Duration::from_millis(attr.step_ms), seen: Arc::clone(&seen) })
        })
        .kind("flood", |spec, _| {
            let FloodAttr { to, count } = spec.attr()?;
            Ok(Flooder { to, next: 0, count, ended: None })
        })
}
