//! How it comes to be counted with, and comes back.

use std::time::Duration;

use dx_agents::{Down, Lane, NodeId};
use dx_scheduler::controller_of;
use dx_scheduler::end::End;
use dx_scheduler::id::Term;
use dx_scheduler::job::{Cpus, Resources, Size};
use dx_scheduler::message::{Report, RunnerMessage, ToRunner};
use dx_scheduler::processor::{Call, Hello, KillRun, Running, Told};
use dx_scheduler::processor_of;
use dx_scheduler::runner::{Offer, RunnerConfig};

use super::desk::{
    Desk, LEASE, NODE, Said, TERM, attempt, attempts, cpus, finish, hello, life, running,
};

#[test]
fn it_greets_its_shim_and_joins_with_what_the_shim_has() {
    let offer = Offer {
        reserved_cpus: Cpus(500),
        memory: Some(Size(64)),
        custom: [("licence".to_owned(), 2)].into(),
        ..Offer::default()
    };
    let config = RunnerConfig { offer, ..RunnerConfig::new(NODE, NodeId(1)) };
    let (mut desk, said) = Desk::with(config);
    assert_eq!(said.calls, [Call::Hello]);
    assert!(said.joins.is_empty(), "it knows nothing yet");
    let ended = vec![attempt(5)];
    let said = desk.hello(Hello { running: vec![running(4, &[])], ended, ..hello(1) });
    let [join] = &said.joins[..] else { panic!("{said:?}") };
    assert_eq!((join.shim, &join.holds[..]), (life(1), &attempts(4..6)[..]));
    let capacity: Resources = serde_json::from_str(&join.capacity).unwrap();
    assert_eq!((capacity.cpus, capacity.memory, capacity.gpus), (Cpus(1500), Size(64), 2));
    assert_eq!(capacity.custom["licence"], 2);
}

