//! Attempts: their ends, and what follows.

use std::collections::BTreeSet;

use dx_scheduler::client::Answer;
use dx_scheduler::client::{JobState, Removal, Request, Validity};
use dx_scheduler::end::{End, Exit, Fault, TaskState};
use dx_scheduler::job::{JobSpec, Retry, Span};
use dx_scheduler::message::{Report, ToRunner};

use crate::desk::{Desk, LEASE, all_of, assigned, ended, exit, not_started, shim, spec};

fn ready() -> Desk {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 2, Vec::new());
    desk.said(1);
    desk
}

fn retried(attempts: u32) -> JobSpec {
    JobSpec { retry: Retry { max_attempts: attempts, ..Retry::default() }, ..spec("0") }
}

#[test]
fn a_task_goes_through_its_states_to_its_end() {
    let mut desk = ready();
    let job = desk.submit(spec("0"));
    let attempts = desk.assigned(1);
    assert_eq!(attempts, [job.task(0).attempt(1)]);
    assert_eq!(desk.task(job.task(0)).state, TaskState::Assigned);
    assert_eq!(desk.job(job).state, JobState::Waiting);
    desk.report(1, 1, vec![Report::Starting(attempts[0])]);
    assert_eq!(desk.task(job.task(0)).state, TaskState::Starting);
    desk.report(1, 1, vec![Report::Started(attempts[0])]);
    assert_eq!(desk.task(job.task(0)).state, TaskState::Running);
    assert_eq!(desk.job(job).state, JobState::Running);
    desk.end(1, 1, attempts[0], exit(Exit::Code(0)));
    let view = desk.job(job);
    assert_eq!((view.state, view.exit), (JobState::Succeeded, Some(0)));
    let recorded = desk
        .said(1)
        .into_iter()
        .any(|said| matches!(said, ToRunner::Recorded { attempts: it, .. } if it == attempts));
    assert!(recorded, "the shim may forget the end");
}

#[test]
fn an_end_without_a_start_has_one() {
    let mut desk = ready();
    let job = desk.submit(spec("0"));
    let attempt = desk.assigned(1)[0];
    desk.at += 100;
    desk.end(1, 1, attempt, exit(Exit::Code(0)));
    let task = desk.task(job.task(0));
    let record = &task.attempts[0].record;
    assert_eq!(record.started, Some(desk.at - 2), "it ran for 2 ms");
}

#[test]
fn a_late_report_changes_nothing() {
    let mut desk = ready();
    let job = desk.submit(retried(3));
    let first = desk.assigned(1)[0];
    desk.end(1, 1, first, exit(Exit::Code(3)));
    let before = desk.core.state().clone();
    for late in [
        Report::Ended(first, exit(Exit::Code(0))),
        Report::Started(first),
        Report::Returned(first),
        Report::Ended(job.task(7).attempt(1), exit(Exit::Code(0))),
    ] {
        desk.report(1, 1, vec![late]);
    }
    assert_eq!(*desk.core.state(), before);
    assert_eq!(desk.core.live().tally().late, 4);
}

#[test]
fn a_late_report_of_an_attempt_is_not_of_the_next() {
    let mut desk = ready();
    let job = desk.submit(retried(3));
    let first = desk.assigned(1)[0];
    desk.end(1, 1, first, exit(Exit::Code(3)));
    desk.pass(2_000);
    assert_eq!(desk.assigned(1), [job.task(0).attempt(2)]);
    for late in [Report::Returned(first), Report::Ended(first, exit(Exit::Code(0)))] {
        desk.report(1, 1, vec![late]);
        assert_eq!(desk.task(job.task(0)).state, TaskState::Assigned);
    }
    assert_eq!(desk.core.live().tally().late, 2);
}

#[test]
fn a_report_of_another_life_changes_nothing() {
    let mut desk = ready();
    desk.submit(spec("0"));
    let attempt = desk.assigned(1)[0];
    let before = desk.core.state().clone();
    desk.end(1, 0, attempt, exit(Exit::Code(0)));
    desk.end(1, 2, attempt, exit(Exit::Code(0)));
    assert_eq!(*desk.core.state(), before);
    assert_eq!(desk.core.live().tally().foreign, 2);
}

