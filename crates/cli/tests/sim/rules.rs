//! What kinds promise is judged, and what every cluster is held to.

use std::collections::BTreeMap;
use std::time::Duration;

use dx::Program;
use dx::config::{Layer, Source, load};
use dx::console::say;
use dx::kinds::Text;
use dx::simulate::{Faults, Fidelity, Kept, Setup, World, judge};
use dx_agents::{Agent, AgentId, Context, TimerKey};
use dx_sim::campaign::{Campaign, Report, Scenario};
use dx_sim::{Choices, Sim};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Attr {}

/// Does what it is made of every second.
struct Every(fn(&mut Context));

impl Agent for Every {
    type Message = Text;

    fn start(&mut self, cx: &mut Context) {
        cx.set_timer(TimerKey(0), Duration::from_secs(1));
    }

    fn message(&mut self, _: AgentId, _: Text, _: &mut Context) {}

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        (self.0)(cx);
        cx.set_timer(key, Duration::from_secs(1));
    }
}

const CLUSTER: &str = r#"
    [node.n1]
    id = 1
    address = "127.0.0.1:7001"

    [agent.1]
    kind = "echo"
    node = "n1"

    [agent.2]
    kind = "odd"
    node = "n1"
"#;

fn setup(program: &Program) -> Setup {
    let source = Source::new(Layer::File, "odd.toml", CLUSTER);
    Setup {
        cluster: load(vec![source], program.kinds()).unwrap().cluster,
        faults: Faults::all(),
        fidelity: Fidelity::Promises,
        lasts: Duration::from_secs(10),
        most_down: 1,
        events: 100_000,
    }
}

fn odd(what: fn(&mut Context)) -> Program {
    Program::new().kind("odd", move |_: Attr, _, _| Ok(Every(what)))
}

fn tried(program: &Program) -> Report {
    let world = World::new(setup(program), program).unwrap();
    let make = |seed, choices: Choices| world.make(seed, choices);
    let scenario = Scenario { make, play: |sim: &mut Sim| world.play(sim) };
    scenario.campaign(0..5, &Campaign::default(), |_| std::ops::ControlFlow::Continue(()))
}

/// The rule that the program breaks, and how.
fn broken(program: &Program) -> (String, String) {
    let report = tried(program);
    let failure = report.first().expect("the planted mistake is not found");
    (failure.what.clone(), failure.text.clone())
}

#[test]
fn an_agent_that_panics_is_named_with_what_it_said() {
    let (what, text) = broken(&odd(|_| panic!("no such luck")));
    assert_eq!((what.as_str(), text.as_str()), (judge::NO_PANIC, "agent 2: no such luck"));
}

#[test]
fn what_a_receiver_cannot_read_is_found() {
    let (what, _) = broken(&odd(|cx| cx.send(AgentId(1), dx::console::Line("?".into()))));
    assert_eq!(what, judge::READABLE);
}

#[test]
fn an_echo_that_hears_a_greeting_twice_is_found() {
    let (what, text) = broken(&odd(|cx| {
        say(cx, "Echo agent 1 received from agent 2: Hello #7 from Ping agent 2");
    }));
    assert_eq!(what, "an echo hears what each ping says in order, and nothing twice");
    assert_eq!(text, "echo 1 hears greeting 7 of ping 2 after greeting 7");
}

#[test]
fn a_promise_of_ones_own_kind_is_judged_after_every_event() {
    let program = odd(|_| {}).always("there is no odd agent", |sim| {
        let count = sim.agents_of::<Every>().count();
        if count == 0 { Ok(()) } else { Err(format!("there are {count}")) }
    });
    assert_eq!(broken(&program), ("there is no odd agent".into(), "there are 1".into()));
}

#[test]
fn what_must_go_on_and_does_not_is_found_after_all_was_mended() {
    let still = |_: &Sim| BTreeMap::from([(AgentId(2), 0)]);
    let report = tried(&odd(|_| {}).progress("the odd agent counts", still));
    let failure = report.first().unwrap();
    assert_eq!(failure.what, "the odd agent counts");
    assert!(failure.at >= Duration::from_secs(10), "{:?}", failure.at);
}

#[test]
fn what_never_happens_is_a_hole_and_no_failure() {
    let report = tried(&odd(|_| {}).sometimes("pigs fly", |_| false));
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert!(report.coverage.to_string().contains("pigs fly"));
}

#[test]
fn rules_of_kinds_that_a_cluster_has_not_are_not_judged() {
    let program = odd(|_| {}).kind("other", |_: Attr, _, _| Ok(Every(|_| {})));
    let report = tried(&program.always("never", |_| Err("it is judged".into())));
    assert!(report.failures.is_empty(), "{:?}", report.failures);
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let program = odd(|_| panic!("a text\nof two lines"));
    let report = tried(&program);
    let failure = report.first().unwrap().clone();
    assert!(failure.tape.is_some());
    let kept = Kept { program: "0.1.0".into(), setup: setup(&program), is_edited: false, failure };
    let folder = tempfile::TempDir::new().unwrap();
    let path = kept.write(&folder.path().join("new")).unwrap();
    assert_eq!(Kept::read(&path).unwrap(), kept);
}

#[test]
fn a_failure_becomes_small_and_both_files_still_replay() {
    let program = odd(|cx| assert!(cx.now().0 < 5_000_000_000, "it is late"));
    let failure = tried(&program).first().unwrap().clone();
    let setup = setup(&program);
    let kept = Kept { program: "0.1.0".into(), setup: setup.clone(), is_edited: false, failure };
    let world = World::new(setup, &program).unwrap();
    let small = world.smaller(&kept, |_| {}).unwrap().kept;
    let choices = |kept: &Kept| kept.failure.tape.as_ref().unwrap().size().choices;
    assert!(choices(&small) < choices(&kept), "{} choices", choices(&small));
    let make = |seed, choices: Choices| world.make(seed, choices);
    let scenario = Scenario { make, play: |sim: &mut Sim| world.play(sim) };
    for kept in [kept, small] {
        let again = scenario.replay(&kept.failure).1.unwrap();
        assert_eq!((again.what, again.trace), (kept.failure.what, kept.failure.trace));
    }
}
