//! The same agents, on threads and in the simulator: the same end.

use std::sync::Arc;
use std::time::Duration;

use dx_agents::runtime::{Runtime, RuntimeConfig};
use dx_agents::{AgentId, AskError, Directory, RefusedBecause};
use dx_sim::{Heard, SimConfig};

use crate::kinds::{SECOND, Word, diaries, registry, world};

/// What is asked, of agent 1, one after the other.
fn questions() -> [(AgentId, Word); 4] {
    [
        (AgentId(1), Word::Question(1)),
        (AgentId(9), Word::Question(1)),
        (AgentId(2), Word::Panic),
        (AgentId(1), Word::Question(3)),
    ]
}

type Ends = Vec<Result<Word, AskError>>;

fn on_threads() -> Ends {
    let directory = Arc::new(Directory::new(diaries(&[1, 1])));
    let config = RuntimeConfig { directory: Arc::clone(&directory), pool: 1, ..Default::default() };
    let runtime = Runtime::start(config).unwrap();
    for spec in directory.agents() {
        runtime.start_agent(spec, &registry()).unwrap();
    }
    let port = runtime.port();
    let wait = Duration::from_secs(30);
    let ask = |(to, word)| port.ask_blocking(to, word, wait).map(|answer| answer.open().unwrap());
    questions().map(ask).into()
}

fn in_the_simulator() -> Ends {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 1]));
    sim.allow_panics();
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(dx_agents::NodeId(1));
    let mut ends = Vec::new();
    for (to, word) in questions() {
        sim.ask(port, to, word, SECOND);
        sim.run_for(SECOND).unwrap();
        let heard = sim.heard(port);
        let Some(Heard::Reply(_, answer)) = heard else { panic!("{heard:?}") };
        ends.push(answer.map(|answer| answer.open().unwrap()));
    }
    ends
}

#[test]
fn questions_end_the_same_way_on_threads_and_in_the_simulator() {
    let ends = on_threads();
    assert_eq!(ends, in_the_simulator());
    assert_eq!(ends[1], Err(AskError::Refused(RefusedBecause::Unknown)));
}
