//! docs/tutorial-simulator.md is true: its code is what is run here, and its diagram what comes out.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "stored/golden.rs"]
mod golden;
#[path = "tutorial/lock.rs"]
mod lock;
#[path = "tutorial/mended.rs"]
mod mended;
/// What the simulator wrote. It runs with the mended lock, unless it is told otherwise.
mod found {
    use crate::lock::{Client, LockScenario, scenario};
    use crate::mended::Careful;

    fn lock() -> LockScenario {
        let is_broken = std::env::var_os(super::BROKEN).is_some();
        if is_broken { scenario::<Client>() } else { scenario::<Careful>() }
    }

    include!("tutorial/found.rs");
}

use std::process::Command;
use std::time::Duration;

use dx_sim::explain::{Place, test_source};
use dx_sim::{Choices, Delay, Effort, Failure, FaultKind, FaultPlan, Scenario, Sim};
use golden::{assert_stored, is_update};
use lock::{Client, scenario};
use mended::Careful;

/// The environment's variable with which the found test runs the lock as it was.
const BROKEN: &str = "DX_TUTORIAL_BROKEN";

/// The failure that the text is about: the plainest run that breaks the rule.
fn found() -> Failure {
    let scenario = scenario::<Client>();
    let failure = scenario.explore(0..100).first().cloned().expect("a bug");
    let effort = Effort::default();
    let smaller = scenario.shrink(&failure, &effort, |_| ()).expect("it fails when it is replayed");
    smaller.failure
}

const TUTORIAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tutorial-simulator.md");

/// The text's blocks of this language.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(TUTORIAL).unwrap();
    let parts = text.split("\n```");
    // Before the first fence is text, then block and text take turns.
    let inside = parts.skip(1).step_by(2);
    inside
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n').map(str::to_owned))
        .collect()
}

#[test]
fn the_tutorials_code_is_the_code_that_is_run() {
    let sources = [
        include_str!("tutorial/lock.rs"),
        include_str!("tutorial/mended.rs"),
        include_str!("tutorial.rs"),
    ];
    let flat = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let blocks = blocks("rust");
    assert!(blocks.len() >= 4, "the blocks were not found");
    for block in blocks {
        let is_there = sources.iter().any(|source| flat(source).contains(&flat(&block)));
        assert!(is_there, "this is not in the code that is run:\n{block}");
    }
}

#[test]
fn the_tutorials_diagram_is_the_one_that_is_drawn() {
    let explanation = scenario::<Client>().explain(&found()).unwrap();
    assert!(explanation.rows.len() < 40, "it is too long to be read");
    let drawn = explanation.to_string();
    assert_stored("../../docs/tutorial-simulator.svg", &explanation.svg());
    let shown = blocks("text");
    let [shown] = &shown[..] else { panic!("one diagram is shown, not {}", shown.len()) };
    if is_update() {
        let text = std::fs::read_to_string(TUTORIAL).unwrap();
        std::fs::write(TUTORIAL, text.replace(shown.trim_end(), drawn.trim_end())).unwrap();
    } else {
        assert_eq!(shown.trim_end(), drawn.trim_end());
    }
    let text = std::fs::read_to_string(TUTORIAL).unwrap();
    let is_time = |word: &&str| word.parse::<f64>().is_ok() && word.contains('.');
    let words = text.split(|char: char| !char.is_ascii_digit() && char != '.');
    let times: Vec<&str> = words.map(|word| word.trim_matches('.')).filter(is_time).collect();
    assert!(times.iter().all(|time| drawn.contains(time)), "the text tells of another diagram");
}

#[test]
fn the_test_that_is_written_is_the_one_that_is_stored() {
    let place = Place { scenario: "lock()", name: None };
    assert_stored("tests/tutorial/found.rs", &test_source(&found(), &place).unwrap());
}

#[test]
fn the_test_that_was_written_fails_as_long_as_the_bug_is_there() {
    let name = "found::at_most_one_holds_the_lock";
    let run = |is_broken: bool| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]);
        if is_broken {
            command.env(BROKEN, "1");
        }
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (passes, said) = run(true);
    assert!(!passes && said.contains("`at most one holds the lock` does not hold"), "{said}");
    let (passes, said) = run(false);
    assert!(passes && said.contains("1 passed"), "{said}");
}

#[allow(clippy::type_complexity, reason = "closures have no shorter type")]
/// The mended lock, while these things go wrong.
fn tormented(
    kinds: &[FaultKind],
    mended_after_ms: u64,
) -> Scenario<impl Fn(u64, Choices) -> Sim, impl Fn(&mut Sim) -> Result<(), Failure>> {
    let Scenario { make, play } = scenario::<Careful>();
    let plan = FaultPlan {
        lasts: Duration::from_secs(1),
        kinds: kinds.to_vec(),
        every: Duration::from_millis(10),
        mended_after: Duration::from_millis(mended_after_ms),
        most_down: 1,
        delay: Delay::Between(Duration::from_millis(1), Duration::from_millis(30)),
        loss: 0.0,
    };
    let make = move |seed, choices| {
        let mut sim = make(seed, choices);
        sim.unleash(plan.clone());
        sim
    };
    Scenario { make, play }
}

#[test]
fn the_mended_lock_survives_what_the_text_says_and_no_more() {
    use FaultKind::{Clog, Crash, Drift, OneWay, Partition, Pause, SessionLoss};
    let survived = [Crash, Pause, Partition, OneWay, Clog, SessionLoss];
    tormented(&survived, 50).explore(0..300).expect_none();
    let failure =
        tormented(&[Drift], 2000).explore(0..1000).first().cloned().expect("clocks matter");
    assert_eq!(failure.what, "at most one holds the lock");
}

#[test]
fn the_mended_lock_holds() {
    scenario::<Careful>().explore(0..1000).expect_none();
}
