//! What arrives is heard at once, past the mailbox, where nothing is in the way of that. Nobody is to
//! notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dx_agents::mesh::Node;
use dx_agents::{Agent, AgentId, Context, MailboxBounds, Message, NodeId, Registry, Restart};
use serde::{Deserialize, Serialize};

use crate::nodes::{HANG, config, soon, spec};

/// What the agents here say to each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Word {
    /// To be sent numbers.
    Go(u64),
    GoToBoth(u64),
    Number(u64),
    /// To be answered when everything before it was heard.
    Done,
}

impl Message for Word {
    const NAME: &'static str = "test.word";
}

/// Sends numbers in one step, to one agent or two in turn, and then a word to another.
struct Source(u64);

impl Agent for Source {
    type Message = Word;

    fn message(&mut self, _: AgentId, word: Word, cx: &mut Context) {
        let (sinks, count) = match word {
            Word::Go(count) => ([SINK, SINK], count),
            Word::GoToBoth(count) => ([SINK, OTHER_SINK], count),
            Word::Number(_) | Word::Done => return,
        };
        for number in self.0..self.0 + count {
            cx.send(sinks[number as usize % 2], Word::Number(number));
        }
        cx.send(FRIEND, Word::Done);
        self.0 += count;
    }
}

/// What else an agent does that hears numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    None,
    /// It says something to another agent of its thread with each number.
    Chats,
    /// It takes some time.
    Works,
    /// It writes each number to its journal.
    Persists,
    /// It fails at numbers that can be divided by 300, and begins anew.
    Fails,
    /// It stops at number 300.
    Stops,
}

/// What all lives of an agent have heard.
#[derive(Default)]
struct Tally {
    heard: AtomicU64,
    next: AtomicU64,
    is_disordered: AtomicBool,
    /// Steps of another agent of the same thread, and what was heard before the last.
    turns: AtomicU64,
    at_last_turn: AtomicU64,
    /// Heard between two turns of that one, at most.
    between_turns: AtomicU64,
}

struct Sink {
    habit: Habit,
    tally: Arc<Tally>,
}

impl Agent for Sink {
    type Message = Word;

    fn message(&mut self, _: AgentId, word: Word, cx: &mut Context) {
        match (word, cx.asked()) {
            (Word::Number(number), _) => self.number(number, cx),
            (_, Some(to)) => cx.reply(to, Word::Done),
            _ => {}
        }
    }
}

impl Sink {
    fn number(&mut self, number: u64, cx: &mut Context) {
        self.tally.heard.fetch_add(1, Ordering::Relaxed);
        let due = self.tally.next.swap(number + 1, Ordering::Relaxed);
        // Those that waited when it failed are lost.
        let is_due = number == due || (self.habit == Habit::Fails && number > due);
        self.tally.is_disordered.fetch_or(!is_due, Ordering::Relaxed);
        match self.habit {
            Habit::Chats => cx.send(FRIEND, Word::Done),
            Habit::Works => {
                let began = Instant::now();
                while began.elapsed() < WORK {}
            }
            Habit::Persists => cx.persist(number.to_le_bytes().to_vec()),
            Habit::Fails => assert!(number % 300 != 299, "it was to"),
            Habit::Stops if number == 300 => cx.stop(),
            Habit::Stops | Habit::None => {}
        }
    }
}

/// Notes when it has its turn.
struct Friend(Arc<Tally>);

impl Agent for Friend {
    type Message = Word;

    fn message(&mut self, _: AgentId, _: Word, _: &mut Context) {
        let heard = self.0.heard.load(Ordering::Relaxed);
        let since = heard - self.0.at_last_turn.swap(heard, Ordering::Relaxed);
        self.0.between_turns.fetch_max(since, Ordering::Relaxed);
        self.0.turns.fetch_add(1, Ordering::Release);
    }
}

const SOURCE: AgentId = AgentId(10);
const SINK: AgentId = AgentId(20);
const FRIEND: AgentId = AgentId(21);
const OTHER_SINK: AgentId = AgentId(22);

/// Numbers that leave in one step.
const AT_ONCE: u64 = 1000;

/// A turn of such steps is not slow, and all that is sent in one step takes ten times as long as one
/// slow step.
const WORK: Duration = Duration::from_micros(10);

/// More than ever wait.
const ROOM: usize = 100_000;

/// Such steps.
const TIMES: u64 = 20;

/// A source and, on another node, a sink, over `transport`.
struct Pair {
    one: Node,
    two: Node,
    tally: Arc<Tally>,
    _journal: tempfile::TempDir,
}

