//! Echo and ping, stepped by hand: no thread, no clock.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::sync::Arc;
use std::time::Duration;

use dx::console::{Line, console};
use dx::kinds::Text;
use dx_agents::cell::{Cell, Step};
use dx_agents::context::{DynamicIds, JournalState, World};
use dx_agents::effect::Effect;
use dx_agents::event::{Envelope, Event};
use dx_agents::message::Body;
use dx_agents::{
    AgentId, AgentSpec, AskError, AskId, Context, Directory, Incarnation, Instant, NodeId, Options,
    TimerKey,
};
use serde_json::{Value, json};

const NODE: NodeId = NodeId(1);

/// One agent of a small deployment, at a time that the test sets.
struct Stage {
    cell: Cell,
    cx: Context,
    now: Arc<std::sync::atomic::AtomicU64>,
}

fn spec(id: u64, kind: &str, attr: Value) -> AgentSpec {
    AgentSpec { id: AgentId(id), kind: kind.into(), node: NODE, attr, options: Options::default() }
}

impl Stage {
    fn new(id: u64, specs: Vec<AgentSpec>) -> Self {
        let directory = Arc::new(Directory::new(specs));
        let program = dx::Program::new();
        let own = directory.agent(AgentId(id)).unwrap();
        let agent = program.registry().make(own, &directory).unwrap();
        let now = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let clock = Arc::clone(&now);
        let cx = Context::new(World {
            node: NODE,
            incarnation: Incarnation(1),
            directory,
            ids: Arc::new(DynamicIds::new(NODE, Incarnation(1))),
            seed: 1,
            clock: Box::new(move || Instant(clock.load(std::sync::atomic::Ordering::Relaxed))),
            journal: Box::new(|| JournalState::None),
        });
        Self { cell: Cell::new(AgentId(id), agent), cx, now }
    }

    /// One step; its effects.
    fn step(&mut self, event: Event) -> Vec<Effect> {
        let step = self.cell.step(event, &mut self.cx);
        assert!(matches!(step, Step::Ran), "{step:?}");
        std::mem::take(self.cx.effects())
    }

    fn start(&mut self) -> Vec<Effect> {
        self.step(Event::Start(Box::default()))
    }

    fn later(&self, by: Duration) {
        self.now.fetch_add(by.as_nanos() as u64, std::sync::atomic::Ordering::Relaxed);
    }
}

fn lines(effects: Vec<Effect>) -> Vec<String> {
    let line = |effect| match effect {
        Effect::Send { to, body, .. } if to == console(NODE) => {
            Some(body.open::<Line>().unwrap().0)
        }
        _ => None,
    };
    effects.into_iter().filter_map(line).collect()
}

/// The timer of this key as it was last set.
fn timer(effects: &[Effect], wanted: TimerKey) -> (Event, Instant) {
    let set = effects.iter().rev().find_map(|effect| match effect {
        Effect::SetTimer { key, generation, at } if *key == wanted => {
            Some((Event::Timer { key: *key, generation: *generation }, *at))
        }
        _ => None,
    });
    set.unwrap()
}

fn envelope(from: u64, ask: Option<u64>, text: &[u8]) -> Event {
    let ask = ask.map(|ask| AskId(ask.try_into().unwrap()));
    let body = Body::Typed(Box::new(Text::new(text.to_vec())));
    Event::Message(Envelope { from: AgentId(from), ask, body })
}

fn pair() -> Vec<AgentSpec> {
    let attr = json!({ "target": 1, "interval": "250ms" });
    vec![spec(1, "echo", json!({})), spec(2, "ping", attr)]
}

const GREET: TimerKey = TimerKey(1);
const REPORT: TimerKey = TimerKey(2);

#[test]
fn an_echo_prints_all_and_answers_what_it_is_asked() {
    let mut echo = Stage::new(1, pair());
    echo.start();
    let told = lines(echo.step(envelope(2, None, b"$1\n\0")));
    assert_eq!(told, [r"Echo agent 1 received from agent 2: $1\n\u{0}"]);
    let effects = echo.step(envelope(2, Some(7), b"$1\n\0"));
    let answer = effects.into_iter().find_map(|effect| match effect {
        Effect::Reply { to, body } => Some((to, body.open::<Text>().unwrap())),
        _ => None,
    });
    let (to, text) = answer.unwrap();
    assert_eq!((to.agent, to.ask.0.get(), text.bytes()), (AgentId(2), 7, &b"$1\n\0"[..]));
}

#[test]
fn an_echo_that_is_not_to_reply_only_prints() {
    let mut echo = Stage::new(1, vec![spec(1, "echo", json!({ "reply": false }))]);
    echo.start();
    let effects = echo.step(envelope(2, Some(7), b"a"));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Reply { .. })), "{effects:?}");
    assert_eq!(lines(effects).len(), 1);
}

/// What a ping sends, and by which question.
fn greetings(effects: &mut Vec<Effect>) -> Vec<(Option<AskId>, String)> {
    let is_greeting =
        |effect: &mut Effect| matches!(effect, Effect::Send { to, .. } if *to == AgentId(1));
    let greetings = effects.extract_if(.., is_greeting).map(|effect| match effect {
        Effect::Send { ask, body, .. } => {
            let text = body.open::<Text>().unwrap();
            (ask, String::from_utf8(text.bytes().to_vec()).unwrap())
        }
        _ => unreachable!("only sends are taken"),
    });
    greetings.collect()
}

#[test]
fn a_ping_counts_from_zero_at_its_interval() {
    let mut ping = Stage::new(2, pair());
    let mut effects = ping.start();
    for number in 0..3 {
        let (timer, at) = timer(&effects, GREET);
        assert_eq!(at, Instant(250_000_000 * (number + 1)));
        let sent = greetings(&mut effects);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].1, format!("Hello #{number} from Ping agent 2"));
        ping.later(Duration::from_millis(250));
        effects = ping.step(timer);
    }
}

#[test]
fn a_ping_reports_what_was_lost_and_how_long_answers_took() {
    let mut ping = Stage::new(2, pair());
    let mut effects = ping.start();
    let (report, _) = timer(&effects, REPORT);
    let (next, _) = timer(&effects, GREET);
    let ask = greetings(&mut effects)[0].0.unwrap();
    ping.later(Duration::from_millis(10));
    let told = lines(ping.step(Event::Reply(ask, Err(AskError::Timeout))));
    assert_eq!(told, ["Ping agent 2: Hello #0 was not answered: no answer came in time"]);
    let mut effects = ping.step(next);
    assert_eq!(greetings(&mut effects).len(), 1);
    let told = lines(ping.step(report));
    assert_eq!(told, ["Ping agent 2: 2 sent, 0 answered, 1 lost"]);
}

#[test]
fn a_ping_expects_no_answer_of_whom_it_is_not_known_to_answer() {
    let silent = vec![spec(1, "echo", json!({ "reply": false })), pair().remove(1)];
    let mut ping = Stage::new(2, silent);
    let mut effects = ping.start();
    let (report, _) = timer(&effects, REPORT);
    assert_eq!(greetings(&mut effects)[0].0, None);
    assert_eq!(lines(ping.step(report)), ["Ping agent 2: 1 sent"]);
}

#[test]
fn a_ping_without_somebody_to_greet_is_refused() {
    let registry = dx::Program::new().registry().clone();
    let ping = spec(2, "ping", json!({ "target": 7 }));
    let directory = Directory::new([ping.clone()]);
    let error = registry.make(&ping, &directory).err().unwrap().to_string();
    assert_eq!(error, "`target`: there is no agent 7");
}