#[test]
fn a_task_that_fails_runs_again_as_often_as_it_may_and_later_each_time() {
    let mut desk = ready();
    let job = desk.submit(retried(3));
    for (number, wait) in [(1, 1_000), (2, 2_000)] {
        let attempt = job.task(0).attempt(number);
        assert_eq!(desk.assigned(1), [attempt]);
        desk.end(1, 1, attempt, exit(Exit::Code(3)));
        let task = desk.task(job.task(0));
        assert_eq!(task.state, TaskState::Backoff);
        let due = task.due.expect("it waits for a time") - desk.at;
        assert!((wait..=wait + wait / 4).contains(&due), "{due}");
        desk.pass(due - 1);
        assert_eq!(desk.assigned(1), []);
        desk.pass(1);
    }
    desk.end(1, 1, job.task(0).attempt(3), exit(Exit::Code(3)));
    let view = desk.job(job);
    assert_eq!((view.state, view.exit), (JobState::Failed, Some(3)));
    assert_eq!(desk.task(job.task(0)).attempts.len(), 3);
    let valid = Validity { is_valid: false, removed: Some(Removal::TooManyExecutions) };
    assert_eq!(desk.ask(Request::Valid(job)), Answer::Valid(valid));
}

#[test]
fn only_what_is_worth_it_is_retried() {
    let ends = [
        (exit(Exit::Code(9)), false),
        (exit(Exit::Code(1)), true),
        (exit(Exit::Signal(9)), false),
        (ended(End::TimedOut), true),
        (ended(End::Oom), false),
        (ended(End::Cancelled), false),
        (not_started(Fault::Job), false),
    ];
    for (finish, again) in ends {
        let mut desk = ready();
        let mut it = retried(2);
        it.retry.on.retain(|on| format!("{on:?}") == "Exit" || format!("{on:?}") == "Timeout");
        it.retry.not_on_codes = BTreeSet::from([9]);
        let job = desk.submit(it);
        let attempt = desk.assigned(1)[0];
        let end = finish.end;
        desk.end(1, 1, attempt, finish);
        let state = desk.task(job.task(0)).state;
        assert_eq!(state == TaskState::Backoff, again, "{end:?}: {state:?}");
    }
}

#[test]
fn faults_of_nodes_have_a_budget_of_their_own() {
    let mut desk = ready();
    let mut it = retried(1);
    it.retry.max_node_faults = 2;
    let job = desk.submit(it);
    for number in 1..=2 {
        desk.end(1, 1, job.task(0).attempt(number), not_started(Fault::Node));
        desk.pass(10_000);
        assert_eq!(desk.task(job.task(0)).state, TaskState::Assigned, "{number}");
    }
    desk.end(1, 1, job.task(0).attempt(3), not_started(Fault::Node));
    assert_eq!(desk.task(job.task(0)).state, TaskState::Failed);
}

#[test]
fn no_more_than_sixteen_attempts_are_remembered() {
    let mut desk = ready();
    let mut it = retried(40);
    it.retry.backoff = Span::default();
    let job = desk.submit(it);
    for number in 1..=40 {
        desk.end(1, 1, job.task(0).attempt(number), exit(Exit::Code(1)));
        desk.pass(1);
    }
    let numbers: Vec<u32> =
        desk.task(job.task(0)).attempts.iter().map(|it| it.record.number).collect();
    assert_eq!(numbers, (25..=40).collect::<Vec<_>>());
}

#[test]
fn a_task_that_waited_too_long_expires_and_one_that_ran_does_not() {
    let mut desk = ready();
    let mut it = spec("0-9");
    it.queue_timeout = Some(Span::seconds(5));
    it.max_running = Some(1);
    let job = desk.submit(it);
    desk.pass(4_999);
    assert_eq!(desk.job(job).counts.0.get(&TaskState::Expired), None);
    desk.pass(1);
    let counts = desk.job(job).counts.0;
    assert_eq!(counts.get(&TaskState::Expired), Some(&9));
    assert_eq!(counts.get(&TaskState::Assigned), Some(&1));
}

