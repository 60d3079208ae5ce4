//! Agents to test with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dx_agents::{Agent, AgentId, Context, Down, Lane, Message, Registry};
use serde::{Deserialize, Serialize};

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

/// The kinds, and what all sinks have seen.
pub fn registry() -> (Registry, Arc<AtomicU64>) {
    #[derive(Deserialize)]
    struct SinkAttr {
        #[serde(default)]
        step_ms: u64,
    }
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let registry =
        Registry::new().kind("echo", |_, _| Ok(Echo::default())).kind("sink", move |spec, _| {
            let attr: SinkAttr = spec.attr()?;
            Ok(Sink { step: Duration::from_millis(attr.step_ms), seen: Arc::clone(&counter) })
        });
    (registry, seen)
}
