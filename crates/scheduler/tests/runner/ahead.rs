//! Work that the shim has before there is room for it.

use dx_scheduler::end::End;
use dx_scheduler::id::{AttemptId, JobId};
use dx_scheduler::message::{Assigned, ToRunner, Waiting};
use dx_scheduler::processor::{Call, Hello, KillRun, Told};

use super::desk::{Desk, Said, TERM, attempt, attempts, cpus, finish, hello, life, running};

const ONE: &str = r#"{ "cpus": 1 }"#;

/// Two of eight run, and one has just ended: the first is 2 and 1, and 3 is ahead.
fn quick() -> (Desk, Said) {
    let mut desk = Desk::working(cpus(2));
    desk.assign(ONE, 0..8);
    let said = desk.ends(0);
    (desk, said)
}

/// One of eight runs beside a task of another job, and one has just ended: the first is 1, and 2 is
/// ahead.
fn beside_another() -> (Desk, Said, AttemptId) {
    let mut desk = Desk::working(cpus(2));
    desk.assign(ONE, 0..1);
    assign(&mut desk, 2, ONE, 1);
    desk.assign(ONE, 1..8);
    let said = desk.ends(0);
    (desk, said, JobId(2).task(0).attempt(1))
}

fn assign(desk: &mut Desk, job: u64, resources: &str, count: u32) -> Said {
    let job = JobId(job);
    let jobs = vec![(job, format!(r#"{{ "resources": {resources} }}"#).into())];
    let runs = vec![Assigned { job, first: 0, count, number: 1 }];
    desk.ctrl(ToRunner::Assign { term: TERM, shim: life(1), jobs, runs })
}

fn retract(attempts: Vec<AttemptId>) -> ToRunner {
    ToRunner::Retract { term: TERM, shim: life(1), attempts }
}

#[test]
fn as_many_are_ahead_as_have_just_ended() {
    let (mut desk, said) = quick();
    assert_eq!(said.started(), [attempt(2)]);
    assert_eq!(said.followed(), [(2, vec![attempt(3)])]);
    assert_eq!(said.starting(), [attempt(2)], "for others, 3 waits");
    let said = desk.ends(1);
    assert!(said.started().is_empty(), "the shim has begun it");
    assert_eq!(said.starting(), [attempt(3)]);
    assert_eq!(said.followed()[0].0, 2);
}

#[test]
fn nothing_is_ahead_of_a_job_whose_tasks_take_their_time() {
    let mut desk = Desk::working(cpus(2));
    let said = desk.assign(ONE, 0..8);
    assert!(said.followed().is_empty());
    let (mut desk, _) = quick();
    desk.ctrl(retract(vec![attempt(3)]));
    desk.told(Told::Unknown(attempt(3)));
    for _ in 0..5 {
        assert!(desk.told(Told::Beat { clock: 9 }).followed().is_empty());
    }
}

#[test]
fn only_the_first_that_waits_is_ahead_and_no_gpu_goes_over() {
    let mut desk = Desk::working(cpus(2));
    desk.assign(ONE, 0..2);
    assign(&mut desk, 2, r#"{ "cpus": 2 }"#, 1);
    desk.assign(ONE, 2..8);
    assert!(desk.ends(0).followed().is_empty(), "the other job was there before");
    let mut desk = Desk::working(cpus(2));
    desk.assign(r#"{ "cpus": 1, "gpus": 1 }"#, 0..8);
    assert!(desk.ends(0).followed().is_empty());
}

#[test]
fn room_that_another_job_leaves_is_first_for_what_is_ahead() {
    let (mut desk, said, other) = beside_another();
    assert_eq!((said.started(), said.followed()), (vec![attempt(1)], vec![(1, vec![attempt(2)])]));
    let said = desk.told(Told::Ended { attempt: other, finish: finish(End::Succeeded) });
    assert_eq!(said.followed()[0], (2, vec![]));
    assert_eq!(said.starting(), [attempt(2)]);
}

/// The shim may not have it any more. It would begin others in the room that it is thought to have.
#[test]
fn room_that_another_job_leaves_is_not_for_what_was_asked_back() {
    let (mut desk, said, other) = beside_another();
    assert_eq!(said.followed(), [(1, vec![attempt(2)])]);
    desk.ctrl(retract(vec![attempt(2)]));
    let said = desk.told(Told::Ended { attempt: other, finish: finish(End::Succeeded) });
    assert_eq!(said.started(), [attempt(3)]);
    assert_eq!(desk.told(Told::Unknown(attempt(2))).returned(), [attempt(2)]);
}

#[test]
fn what_is_ahead_goes_back_if_the_shim_has_not_begun_it() {
    let (mut desk, _) = quick();
    let said = desk.ctrl(retract(attempts(3..5)));
    assert_eq!(said.returned(), [attempt(4)]);
    assert_eq!(said.calls, [Call::Return(vec![attempt(3)])]);
    assert_eq!(desk.told(Told::Unknown(attempt(3))).returned(), [attempt(3)]);
    assert_eq!(desk.ends(1).starting(), [attempt(5)], "no room was given away");

    let (mut desk, _) = quick();
    desk.ctrl(retract(vec![attempt(3)]));
    desk.ends(1);
    let said = desk.told(Told::Ended { attempt: attempt(3), finish: finish(End::Succeeded) });
    assert!(said.returned().is_empty());
    assert_eq!(said.ended(), [(attempt(3), End::Succeeded)]);
}

#[test]
fn what_is_killed_ahead_has_no_room_to_leave() {
    let (mut desk, _) = quick();
    let kill = vec![KillRun { attempt: attempt(3), now: false }];
    let said = desk.ctrl(ToRunner::Kill { term: TERM, shim: life(1), attempts: kill.clone() });
    assert_eq!(said.calls, [Call::Kill(kill)]);
    let said = desk.told(Told::Ended { attempt: attempt(3), finish: finish(End::Cancelled) });
    assert_eq!(said.ended(), [(attempt(3), End::Cancelled)]);
    assert!(said.started().is_empty());
}

#[test]
fn what_the_shim_forgot_waits_again_at_its_place() {
    let (mut desk, _) = quick();
    let held = vec![running(1, &[]), running(2, &[])];
    let said = desk.hello(Hello { running: held, ended: vec![attempt(0)], ..hello(1) });
    assert_eq!(said.joins[0].holds, attempts(0..8));
    desk.welcome(&attempts(0..8));
    desk.told(Told::Beat { clock: 6 });
    desk.ctrl(ToRunner::Granted { term: TERM, shim: life(1), clock: 6 });
    assert_eq!(desk.ends(1).started(), [attempt(3)]);
}

#[test]
fn what_had_ended_before_it_was_killed_has_ended_so() {
    let (mut desk, _) = quick();
    let kill = vec![KillRun { attempt: attempt(3), now: true }];
    desk.ctrl(ToRunner::Kill { term: TERM, shim: life(1), attempts: kill });
    let ended = vec![attempt(0), attempt(1), attempt(3)];
    desk.hello(Hello { running: vec![running(2, &[])], ended, ..hello(1) });
    desk.welcome(&attempts(0..8));
    let said = desk.told(Told::Ended { attempt: attempt(3), finish: finish(End::Succeeded) });
    assert_eq!(said.ended(), [(attempt(3), End::Succeeded)]);
}

#[test]
fn what_the_shim_had_begun_when_it_was_asked_has_room() {
    let (mut desk, _) = quick();
    let held = vec![running(2, &[]), running(3, &[])];
    desk.hello(Hello { running: held, ended: attempts(0..2), ..hello(1) });
    desk.welcome(&attempts(0..8));
    desk.told(Told::Beat { clock: 6 });
    desk.ctrl(ToRunner::Granted { term: TERM, shim: life(1), clock: 6 });
    let said = desk.ends(1);
    assert!(said.started().is_empty(), "two run");
    assert_eq!(desk.ends(2).starting(), [attempt(4)]);
}

#[test]
fn what_the_shim_does_not_take_waits_until_it_has_another_grant() {
    let (mut desk, _) = quick();
    assert!(desk.told(Told::Unknown(attempt(3))).followed().is_empty());
    assert_eq!(desk.ends(1).started(), [attempt(3)]);
}

#[test]
fn of_what_was_ahead_in_another_life_nobody_says_that_it_has_not_started() {
    let (mut desk, _) = quick();
    let said = desk.hello(hello(2));
    assert_eq!(said.returned(), attempts(4..8));
    assert!(said.joins[0].holds.is_empty());
}

/// The controller says that an attempt is blocked, or has waited.
fn waits(desk: &mut Desk, attempt: AttemptId, is_over: bool) -> Said {
    let waits = vec![Waiting { attempt, round: 1, is_over }];
    desk.ctrl(ToRunner::Waits { term: TERM, shim: life(1), waits })
}

/// Else the shim would begin it in a room in which another is already.
#[test]
fn nothing_is_ahead_while_room_of_its_job_is_lent() {
    let (mut desk, _) = quick();
    let said = waits(&mut desk, attempt(1), false);
    assert_eq!(said.calls[0], Call::Return(vec![attempt(3)]));
    assert_eq!(said.started(), [attempt(4)], "in the room that is lent");
    assert!(desk.told(Told::Beat { clock: 9 }).calls.is_empty(), "it is asked for once");
    let said = desk.told(Told::Unknown(attempt(3)));
    assert!(said.returned().is_empty() && said.followed().is_empty(), "it waits at its place");
    assert!(desk.ends(1).starting().is_empty(), "what waits has no room to leave");
    assert_eq!(desk.ends(2).starting(), [attempt(3)]);
}

#[test]
fn nobody_begins_in_a_room_that_is_wanted_back() {
    let mut desk = Desk::working(cpus(2));
    assign(&mut desk, 2, ONE, 1);
    let parent = JobId(2).task(0).attempt(1);
    waits(&mut desk, parent, false);
    desk.assign(ONE, 0..8);
    assert_eq!(desk.ends(0).followed(), [(2, vec![attempt(3)])]);
    let said = waits(&mut desk, parent, true);
    assert_eq!(said.calls, [Call::Return(vec![attempt(3)])]);
    let said = desk.told(Told::Unknown(attempt(3)));
    assert!(said.is_silent(), "{said:?}");
    let said = desk.ends(1);
    assert_eq!((said.resumed(), said.starting()), (vec![(parent, 1)], vec![]));
    assert_eq!(desk.ends(2).starting(), [attempt(3)]);
}

/// Both sides count the ends in the same order, also of those that lent their room.
#[test]
fn what_the_shim_began_before_it_was_asked_for_it_runs() {
    let (mut desk, _) = quick();
    waits(&mut desk, attempt(1), false);
    assert_eq!(desk.ends(1).starting(), [attempt(3)]);
    assert!(desk.ends(2).starting().is_empty(), "3 and 4 run");
    assert_eq!(desk.ends(3).starting(), [attempt(5)]);
}