/// Between two joins it may have given back what is assigned here: it would run twice.
#[test]
fn what_crossed_a_join_is_not_heeded() {
    let mut desk = Desk::working(cpus(2));
    let first = desk.joined;
    let said = desk.ctrl(ToRunner::Who { term: TERM });
    assert_eq!(said.joins.len(), 1);
    assert!(desk.joined > first);
    let said = desk.assign(r#"{ "cpus": 1 }"#, 0..1);
    assert!(said.is_silent(), "{said:?}");
    let keep = Vec::new();
    desk.ctrl(ToRunner::Welcome { term: TERM, join: first, shim: life(1), lease: LEASE, keep });
    assert!(!desk.runner().is_welcome());
    desk.welcome(&[]);
    assert_eq!(desk.assign(r#"{ "cpus": 1 }"#, 0..1).started(), [attempt(0)]);
    assert!(desk.runner().tally().stale >= 2);
}

#[test]
fn of_another_term_or_life_nothing_is_heeded() {
    let mut desk = Desk::working(cpus(2));
    desk.assign("{}", 0..1);
    let before = desk.runner().tally().stale;
    let kill = vec![KillRun { attempt: attempt(0), now: true }];
    for (term, shim) in [(Term(2), life(1)), (Term(4), life(1)), (TERM, life(2)), (TERM, life(0))] {
        let said = desk.ctrl(ToRunner::Kill { term, shim, attempts: kill.clone() });
        assert!(said.is_silent(), "{said:?}");
    }
    assert_eq!(desk.runner().tally().stale, before + 4);
    assert!(desk.ctrl(ToRunner::Who { term: Term(2) }).joins.is_empty(), "it is over");
}

#[test]
fn strangers_give_no_orders() {
    let mut desk = Desk::working(cpus(2));
    desk.assign("{}", 0..1);
    let shim = life(1);
    let attempts = vec![KillRun { attempt: attempt(0), now: true }];
    let kill = ToRunner::Kill { term: TERM, shim, attempts };
    assert!(desk.stranger(RunnerMessage::Controller(kill)).is_silent());
    let ended = Told::Ended { attempt: attempt(0), finish: finish(End::Succeeded) };
    assert!(desk.stranger(RunnerMessage::Processor(vec![ended])).is_silent());
    assert_eq!(desk.runner().tally().foreign, 2);
}

#[test]
fn a_beat_comes_back_as_a_renewal_and_one_that_came_too_early_is_not_lost() {
    let mut desk = Desk::new();
    desk.hello(hello(1));
    assert!(desk.told(Told::Beat { clock: 5 }).beats.is_empty(), "nobody knows this life yet");
    assert_eq!(desk.welcome(&[]).beats, [5]);
    assert_eq!(desk.told(Told::Beat { clock: 9 }).beats, [9]);
    let said = desk.ctrl(ToRunner::Granted { term: TERM, shim: life(1), clock: 9 });
    assert_eq!(said.calls, [Call::Renew { clock: 9, lease: LEASE, term: TERM }]);
    let said = desk.ctrl(ToRunner::Granted { term: TERM, shim: life(2), clock: 11 });
    assert!(said.is_silent(), "that is not this life's");
}

#[test]
fn after_each_end_of_the_session_it_joins_anew_and_says_all_again() {
    let controller = controller_of(NodeId(1));
    for why in [Down::SessionLost, Down::Restarted] {
        let mut desk = Desk::working(cpus(2));
        desk.assign("{}", 0..4);
        desk.told(Told::Started { attempt: attempt(0), pid: 1 });
        desk.ends(1);
        assert!(desk.down(controller, Down::NoConnection).is_silent(), "nothing is lost yet");
        let said = desk.down(controller, why);
        assert_eq!(said.joins[0].holds, attempts(0..4));
        assert!(desk.ends(2).reports.is_empty(), "nobody would heed it");
        let reports = desk.welcome(&attempts(0..4)).reports;
        let reports: Vec<Report> = reports.into_iter().map(|(_, report)| report).collect();
        let ended = |index| Report::Ended(attempt(index), finish(End::Succeeded));
        // What it may start meanwhile comes after.
        assert_eq!(reports[..3], [Report::Started(attempt(0)), ended(1), ended(2)]);
    }
}

/// A task that nobody knows to run cannot give up its slot while it waits for others.
#[test]
fn a_start_that_nobody_heard_is_known_by_the_next_hello() {
    let mut desk = Desk::working(cpus(2));
    assert_eq!(desk.assign(r#"{ "cpus": 1 }"#, 0..2).started(), attempts(0..2));
    desk.hello(Hello { running: vec![running(0, &[])], ..hello(1) });
    let reports = desk.welcome(&attempts(0..2)).reports;
    let reports: Vec<Report> = reports.into_iter().map(|(_, report)| report).collect();
    assert_eq!(reports, [Report::Started(attempt(0)), Report::Starting(attempt(1))]);
}

#[test]
fn who_cannot_hear_is_told_when_it_can() {
    let controller = controller_of(NodeId(1));
    let mut desk = Desk::working(cpus(2));
    assert!(desk.refused(controller, Lane::Urgent).is_silent(), "another beat follows");
    assert!(desk.runner().is_welcome());
    assert!(desk.refused(controller, Lane::Normal).is_silent());
    assert!(desk.assign("{}", 0..1).is_silent(), "what it said may be missing there");
    let said = desk.event(dx_agents::event::Event::Writable(controller));
    assert_eq!(said.joins.len(), 1);
    let mut said = desk.down(controller, Down::Unknown);
    assert!(said.is_silent());
    desk.pass_time(&mut said);
    assert_eq!(said.joins.len(), 1, "perhaps it is there now");
    desk.refused(processor_of(NODE), Lane::Normal);
    let said = desk.event(dx_agents::event::Event::Writable(processor_of(NODE)));
    assert_eq!(said.calls, [Call::Hello]);
}

#[test]
fn what_the_controller_does_not_keep_is_ended_and_forgotten_without_a_word() {
    let mut desk = Desk::working(cpus(2));
    desk.assign("{}", 0..5);
    desk.ends(1);
    desk.ctrl(ToRunner::Who { term: TERM });
    let said = desk.welcome(&[attempt(2)]);
    let now = [0, 3].map(|index| KillRun { attempt: attempt(index), now: true });
    assert!(said.calls.contains(&Call::Kill(now.to_vec())), "{said:?}");
    assert!(said.calls.contains(&Call::Forget(vec![attempt(1), attempt(4)])), "{said:?}");
    assert_eq!(said.ended(), []);
    let said = desk.ctrl(ToRunner::Who { term: TERM });
    assert_eq!(said.joins[0].holds, [attempt(2)]);
    desk.welcome(&[attempt(2)]);
    let said = desk.ends(0);
    assert_eq!(said.calls, [Call::Forget(vec![attempt(0)])]);
    assert!(said.reports.is_empty());
}

#[test]
fn another_life_gives_back_what_had_not_started_and_begins_with_what_it_has() {
    let mut desk = Desk::working(cpus(2));
    desk.assign("{}", 0..4);
    let said = desk.hello(Hello { ended: vec![attempt(0)], ..hello(2) });
    assert_eq!(said.returned(), attempts(2..4));
    assert!(said.reports.iter().all(|(shim, _)| *shim == life(1)), "it is said of that life");
    assert_eq!((said.joins[0].shim, &said.joins[0].holds[..]), (life(2), &[attempt(0)][..]));
}

#[test]
fn a_life_that_was_given_up_begins_nothing_and_is_abandoned() {
    let mut desk = Desk::working(cpus(2));
    desk.assign("{}", 0..4);
    assert!(desk.ctrl(ToRunner::Fenced { term: TERM, shim: life(0) }).is_silent());
    let said = desk.ctrl(ToRunner::Fenced { term: TERM, shim: life(1) });
    assert_eq!(said.calls, [Call::Abandon { shim: life(1).incarnation }]);
    let said = desk.ends(0);
    assert!(said.is_silent(), "{said:?}");
    let said = desk.hello(hello(2));
    assert!(said.returned().is_empty());
    assert!(said.joins[0].holds.is_empty());
}

#[test]
fn a_runner_that_begins_anew_gives_no_gpu_twice() {
    let mut desk = Desk::new();
    let machine = cpus(3);
    desk.hello(Hello { running: vec![running(0, &[0])], machine, ..hello(1) });
    desk.welcome(&[attempt(0)]);
    desk.ctrl(ToRunner::Granted { term: TERM, shim: life(1), clock: 5 });
    let said = desk.assign(r#"{ "cpus": 1, "gpus": 1 }"#, 1..4);
    assert_eq!(said.runs(), [(attempt(1), vec![1])], "the third has a processor, but no GPU");
    assert_eq!(desk.ends(0).runs(), [(attempt(2), vec![0])]);
}

#[test]
fn what_runs_and_cannot_be_understood_is_not_crowded() {
    let mut desk = Desk::new();
    let later = Running { resources: r#"{ "quantum": 1 }"#.into(), ..running(0, &[]) };
    desk.hello(Hello { running: vec![later], machine: cpus(3), ..hello(1) });
    desk.welcome(&[attempt(0)]);
    desk.ctrl(ToRunner::Granted { term: TERM, shim: life(1), clock: 5 });
    assert!(desk.assign(r#"{ "cpus": 1 }"#, 1..3).started().is_empty());
    assert_eq!(desk.ends(0).started(), attempts(1..3));
}

#[test]
fn what_was_given_and_did_not_arrive_is_given_again_also_if_its_end_is_wanted() {
    let mut desk = Desk::working(cpus(3));
    desk.assign("{}", 0..3);
    let kill = KillRun { attempt: attempt(1), now: false };
    desk.ctrl(ToRunner::Kill { term: TERM, shim: life(1), attempts: vec![kill] });
    let machine = cpus(3);
    let said = desk.hello(Hello { running: vec![running(2, &[])], machine, ..hello(1) });
    assert!(said.started().is_empty(), "its renewal may not have arrived either");
    desk.welcome(&attempts(0..3));
    let granted = ToRunner::Granted { term: TERM, shim: life(1), clock: 9 };
    let said = desk.ctrl(granted.clone());
    assert_eq!(said.started(), attempts(0..2));
    assert_eq!(said.calls.last(), Some(&Call::Kill(vec![kill])), "the shim says how it ended");
    assert!(desk.ctrl(granted.clone()).started().is_empty(), "once");
    desk.told(Told::Unknown(attempt(0)));
    assert_eq!(desk.ctrl(granted).started(), [attempt(0)], "it had no room");
}

#[test]
fn a_join_that_is_not_answered_is_said_again_later_and_later() {
    let mut desk = Desk::new();
    let first = desk.hello(hello(1)).joins[0].number;
    let mut waits = [2, 4, 8, 16, 32, 60, 60].into_iter();
    let mut last = first;
    for wait in waits.by_ref() {
        let mut said = Said::default();
        desk.pass(Duration::from_millis(wait * 1000 - 500), &mut said);
        assert!(said.joins.is_empty(), "{wait} s are not over");
        desk.pass(Duration::from_secs(wait), &mut said);
        assert!(said.joins[0].number > last);
        last = said.joins[0].number;
    }
    desk.ctrl(ToRunner::Welcome {
        term: TERM,
        join: first,
        shim: life(1),
        lease: LEASE,
        keep: Vec::new(),
    });
    assert!(!desk.runner().is_welcome(), "what it answers is long past");
    desk.welcome(&[]);
    let mut said = Said::default();
    desk.pass(Duration::from_secs(1000), &mut said);
    assert!(said.joins.is_empty() && desk.runner().is_welcome());
    assert_eq!(desk.runner().tally().unanswered, 7);
}

#[test]
fn a_beat_that_overtakes_its_hello_is_passed_on_at_the_welcome() {
    let mut desk = Desk::new();
    desk.told(Told::Beat { clock: 5 });
    desk.hello(hello(1));
    assert_eq!(desk.welcome(&[]).beats, [5]);
}
