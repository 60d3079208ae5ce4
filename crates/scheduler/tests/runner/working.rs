//! What it does with work.

use dx_scheduler::end::{End, Fault};
use dx_scheduler::id::JobId;
use dx_scheduler::message::{Assigned, Report, ToRunner};
use dx_scheduler::processor::{Call, Hello, KillRun, Progress, Told};

use super::desk::{Desk, TERM, attempt, attempts, cpus, finish, hello, life, running};

#[test]
fn what_fits_starts_in_order_and_the_rest_waits_for_room() {
    let mut desk = Desk::working(cpus(2));
    let said = desk.assign(r#"{ "cpus": 1 }"#, 0..4);
    assert_eq!(said.started(), attempts(0..2));
    let starting = |index| (life(1), Report::Starting(attempt(index)));
    assert_eq!(said.reports, [starting(0), starting(1)]);
    let said = desk.ends(1);
    assert_eq!(said.started(), [attempt(2)]);
    assert_eq!(said.ended(), [(attempt(1), End::Succeeded)]);
}

#[test]
fn what_is_large_is_not_overtaken_by_what_is_small() {
    let mut desk = Desk::working(cpus(2));
    desk.assign(r#"{ "cpus": 1 }"#, 0..1);
    let jobs = vec![(JobId(2), r#"{ "resources": { "cpus": 2 } }"#.into())];
    let runs = vec![
        Assigned { job: JobId(2), first: 0, count: 1, number: 1 },
        Assigned { job: JobId(1), first: 1, count: 1, number: 1 },
    ];
    let said = desk.ctrl(ToRunner::Assign { term: TERM, shim: life(1), jobs, runs });
    assert!(said.started().is_empty());
    assert_eq!(desk.ends(0).started(), [JobId(2).task(0).attempt(1)]);
}

#[test]
fn beside_the_room_that_the_first_waits_for_others_start() {
    let mut desk = Desk::working(cpus(3));
    desk.assign(r#"{ "cpus": 1, "gpus": 2 }"#, 0..2);
    let jobs = vec![(JobId(2), r#"{ "resources": { "cpus": 1 } }"#.into())];
    let runs = vec![Assigned { job: JobId(2), first: 0, count: 3, number: 1 }];
    let said = desk.ctrl(ToRunner::Assign { term: TERM, shim: life(1), jobs, runs });
    assert_eq!(said.started(), [JobId(2).task(0).attempt(1)], "a processor is kept for the first");
}

#[test]
fn nothing_starts_before_there_is_a_lease() {
    let mut desk = Desk::new();
    desk.hello(hello(1));
    desk.welcome(&[]);
    assert!(desk.assign("{}", 0..1).started().is_empty());
    let said = desk.ctrl(ToRunner::Granted { term: TERM, shim: life(1), clock: 5 });
    assert!(matches!(said.calls[..], [Call::Renew { .. }, Call::Run(_)]), "{said:?}");
}

#[test]
fn what_waits_goes_back_when_others_have_room_and_what_has_started_does_not() {
    let mut desk = Desk::working(cpus(2));
    desk.assign("{}", 0..4);
    let retract = ToRunner::Retract { term: TERM, shim: life(1), attempts: attempts(1..4) };
    assert_eq!(desk.ctrl(retract).returned(), attempts(2..4));
    desk.ends(0);
    let said = desk.ends(1);
    assert!(said.started().is_empty());
}

#[test]
fn an_end_is_kept_until_it_is_recorded() {
    let mut desk = Desk::working(cpus(2));
    desk.assign("{}", 0..2);
    desk.ends(0);
    assert_eq!(desk.runner().holds().count(), 2);
    assert!(desk.ends(0).is_silent(), "it is known");
    let said = desk.recorded(attempts(0..2));
    assert_eq!(said.calls, [Call::Forget(vec![attempt(0)])], "the other has not ended");
    assert_eq!(desk.runner().holds().count(), 1);
}

#[test]
fn what_has_not_started_is_cancelled_here_and_the_rest_by_the_shim() {
    let mut desk = Desk::working(cpus(1));
    desk.assign("{}", 0..2);
    let kills: Vec<_> =
        attempts(0..3).into_iter().map(|attempt| KillRun { attempt, now: false }).collect();
    let kill = ToRunner::Kill { term: TERM, shim: life(1), attempts: kills.clone() };
    let said = desk.ctrl(kill);
    assert_eq!(said.ended(), [(attempt(1), End::Cancelled)]);
    assert_eq!(said.calls, [Call::Kill(kills[..1].to_vec())]);
    let finish = finish(End::Cancelled);
    let said = desk.told(Told::Ended { attempt: attempt(0), finish });
    assert_eq!(said.ended(), [(attempt(0), End::Cancelled)]);
}

#[test]
fn an_attempt_that_is_assigned_twice_runs_once() {
    let mut desk = Desk::working(cpus(4));
    assert_eq!(desk.assign("{}", 0..2).started(), attempts(0..2));
    assert_eq!(desk.assign("{}", 0..3).started(), [attempt(2)]);
    assert_eq!(desk.runner().tally().needless, 2);
}

#[test]
fn what_can_never_fit_goes_back() {
    let mut desk = Desk::working(cpus(2));
    let said = desk.assign(r#"{ "cpus": 3 }"#, 0..1);
    assert_eq!(said.returned(), [attempt(0)]);
}

#[test]
fn what_fits_no_more_bars_no_way() {
    let mut desk = Desk::working(cpus(2));
    desk.assign(r#"{ "cpus": 2 }"#, 0..2);
    let said = desk.hello(Hello { running: vec![running(0, &[])], machine: cpus(1), ..hello(1) });
    assert_eq!(said.joins[0].holds, [attempt(0)]);
    desk.welcome(&[attempt(0)]);
    assert_eq!(desk.assign(r#"{ "cpus": 2 }"#, 1..2).returned(), [attempt(1)]);
}

#[test]
fn a_job_that_is_not_understood_is_the_nodes_fault() {
    let mut desk = Desk::working(cpus(2));
    let said = desk.assign(r#"{ "quanta": 3 }"#, 0..1);
    let [(_, Report::Ended(_, finish))] = &said.reports[..] else { panic!("{said:?}") };
    let why = finish.not_started.as_ref().unwrap();
    assert_eq!(why.fault, Fault::Node);
    assert!(why.reason.contains("quanta"), "{}", why.reason);
}

#[test]
fn a_job_that_it_was_not_told_of_is_asked_for_by_a_join() {
    let mut desk = Desk::working(cpus(2));
    let runs = vec![Assigned { job: JobId(9), first: 0, count: 1, number: 1 }];
    let assign = ToRunner::Assign { term: TERM, shim: life(1), jobs: Vec::new(), runs };
    let said = desk.ctrl(assign);
    assert_eq!(said.joins.len(), 1);
    assert!(said.joins[0].holds.is_empty());
}

#[test]
fn that_a_task_was_given_to_the_shim_is_said_with_what_comes_of_it_or_a_little_later() {
    let mut desk = Desk::working(cpus(1));
    let given = desk.ctrl_at_once(Desk::assignment("{}", 0..2));
    assert_eq!((given.runs().len(), given.batches), (1, 0), "nothing depends on it");
    let finish = finish(End::Succeeded);
    let ended = desk.told_at_once(Told::Ended { attempt: attempt(0), finish });
    let first = (attempt(0), End::Succeeded);
    assert_eq!((ended.batches, ended.starting(), ended.ended()), (1, attempts(0..2), vec![first]));
}

#[test]
fn that_a_task_was_given_to_the_shim_is_said_though_nothing_comes_of_it() {
    let mut desk = Desk::working(cpus(1));
    let mut given = desk.ctrl_at_once(Desk::assignment("{}", 0..1));
    desk.pass_time(&mut given);
    assert_eq!((given.batches, given.starting()), (1, attempts(0..1)));
}

#[test]
fn reports_of_a_moment_leave_together() {
    let mut desk = Desk::working(cpus(100));
    desk.assign("{}", 0..100);
    let first = desk.told_at_once(Told::Started { attempt: attempt(0), pid: 1 });
    assert_eq!(first.batches, 1, "it does not wait for others that may never come");
    let mut alone = 1;
    for index in 1..100 {
        let said = desk.told_at_once(Told::Started { attempt: attempt(index), pid: 1 });
        alone += said.batches;
        let label = format!("step {index}");
        for step in 0..3 {
            let progress = Progress { label: label.clone(), step, total: None };
            desk.told_at_once(Told::Progress { attempt: attempt(1), progress });
        }
    }
    let mut said = super::desk::Said::default();
    desk.pass_time(&mut said);
    assert!((2..5).contains(&alone), "what begins and ends at once does not wait: {alone}");
    let rest = 100 - alone + 1;
    assert_eq!((said.batches, said.reports.len()), (1, rest), "and only the newest progress");
}