impl Pair {
    fn new(transport: &str, habit: Habit) -> Self {
        let tally = Arc::new(Tally::default());
        let (shared, friendly) = (Arc::clone(&tally), Arc::clone(&tally));
        let kinds = Registry::new()
            .kind("source", |_, _| Ok(Source(0)))
            .kind("sink", move |_, _| Ok(Sink { habit, tally: Arc::clone(&shared) }))
            .kind("friend", move |_, _| Ok(Friend(Arc::clone(&friendly))));
        let specs = ["source", "sink", "friend", "sink"];
        let mut specs: Vec<_> = [SOURCE, SINK, FRIEND, OTHER_SINK]
            .iter()
            .zip(specs)
            .map(|(id, kind)| spec(id.0, kind))
            .collect();
        for spec in &mut specs {
            spec.options.mailbox = MailboxBounds { messages: ROOM, ..MailboxBounds::default() };
            spec.options.restart =
                Restart::OnFailure { max: 1000, within: HANG, backoff: Duration::ZERO };
        }
        let journal = tempfile::tempdir().unwrap();
        let mut one = config(transport, 1, 1, &specs);
        one.peers = vec![(NodeId(2), Vec::new())];
        let one = Node::start(one, &kinds).unwrap();
        let mut two = config(transport, 2, 1, &specs);
        two.peers = vec![(NodeId(1), one.endpoints().to_vec())];
        two.runtime.journal = Some(journal.path().to_owned());
        let two = Node::start(two, &kinds).unwrap();
        soon(one.ready());
        let pair = Self { one, two, tally, _journal: journal };
        for sink in [SINK, OTHER_SINK] {
            pair.one.runtime().port().ask_blocking(sink, Word::Done, HANG).unwrap();
        }
        wait_until(|| {
            let outboxes = &pair.one.status().links[0].outboxes;
            outboxes.iter().filter(|outbox| outbox.share == ROOM as u64).count() == 2
        });
        pair
    }

    /// Has the source send all numbers, and waits until they are dealt with.
    fn send_all(&self) {
        (0..TIMES).for_each(|_| self.send(Word::Go(AT_ONCE)));
        self.wait_for(TIMES * AT_ONCE);
    }

    fn send(&self, go: Word) {
        self.one.runtime().port().send(SOURCE, go).unwrap();
    }

    /// Waits until so many numbers are dealt with.
    fn wait_for(&self, count: u64) {
        wait_until(|| self.heard() + self.lost() == count);
    }

    fn heard(&self) -> u64 {
        self.tally.heard.load(Ordering::Relaxed)
    }

    /// Numbers that reached nobody.
    fn lost(&self) -> u64 {
        self.two.status().agents.dead_letters.values().sum()
    }
}

fn wait_until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < HANG, "it never came");
        std::thread::yield_now();
    }
}

#[test]
fn what_arrives_is_heard_in_the_order_in_which_it_was_sent() {
    for transport in ["memory", "tcp", "quic"] {
        for habit in [Habit::None, Habit::Chats, Habit::Persists] {
            let pair = Pair::new(transport, habit);
            pair.send_all();
            assert_eq!((pair.heard(), pair.lost()), (TIMES * AT_ONCE, 0), "{transport} {habit:?}");
            let is_disordered = pair.tally.is_disordered.load(Ordering::Relaxed);
            assert!(!is_disordered, "{transport} {habit:?}");
        }
    }
}

#[test]
fn who_hears_what_arrives_leaves_the_others_their_turns() {
    let pair = Pair::new("memory", Habit::Chats);
    pair.send_all();
    // A turn of what had arrived, and one of what waited.
    let most = 2 * dx_agents::runtime::TURN as u64;
    let between = pair.tally.between_turns.load(Ordering::Relaxed);
    assert!((1..=most).contains(&between), "{between}");
}

#[test]
fn two_who_hear_what_arrives_leave_the_others_their_turns() {
    let pair = Pair::new("memory", Habit::Chats);
    (0..TIMES).for_each(|_| pair.send(Word::GoToBoth(AT_ONCE)));
    pair.wait_for(TIMES * AT_ONCE);
    // A turn of each for what waited, and as much for what had arrived.
    let most = 4 * dx_agents::runtime::TURN as u64;
    let between = pair.tally.between_turns.load(Ordering::Relaxed);
    assert!(between <= most, "{between}");
}

#[test]
fn what_comes_after_much_work_does_not_wait_for_all_of_it() {
    let pair = Pair::new("memory", Habit::Works);
    for time in 1..=TIMES {
        pair.send(Word::Go(AT_ONCE));
        pair.wait_for(time * AT_ONCE);
        wait_until(|| pair.tally.turns.load(Ordering::Acquire) == time);
        let before = pair.tally.at_last_turn.load(Ordering::Relaxed) - (time - 1) * AT_ONCE;
        assert!(before < AT_ONCE / 2, "{before}");
    }
}

#[test]
fn what_arrives_for_an_agent_that_has_failed_is_heard_by_its_next_life_or_counted() {
    let pair = Pair::new("memory", Habit::Fails);
    pair.send_all();
    assert_eq!(pair.heard() + pair.lost(), TIMES * AT_ONCE);
    assert!(pair.tally.next.load(Ordering::Relaxed) > 300);
    assert!(!pair.tally.is_disordered.load(Ordering::Relaxed));
}

#[test]
fn what_arrives_for_an_agent_that_has_stopped_is_counted() {
    let pair = Pair::new("memory", Habit::Stops);
    pair.send(Word::Go(AT_ONCE));
    pair.wait_for(AT_ONCE);
    assert_eq!((pair.heard(), pair.lost()), (301, AT_ONCE - 301));
}

#[test]
fn a_question_that_arrives_among_messages_is_answered_after_them() {
    let pair = Pair::new("tcp", Habit::None);
    let port = pair.one.runtime().port();
    for time in 1..=TIMES {
        for number in 0..50 {
            port.send(SINK, Word::Number((time - 1) * 50 + number)).unwrap();
        }
        port.ask_blocking(SINK, Word::Done, HANG).unwrap();
        assert_eq!(pair.heard(), time * 50);
    }
    assert!(!pair.tally.is_disordered.load(Ordering::Relaxed));
}
