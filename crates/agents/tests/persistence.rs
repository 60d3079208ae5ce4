//! Agents that must not forget, over real threads and a real journal.

use std::path::Path;
use std::time::Duration;

use dx_agents::runtime::{Heard, Port, Runtime, RuntimeConfig};
use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Down, Message, NodeId, Options, Registry,
    Restart,
};
use serde::{Deserialize, Serialize};

const WAIT: Duration = Duration::from_secs(30);
const TALLY: AgentId = AgentId(1);

/// What a tally hears and answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Count {
    Add(u64),
    Compact,
    Fail,
    Total(u64),
}

impl Message for Count {
    const NAME: &'static str = "count";
}

/// Adds up, and never forgets.
#[derive(Default)]
struct Tally {
    total: u64,
}

impl Agent for Tally {
    type Message = Count;

    fn start(&mut self, cx: &mut Context) {
        let recovered = cx.recovered();
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        self.total = recovered.snapshot.iter().map(|bytes| number(bytes)).sum();
        self.total += recovered.records.iter().map(|bytes| number(bytes)).sum::<u64>();
    }

    fn message(&mut self, _from: AgentId, message: Count, cx: &mut Context) {
        match message {
            Count::Add(count) => {
                self.total += count;
                cx.persist(count.to_le_bytes().to_vec());
            }
            Count::Compact => cx.snapshot(self.total.to_le_bytes().to_vec()),
            Count::Fail => panic!("as asked"),
            Count::Total(_) => {}
        }
        if let Some(to) = cx.asked() {
            cx.reply(to, Count::Total(self.total));
        }
    }
}

fn start(folder: Option<&Path>, restart: Restart) -> (Runtime, Port) {
    let options = Options { restart, ..Options::default() };
    let (kind, node) = ("tally".to_owned(), NodeId(1));
    let spec = AgentSpec { id: TALLY, kind, node, attr: serde_json::Value::Null, options };
    let directory = Directory::new([spec.clone()]).into();
    let journal = folder.map(Path::to_owned);
    let runtime =
        Runtime::start(RuntimeConfig { directory, journal, pool: 1, ..RuntimeConfig::default() });
    let runtime = runtime.expect("a runtime starts");
    let registry = Registry::new().kind("tally", |_, _| Ok(Tally::default()));
    runtime.start_agent(&spec, &registry).expect("the agent starts");
    let port = runtime.port();
    (runtime, port)
}

fn ask(port: &Port, question: Count) -> u64 {
    let answer = port.ask_blocking(TALLY, question, WAIT).expect("an answer");
    match answer.open().expect("a count") {
        Count::Total(total) => total,
        other => panic!("{other:?} is no total"),
    }
}

#[test]
fn what_was_answered_is_there_after_a_restart_of_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let (runtime, port) = start(Some(folder.path()), Restart::Never);
    assert_eq!(ask(&port, Count::Add(2)), 2);
    assert_eq!(ask(&port, Count::Add(3)), 5);
    drop(port);
    assert_eq!(runtime.stop(WAIT), []);

    let (_runtime, port) = start(Some(folder.path()), Restart::Never);
    assert_eq!(ask(&port, Count::Add(0)), 5);
}

#[test]
fn a_snapshot_takes_the_place_of_what_came_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (runtime, port) = start(Some(folder.path()), Restart::Never);
    ask(&port, Count::Add(2));
    ask(&port, Count::Compact);
    assert_eq!(ask(&port, Count::Add(3)), 5);
    drop(port);
    runtime.stop(WAIT);

    let (_runtime, port) = start(Some(folder.path()), Restart::Never);
    assert_eq!(ask(&port, Count::Add(1)), 6);
}

#[test]
fn an_agent_that_restarts_begins_with_all_that_it_persisted() {
    let folder = tempfile::tempdir().unwrap();
    let restart = Restart::OnFailure { max: 3, within: WAIT, backoff: Duration::from_millis(1) };
    let (runtime, port) = start(Some(folder.path()), restart);
    ask(&port, Count::Add(2));
    port.monitor(TALLY);
    port.send(TALLY, Count::Fail).unwrap();
    let heard = port.recv_within(WAIT);
    assert!(matches!(heard, Some(Heard::Down(TALLY, Down::Restarted))), "{heard:?}");
    assert_eq!(ask(&port, Count::Add(3)), 5);
    drop(port);
    runtime.stop(WAIT);

    // And what the second life persisted is no less there than what the first one did.
    let (_runtime, port) = start(Some(folder.path()), restart);
    assert_eq!(ask(&port, Count::Add(0)), 5);
}

#[test]
fn an_agent_that_persists_where_there_is_no_journal_fails_before_it_answers() {
    let (_runtime, port) = start(None, Restart::Never);
    port.monitor(TALLY);
    let answer = port.ask_blocking(TALLY, Count::Add(1), WAIT);
    assert!(answer.is_err(), "{answer:?}");
    let heard = port.recv_within(WAIT);
    assert!(matches!(heard, Some(Heard::Down(TALLY, Down::Panicked))), "{heard:?}");
}
