//! A cell on the desk: the test is its driver, and its agent does what a message says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dx_agents::cell::{Cell, Step};
use dx_agents::context::{DynamicIds, World};
use dx_agents::effect::Effect;
use dx_agents::event::{Envelope, Event, Recovered};
use dx_agents::message::Body;
use dx_agents::{
    Agent, AgentId, Answer, AskError, AskId, Context, Down, Incarnation, Instant, JobId,
    JournalState, Message, NodeId, Outcome, Refusal, TimerKey,
};
use serde::{Deserialize, Serialize};

/// What a message tells the agent to do.
type Order = Box<dyn FnOnce(&mut Context) + Send>;

/// A message that is its own handler.
#[derive(Serialize, Deserialize)]
pub struct Do {
    #[serde(skip)]
    order: Option<Order>,
}

impl Message for Do {
    const NAME: &'static str = "do";
}

/// Does what it is told, and remembers all that it heard.
#[derive(Default)]
pub struct Obeys {
    pub heard: Vec<String>,
}

impl Agent for Obeys {
    type Message = Do;

    fn start(&mut self, cx: &mut Context) {
        let Recovered { snapshot, records } = cx.recovered();
        self.heard.push(format!("start {} {}", snapshot.is_some(), records.len()));
    }

    fn message(&mut self, _: AgentId, Do { order }: Do, cx: &mut Context) {
        if let Some(order) = order {
            order(cx);
        }
    }

    fn timer(&mut self, key: TimerKey, _: &mut Context) {
        self.heard.push(format!("timer {}", key.0));
    }

    fn reply(&mut self, ask: AskId, answer: Result<Answer, AskError>, _: &mut Context) {
        let end = match answer {
            Ok(_) => "answer".to_owned(),
            Err(error) => error.to_string(),
        };
        self.heard.push(format!("reply {}: {end}", ask.0));
    }

    fn done(&mut self, job: JobId, outcome: Outcome, _: &mut Context) {
        self.heard.push(format!("done {}: {outcome:?}", job.0));
    }

    fn down(&mut self, who: AgentId, why: Down, _: &mut Context) {
        self.heard.push(format!("down {who}: {why}"));
    }

    fn refused(&mut self, refusal: Refusal, _: &mut Context) {
        self.heard.push(format!("refused {} {}", refusal.to, refusal.count));
    }

    fn writable(&mut self, to: AgentId, _: &mut Context) {
        self.heard.push(format!("writable {to}"));
    }
}

pub const ME: AgentId = AgentId(1);
pub const PEER: AgentId = AgentId(2);

/// A cell, its context, and a clock that moves with every look.
pub struct Desk {
    pub cell: Cell,
    pub cx: Context,
    pub looks: Arc<AtomicU64>,
}

impl Desk {
    pub fn new() -> Self {
        Self::seeded(7, ME)
    }

    pub fn seeded(seed: u64, me: AgentId) -> Self {
        let looks = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&looks);
        let world = World {
            node: NodeId(1),
            incarnation: Incarnation(3),
            directory: Arc::default(),
            ids: Arc::new(DynamicIds::new(NodeId(1), Incarnation(3))),
            seed,
            clock: Box::new(move || Instant(clock.fetch_add(1, Ordering::Relaxed) + 1)),
            journal: Box::new(|| JournalState::Open),
        };
        let cell = Cell::new(me, Box::new(Obeys::default()));
        Self { cell, cx: Context::new(world), looks }
    }

    /// One event: how the step went, and its effects.
    pub fn event(&mut self, event: Event) -> (Step, Vec<Effect>) {
        let step = self.cell.step(event, &mut self.cx);
        (step, std::mem::take(self.cx.effects()))
    }

    /// One step that does `order`, and must succeed: its effects.
    pub fn run(&mut self, order: impl FnOnce(&mut Context) + Send + 'static) -> Vec<Effect> {
        let (step, effects) = self.event(told(order));
        assert!(matches!(step, Step::Ran), "{step:?}");
        effects
    }

    /// What the agent heard since the last look.
    pub fn heard(&self) -> &[String] {
        &self.cell.agent::<Obeys>().expect("it obeys").heard
    }

    /// Restarts the agent: the effects.
    pub fn restart(&mut self) -> Vec<Effect> {
        self.cell.restart(Box::new(Obeys::default()), self.cx.effects());
        std::mem::take(self.cx.effects())
    }
}

/// A message that tells the agent to do `order`.
pub fn told(order: impl FnOnce(&mut Context) + Send + 'static) -> Event {
    let body = Body::Typed(Box::new(Do { order: Some(Box::new(order)) }));
    Event::Message(Envelope { from: PEER, ask: None, body })
}

/// A message that does nothing.
pub fn nothing() -> Do {
    Do { order: None }
}

/// Effects in words.
pub fn words(effects: &[Effect]) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Send { to, ask: None, .. } => format!("send {to}"),
        Effect::Send { to, ask: Some(ask), .. } => format!("ask {to} {}", ask.0),
        Effect::Reply { to, .. } => format!("reply {}", to.agent),
        Effect::SetDeadline { ask, .. } => format!("deadline {}", ask.0),
        Effect::ClearDeadline { ask } => format!("no deadline {}", ask.0),
        Effect::SetTimer { key, generation, .. } => format!("timer {} {generation}", key.0),
        Effect::ClearTimer { key, generation } => format!("no timer {} {generation}", key.0),
        Effect::Offload { job, .. } => format!("job {}", job.0),
        Effect::Persist(_) => "persist".to_owned(),
        Effect::Monitor { who } => format!("monitor {who}"),
        Effect::Demonitor { who } => format!("demonitor {who}"),
        Effect::Spawn { .. } => "spawn".to_owned(),
        Effect::Stop => "stop".to_owned(),
        Effect::Note(name, value) => format!("note {name} {value}"),
    };
    effects.iter().map(word).collect()
}