#[test]
fn after_its_deadline_nothing_of_a_job_runs() {
    let mut desk = ready();
    let mut it = spec("0-9");
    it.deadline = Some(Span::seconds(5));
    let job = desk.submit(it);
    let running = desk.assigned(1);
    desk.beat(1, 1);
    desk.pass(5_000);
    assert_eq!(desk.job(job).counts.0.get(&TaskState::Expired), Some(&(10 - running.len() as u64)));
    let killed: Vec<_> = desk
        .said(1)
        .into_iter()
        .filter_map(|said| match said {
            ToRunner::Kill { attempts, .. } => Some(attempts),
            _ => None,
        })
        .flatten()
        .map(|kill| kill.attempt)
        .collect();
    assert_eq!(killed, running);
    for attempt in running {
        desk.end(1, 1, attempt, ended(End::Cancelled));
    }
    let counts = desk.job(job).counts.0;
    assert_eq!(counts.values().sum::<u64>(), 10);
    assert!(counts.contains_key(&TaskState::TimedOut) && counts.contains_key(&TaskState::Expired));
}

#[test]
fn with_too_many_failures_what_has_not_started_is_aborted() {
    let mut desk = ready();
    let job = desk.submit(JobSpec { max_fails: Some(1), ..spec("0-9") });
    let runs = desk.assigned(1);
    desk.report(1, 1, vec![Report::Started(runs[0]), Report::Started(runs[1])]);
    desk.end(1, 1, runs[0], exit(Exit::Code(1)));
    assert_eq!(desk.job(job).counts.0.get(&TaskState::Aborted), None);
    desk.end(1, 1, runs[1], exit(Exit::Code(1)));
    let assigned = [&runs[2..], &desk.assigned(1)].concat();
    let waiting = assigned.len() as u64;
    assert!(waiting > 0);
    assert_eq!(desk.job(job).counts.0.get(&TaskState::Aborted), Some(&(8 - waiting)));
    for attempt in assigned {
        desk.report(1, 1, vec![Report::Returned(attempt)]);
    }
    assert_eq!(desk.job(job).counts.0.get(&TaskState::Aborted), Some(&8));
    assert_eq!(desk.job(job).state, JobState::Failed);
}

#[test]
fn what_was_cancelled_and_succeeded_before_it_was_killed_has_succeeded() {
    let mut desk = ready();
    let job = desk.submit(spec("0-1"));
    let runs = desk.assigned(1);
    desk.changed(Request::Cancel { what: all_of(job), now: false, reason: None });
    desk.end(1, 1, runs[0], exit(Exit::Code(0)));
    desk.end(1, 1, runs[1], ended(End::Cancelled));
    let counts = desk.job(job).counts.0;
    assert_eq!(counts.get(&TaskState::Succeeded), Some(&1));
    assert_eq!(counts.get(&TaskState::Cancelled), Some(&1));
}

#[test]
fn what_was_lost_while_it_was_to_be_cancelled_is_not_run_again() {
    let mut desk = ready();
    let job = desk.submit(spec("0"));
    desk.changed(Request::Cancel { what: all_of(job), now: false, reason: None });
    desk.pass(2 * LEASE);
    desk.join(1, 2, 2, Vec::new());
    let task = desk.task(job.task(0));
    assert_eq!(task.state, TaskState::Cancelled);
    assert_eq!(task.attempts[0].record.end, Some(End::Lost), "how it ended, nobody knows");
}

#[test]
fn a_restart_keeps_what_was_and_runs_nothing_twice() {
    let mut desk = ready();
    let job = desk.submit(spec("0-1"));
    let runs = desk.assigned(1);
    desk.report(1, 1, vec![Report::Started(runs[0]), Report::Started(runs[1])]);
    desk.end(1, 1, runs[0], exit(Exit::Code(0)));
    desk.said.clear();
    desk.restart();
    assert!(matches!(desk.said(1)[..], [ToRunner::Who { .. }]));
    desk.join(1, 1, 2, vec![runs[1]]);
    let said = desk.said(1);
    assert_eq!(assigned(&said), []);
    let kept = said.iter().find_map(|it| match it {
        ToRunner::Welcome { shim: of, keep, .. } if *of == shim(1, 1) => Some(keep.clone()),
        _ => None,
    });
    assert_eq!(kept, Some(vec![runs[1]]));
    desk.end(1, 1, runs[1], exit(Exit::Code(0)));
    assert_eq!(desk.job(job).state, JobState::Succeeded);
}
