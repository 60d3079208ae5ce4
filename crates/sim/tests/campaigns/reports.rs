use std::ops::ControlFlow;
use std::time::Duration;

use dx_sim::coverage::{Kind, Standing};
use dx_sim::{Campaign, Choices, Failure, FaultKind, OUT_OF_EVENTS, Report, Scenario, Sim};

use crate::dice::{LOW, Player, low, make};

const SECOND: Duration = Duration::from_secs(1);

fn all(jobs: usize) -> Campaign {
    Campaign { jobs, failures: usize::MAX, ..Campaign::default() }
}

fn go_on(_: &Report) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_report_is_the_same_on_any_number_of_threads() {
    let play = |sim: &mut Sim| {
        low(sim);
        sim.torment(SECOND, 1).map(drop)
    };
    let scenario = Scenario { make, play };
    let reports = [1, 2, 4].map(|jobs| scenario.campaign(0..60, &all(jobs), go_on));
    assert!(reports[0].failures.len() > 2, "{}", reports[0]);
    assert!(reports[0].failures.iter().all(|failure| failure.tape.is_some()));
    assert!(reports.iter().all(|report| *report == reports[0]));
    let firsts = [1, 4].map(|jobs| {
        let how = Campaign { jobs, ..Campaign::default() };
        scenario.campaign(0..60, &how, go_on)
    });
    assert_eq!(firsts[0], firsts[1]);
    assert_eq!(firsts[0].failures, reports[0].failures[..1]);
    assert_eq!(firsts[0], scenario.explore(0..60), "one thread or this one");
}

#[test]
fn it_says_how_much_was_done_and_what_was_seen() {
    let play = |sim: &mut Sim| {
        sim.declare(Kind::Reachable, "nobody comes here");
        sim.watch_note("a six was heard");
        sim.watch_note("a seven was heard");
        sim.always("sums are of dice", |sim| {
            let fits = sim.agents_of::<Player>().all(|(_, it)| it.sum <= 6 * it.heard);
            if fits { Ok(()) } else { Err("more than six".to_owned()) }
        });
        sim.sometimes_holds("somebody has heard ten", |sim| {
            sim.agents_of::<Player>().any(|(_, it)| it.heard == 10)
        });
        sim.torment(SECOND, 1)?;
        let most = sim.agents_of::<Player>().map(|(_, it)| it.sum).max();
        sim.sometimes("sums are high", most > Some(100));
        sim.reached("the end");
        Ok(())
    };
    let mut seen = Vec::new();
    let report = Scenario { make, play }.campaign(5..25, &all(2), |report| {
        seen.push(report.seeds);
        go_on(report)
    });
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    assert!(report.events > 20 * 300 && report.simulated == 20 * SECOND, "{report}");
    assert!(report.faults[&FaultKind::Crash] > 0, "{report}");
    let coverage = &report.coverage;
    let names = |standing| -> Vec<_> {
        coverage.standing(standing).map(|point| point.name.into_owned()).collect()
    };
    assert_eq!(coverage.runs(), 20);
    assert_eq!(names(Standing::Hole), ["a seven was heard", "nobody comes here"]);
    assert_eq!(names(Standing::Met).len(), 5, "{coverage}");
    let read: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(read, report);
}

#[test]
fn whoever_watches_may_end_it() {
    let play = |sim: &mut Sim| sim.run_for(SECOND);
    let report = Scenario { make, play }.campaign(0..1000, &all(2), |report| {
        if report.seeds == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(report.seeds, 3);
}

#[test]
fn a_run_that_does_not_end_is_cut_and_fails() {
    let play = |sim: &mut Sim| sim.run_for(1000 * SECOND);
    let how = Campaign { events: 500, ..Campaign::default() };
    let report = Scenario { make, play }.campaign(0..3, &how, go_on);
    let failure = report.first().unwrap();
    assert_eq!((failure.what.as_str(), failure.seed), (OUT_OF_EVENTS, 0));
    assert_eq!(failure.text, "it was cut after 500 of them");
}

#[test]
fn what_panics_in_a_scenario_is_the_failure_of_its_seed() {
    let play = |sim: &mut Sim| {
        sim.run_for(SECOND)?;
        assert!(sim.choices().made() < 1, "made some choices");
        Ok(())
    };
    let report = Scenario { make, play }.campaign(7..9, &all(2), go_on);
    let texts: Vec<_> = report.failures.iter().map(|it| (it.seed, it.text.as_str())).collect();
    assert_eq!(texts, [(7, "made some choices"), (8, "made some choices")]);
    assert_ne!(report.failures[0].what, LOW);
}

#[test]
fn who_sees_a_panicking_scenario_is_told_its_seed() {
    let play = |_: &mut Sim| -> Result<(), Failure> { panic!("no world is good enough") };
    let told = std::panic::catch_unwind(|| Scenario { make, play }.must_hold(7..9)).unwrap_err();
    let told = told.downcast::<String>().unwrap();
    assert!(told.contains("seed 7: no world is good enough"), "{told}");
}

#[test]
fn what_must_not_be_reached_fails_its_run_even_at_the_end() {
    const LATE: &str = "a second has passed";
    let play = |sim: &mut Sim| {
        sim.run_for(SECOND)?;
        sim.unreachable(LATE);
        Ok(())
    };
    let scenario = Scenario { make, play };
    let report = scenario.explore(0..3);
    let failure = report.first().unwrap();
    assert_eq!((failure.what.as_str(), failure.at, failure.seed), (LATE, SECOND, 0));
    let broken: Vec<_> = report.coverage.standing(Standing::Broken).map(|it| it.name).collect();
    assert_eq!(broken, [LATE]);
    assert_eq!(scenario.replay(failure).1.as_ref(), Some(failure));
    assert_eq!(scenario.explain(failure).unwrap().what, LATE);
}

#[test]
fn a_failure_that_does_not_come_again_is_told_as_that() {
    let rounds = std::sync::atomic::AtomicU64::new(0);
    let make = |seed, choices: Choices| {
        let mut sim = make(seed, choices);
        let is_first = rounds.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        sim.always("the first run is like others", move |_| {
            if is_first { Err("it is not".to_owned()) } else { Ok(()) }
        });
        sim
    };
    let play = |sim: &mut Sim| sim.run_for(SECOND);
    let report = Scenario { make, play }.explore(0..5);
    assert_eq!(report.seeds, 1);
    assert_eq!(report.first().unwrap().what, "a seed is the same run twice");
}
