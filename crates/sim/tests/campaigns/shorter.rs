//! Of a failure there is as little to read as can be found.

use std::time::Duration;

use dx_agents::{Agent, AgentId, AgentSpec, Context, Directory, Message, Registry, TimerKey};
use dx_sim::tape::Tape;
use dx_sim::{Choices, Delay, Effort, Failure, Network, Scenario, Sim, SimConfig};
use serde::{Deserialize, Serialize};

const RULE: &str = "nobody is asked who has the second answer";
const ASKS: u64 = 5;

#[derive(Clone, Serialize, Deserialize)]
enum Say {
    Ask(u64),
    Answer(u64),
}

impl Message for Say {
    const NAME: &'static str = "say";
}

/// Asks all others, and has enough of two answers. The rule breaks, after a while, whatever else comes.
#[derive(Default)]
struct Asks {
    answers: u64,
    is_late: bool,
}

impl Agent for Asks {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        let all: Vec<AgentId> = (2..2 + ASKS).map(AgentId).collect();
        cx.send_many(&all, &Say::Ask(1));
    }

    fn message(&mut self, _: AgentId, say: Say, cx: &mut Context) {
        if let Say::Answer(_) = say {
            self.answers += 1;
            if self.answers == 2 {
                cx.set_timer(TimerKey(1), Duration::from_millis(20));
            }
        }
    }

    fn timer(&mut self, _: TimerKey, _: &mut Context) {
        self.is_late = true;
    }
}

struct Answers;

impl Agent for Answers {
    type Message = Say;

    fn message(&mut self, from: AgentId, say: Say, cx: &mut Context) {
        if let Say::Ask(number) = say {
            cx.send(from, Say::Answer(number));
        }
    }
}

fn make(seed: u64, choices: Choices) -> Sim {
    let agent = |id: u64| {
        let kind = if id == 1 { "asks" } else { "answers" };
        serde_json::json!({ "id": id, "kind": kind, "node": id })
    };
    let agents = (1..2 + ASKS).map(|id| serde_json::from_value::<AgentSpec>(agent(id)).unwrap());
    let registry = Registry::new()
        .kind("asks", |_, _| Ok(Asks::default()))
        .kind("answers", |_, _| Ok(Answers));
    let delay = Delay::Between(Duration::from_millis(1), Duration::from_millis(100));
    let network = Network { delay, ..Network::default() };
    let config = SimConfig { network, ..SimConfig::seeded(seed) };
    Sim::with_choices(config, Directory::new(agents), registry, choices).unwrap()
}

fn play(sim: &mut Sim) -> Result<(), Failure> {
    sim.always(RULE, |sim| match sim.agent::<Asks>(AgentId(1)) {
        Some(it) if it.is_late => Err(format!("{} answers", it.answers)),
        _ => Ok(()),
    });
    sim.run_for(Duration::from_secs(1))
}

/// The run in which all choices are 0: nothing is plainer.
fn plainest() -> Failure {
    Scenario { make, play }.run(1, Choices::replayed(&Tape::new())).1.unwrap()
}

fn read(failure: &Failure) -> dx_sim::Explanation {
    Scenario { make, play }.explain(failure).unwrap()
}

/// With the shortest of all delays, five answers come in time. With two there is less to read.
#[test]
fn what_need_not_come_in_time_comes_too_late() {
    let scenario = Scenario { make, play };
    let failure = plainest();
    let effort = Effort { runs: 2000, growth: 2 };
    let smaller = scenario.shrink(&failure, &effort, |_| ()).unwrap();
    let (before, after) = (read(&failure), read(&smaller.failure));
    let handled = |it: &dx_sim::Explanation| {
        let is_answer = |row: &&dx_sim::explain::Row| row.text.starts_with("Answer");
        it.rows.iter().filter(is_answer).count()
    };
    assert_eq!((handled(&before), handled(&after)), (5, 2), "{after}");
    assert!(after.to_read() < before.to_read(), "{before}\n{after}");
    assert_eq!(smaller.failure.what, failure.what);
    for it in [&smaller.failure, &failure] {
        assert_eq!(scenario.replay(it).1.as_ref(), Some(it), "it replays no more");
    }
    let again = scenario.shrink(&failure, &effort, |_| ()).unwrap();
    assert_eq!(again, smaller, "it is the same every time");
}

#[test]
fn no_more_runs_are_spent_than_there_are() {
    let (scenario, failure) = (Scenario { make, play }, plainest());
    for runs in [5, 30, 31, 32, 100] {
        let mut last = 0;
        scenario.shrink(&failure, &Effort { runs, growth: 2 }, |seen| last = seen.runs).unwrap();
        assert!(last <= runs, "{last} of {runs}");
    }
}
