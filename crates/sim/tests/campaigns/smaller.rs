use std::time::Duration;

use dx_agents::AgentId;
use dx_sim::shrink::ShrinkError;
use dx_sim::{Campaign, Choices, Effort, Failure, FaultKind, Scenario, Sim};

use crate::dice::{Player, Throw, make};

const SECOND: Duration = Duration::from_secs(1);
const RULE: &str = "who hears 60 at once is never down";

/// Twenty operations that may be left out, faults, and a rule that one operation and one crash of
/// its receiver break.
fn play(sim: &mut Sim) -> Result<(), Failure> {
    let port = sim.port();
    sim.unleash(dx_sim::FaultPlan {
        lasts: SECOND,
        kinds: vec![FaultKind::Crash, FaultKind::Clog],
        every: SECOND / 20,
        mended_after: SECOND / 20,
        most_down: 1,
        delay: dx_sim::Delay::Fixed(Duration::from_millis(1)),
        loss: 0.0,
    });
    let mut heard = [false; 4];
    sim.always(RULE, move |sim| {
        for id in 1..=3 {
            let player = sim.agent::<Player>(AgentId(id));
            heard[id as usize] |= player.is_some_and(|it| it.sum >= 60);
            if heard[id as usize] && player.is_none() {
                return Err(format!("{id} is"));
            }
        }
        Ok(())
    });
    for _ in 0..20 {
        let to = sim.choices_mut().event("gift", 0.5, |how| 1 + how.choose("to", 3));
        if let Some(to) = to {
            sim.send(port, AgentId(to), Throw(60)).unwrap();
        }
        sim.run_for(SECOND / 20)?;
    }
    Ok(())
}

fn found() -> Failure {
    Scenario { make, play }.explore(0..20).first().cloned().unwrap()
}

#[test]
fn what_is_left_is_what_the_failure_needs() {
    let (scenario, failure) = (Scenario { make, play }, found());
    let mut last = None;
    let smaller = scenario.shrink(&failure, &Effort::default(), |seen| last = Some(*seen)).unwrap();
    let tape = smaller.failure.tape.as_ref().unwrap();
    assert_eq!(smaller.failure.what, RULE);
    let labels: Vec<_> = tape.events().keys().map(|point| point.label.as_ref()).collect();
    assert_eq!(labels, ["fault", "gift"], "{tape}");
    assert!(tape.size().choices <= 3, "{tape}");
    assert!(smaller.failure.events <= failure.events);
    assert_eq!(last.unwrap().size, tape.size(), "the last word of the progress is the result");
    assert_eq!(scenario.replay(&smaller.failure).1.as_ref(), Some(&smaller.failure));
    assert_eq!(scenario.replay(&failure).1.as_ref(), Some(&failure));
}

#[test]
fn a_fault_that_is_left_out_leaves_the_others_what_they_are_and_when() {
    let faults = |choices: Choices| {
        let mut sim = make(4, choices);
        sim.keep_trace();
        sim.torment(SECOND, 3).unwrap();
        let of_faults = |it: &&dx_sim::trace::Happened| {
            matches!(it.what, dx_sim::trace::What::Crash | dx_sim::trace::What::Fault)
        };
        let kept: Vec<_> =
            sim.trace().kept().iter().filter(of_faults).map(|it| (it.at, it.detail)).collect();
        (kept, sim.choices().tape().unwrap())
    };
    let (all, tape) = faults(Choices::seeded(4).recording());
    let left_out = tape.events().keys().nth(1).unwrap().clone();
    let mut less = dx_sim::tape::Tape::new();
    for (point, choice) in tape.choices() {
        less.choose(point.clone(), *choice);
    }
    for (point, event) in tape.events().iter().filter(|(point, _)| **point != left_out) {
        less.happen(point.clone(), event.clone());
    }
    let (fewer, again) = faults(Choices::replayed(&less));
    assert_eq!(again.events().len(), tape.events().len() - 1);
    assert!(tape.events().len() > 5 && fewer.len() < all.len());
    let kept = fewer.iter().filter(|fault| all.contains(fault)).count();
    assert!(kept * 10 >= fewer.len() * 8, "{kept} of {} are as they were", fewer.len());
}

#[test]
fn a_run_that_would_go_on_for_ever_is_cut_and_counts_as_passing() {
    // Without its gift it never ends by itself.
    let endless = |sim: &mut Sim| {
        let port = sim.port();
        let is_given = sim.choices_mut().chance("gift", 0.5);
        if is_given {
            sim.send(port, AgentId(1), Throw(60)).unwrap();
        }
        sim.run_for(SECOND / 10)?;
        sim.run_until("nobody has 60", SECOND * 1_000_000, |sim| {
            sim.agents_of::<Player>().any(|(_, it)| it.sum >= 60)
        })?;
        sim.run_until("it is the end", Duration::ZERO, |_| false)
    };
    let scenario = Scenario { make, play: endless };
    let how = Campaign { events: 100_000, ..Campaign::default() };
    let report = scenario.campaign(0..20, &how, |_| std::ops::ControlFlow::Continue(()));
    let failure = report.first().unwrap();
    let smaller = scenario.shrink(failure, &Effort { runs: 100, growth: 2 }, |_| ()).unwrap();
    assert_eq!(smaller.failure.what, failure.what);
    assert!(smaller.failure.events <= 2 * failure.events.max(40));
}

#[test]
fn what_does_not_fail_is_not_shrunk() {
    let failure = found();
    let calm = Scenario { make, play: |sim: &mut Sim| sim.run_for(SECOND) };
    let error = calm.shrink(&failure, &Effort::default(), |_| ()).unwrap_err();
    assert_eq!(error, ShrinkError::DoesNotFail);
    let untaped = Failure { tape: None, ..failure };
    assert!(calm.shrink(&untaped, &Effort::default(), |_| ()).is_err());
}
