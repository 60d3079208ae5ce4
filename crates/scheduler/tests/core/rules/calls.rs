//! Jobs that running tasks submit.

use dx_scheduler::client::{Answer, JobState, Request, RequestError};
use dx_scheduler::end::{Exit, TaskState};
use dx_scheduler::id::{AttemptId, JobId};
use dx_scheduler::job::{JobSpec, OnCallerEnd, Retry};

use crate::desk::{Desk, all_of, exit, spec};

fn ready() -> Desk {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 100, Vec::new());
    desk.said(1);
    desk
}

fn call(desk: &mut Desk, caller: AttemptId, spec: JobSpec) -> Answer {
    desk.ask(Request::Call { spec: Box::new(spec), by: "me".to_owned(), caller, dry_run: false })
}

fn child(desk: &mut Desk, caller: AttemptId, spec: JobSpec) -> (JobId, bool) {
    match call(desk, caller, spec) {
        Answer::Submitted { job, is_repeat, .. } => (job, is_repeat),
        other => panic!("{other:?}"),
    }
}

fn named(name: &str) -> JobSpec {
    JobSpec { name: Some(name.to_owned()), ..spec("0") }
}

/// A parent that may be tried twice, and its first attempt.
fn parent(desk: &mut Desk) -> AttemptId {
    let retry = Retry { max_attempts: 2, ..Retry::default() };
    let job = desk.submit(JobSpec { retry, ..named("parent") });
    job.task(0).attempt(1)
}

#[test]
fn a_cancel_goes_down_the_tree_and_not_beside_it() {
    let mut desk = ready();
    let first = parent(&mut desk);
    let (one, _) = child(&mut desk, first, named("one"));
    let (two, _) = child(&mut desk, one.task(0).attempt(1), JobSpec { hold: true, ..named("two") });
    let other = desk.submit(named("other"));
    desk.restart();
    desk.join(1, 1, 100, desk.core.state().open_on(dx_agents::NodeId(1)));
    let cancel = Request::Cancel { what: all_of(first.task.job), now: false, reason: None };
    assert_eq!(desk.changed(cancel), 3);
    let said = desk.task(two.task(0)).reason.unwrap();
    assert_eq!(said, format!("it was cancelled with task {one}.0, which called it"));
    assert_eq!(desk.job(two).state, JobState::Cancelled);
    assert_eq!(desk.task(other.task(0)).state, TaskState::Assigned);
}

#[test]
fn only_what_runs_calls() {
    let mut desk = ready();
    let first = parent(&mut desk);
    desk.end(1, 1, first, exit(Exit::Code(1)));
    let refused = Answer::Refused(RequestError::NotRunning(first));
    assert_eq!(call(&mut desk, first, named("late")), refused);
    let never = first.task.attempt(9);
    assert!(matches!(call(&mut desk, never, named("never")), Answer::Refused(_)));
}

#[test]
fn a_retried_parent_has_its_children_again_and_those_that_failed_run_again() {
    let mut desk = ready();
    let first = parent(&mut desk);
    let (good, _) = child(&mut desk, first, named("good"));
    let (bad, _) = child(&mut desk, first, named("bad"));
    let (twin, _) = child(&mut desk, first, named("good"));
    assert_ne!(good, twin, "an attempt that asks twice gets two");
    desk.end(1, 1, good.task(0).attempt(1), exit(Exit::Code(0)));
    desk.end(1, 1, bad.task(0).attempt(1), exit(Exit::Code(1)));
    desk.end(1, 1, first, exit(Exit::Code(1)));
    desk.restart();
    desk.join(1, 1, 100, desk.core.state().open_on(dx_agents::NodeId(1)));
    desk.pass(5_000);
    let second = first.task.attempt(2);
    let other_id = JobSpec { request_id: Some("new".to_owned()), ..named("good") };
    assert_eq!(child(&mut desk, second, other_id), (good, true), "whatever its request_id");
    assert_eq!(child(&mut desk, second, named("bad")), (bad, true));
    assert_eq!(child(&mut desk, second, named("good")), (twin, true));
    let (more, is_repeat) = child(&mut desk, second, named("good"));
    assert!(!is_repeat && more > twin, "a third is new");
    assert_eq!(desk.task(good.task(0)).state, TaskState::Succeeded, "what succeeded stays");
    assert_eq!(desk.task(bad.task(0)).state, TaskState::Assigned, "what failed runs again");
    desk.restart();
}

#[test]
fn what_was_called_stays_while_its_caller_runs() {
    let mut desk =
        Desk::with(dx_scheduler::core::Config { most_ended: 0, ..Desk::new(1).core_config() });
    desk.join(1, 1, 100, Vec::new());
    let first = parent(&mut desk);
    let (one, _) = child(&mut desk, first, named("one"));
    desk.end(1, 1, one.task(0).attempt(1), exit(Exit::Code(0)));
    assert_eq!(desk.job(one).state, JobState::Succeeded);
    desk.end(1, 1, first, exit(Exit::Code(0)));
    let gone = Answer::Refused(RequestError::NoJob(one));
    assert_eq!(desk.ask(Request::Job(one)), gone, "retention may have it now");
    desk.restart();
}

#[test]
fn callers_that_keep_the_room_of_what_they_called_are_named() {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 2, Vec::new());
    let (one, two) = (parent(&mut desk), parent(&mut desk));
    let (job, _) = child(&mut desk, one, named("child"));
    let first = |desk: &mut Desk| desk.explain(job.task(0)).causes[0].code.clone();
    assert_eq!(first(&mut desk), "node_busy", "the other task may end");
    let (more, _) = child(&mut desk, two, named("more"));
    assert_eq!(first(&mut desk), "deadlock");
    let cause = desk.explain(more.task(0)).causes.remove(0);
    assert_eq!(cause.code, "deadlock");
    assert!(cause.what.contains(&format!("{}, {}", one.task, two.task)), "{}", cause.what);
    desk.end(1, 1, one, exit(Exit::Code(0)));
    assert_ne!(first(&mut desk), "deadlock");
}

#[test]
fn what_calls_itself_for_ever_is_stopped() {
    let mut desk = ready();
    let mut caller = parent(&mut desk);
    for _ in 0..dx_scheduler::core::MAX_CALLS {
        let (job, _) = child(&mut desk, caller, JobSpec { hold: false, ..named("self") });
        caller = job.task(0).attempt(1);
        let open = desk.core.state().open_on(dx_agents::NodeId(1));
        if !open.contains(&caller) {
            desk.join(1, 2, 1_000, open);
        }
    }
    let refused = call(&mut desk, caller, named("self"));
    assert!(matches!(refused, Answer::Refused(RequestError::Invalid(_))), "{refused:?}");
}

#[test]
fn a_hundred_thousand_children_are_one_job_each_and_found_again_without_a_search() {
    let mut desk = ready();
    desk.is_careful = false;
    let first = parent(&mut desk);
    // As many as there may be take a minute in a debug build: that is for the nightly run.
    let count: u32 = if std::env::var_os("DX_CORE_SEEDS").is_some() { 100_000 } else { 20_000 };
    for at in 0..count {
        let name = format!("child {}", at % 1_000);
        child(&mut desk, first, JobSpec { hold: true, ..named(&name) });
    }
    desk.end(1, 1, first, exit(Exit::Code(1)));
    desk.pass(5_000);
    let again = JobSpec { hold: true, ..named("child 7") };
    let (job, is_repeat) = child(&mut desk, first.task.attempt(2), again);
    assert_eq!((job, is_repeat), (JobId(9), true));
    let cancel = Request::Cancel { what: all_of(first.task.job), now: true, reason: None };
    assert_eq!(desk.changed(cancel), u64::from(count) + 1);
    desk.core.state().check().unwrap();
}

#[test]
fn children_go_on_when_their_caller_ends_unless_they_are_to_end_with_it() {
    for how in [Exit::Code(0), Exit::Code(1)] {
        let mut desk = ready();
        let first = parent(&mut desk);
        let on_caller_end = OnCallerEnd::Cancel;
        let (own, _) = child(&mut desk, first, named("own"));
        let (with, _) = child(&mut desk, first, JobSpec { on_caller_end, ..named("with") });
        let (below, _) = child(&mut desk, with.task(0).attempt(1), named("below"));
        let mut last = first;
        if how != Exit::Code(0) {
            desk.end(1, 1, first, exit(how));
            assert_eq!(desk.task(with.task(0)).state, TaskState::Assigned, "it is tried again");
            desk.pass(10_000);
            last = first.task.attempt(2);
        }
        desk.end(1, 1, last, exit(how));
        let dooms = |desk: &mut Desk, job: JobId| {
            let said = desk.explain(job.task(0)).steps;
            said.iter().any(|step| step.what.contains("was cancelled"))
        };
        assert!(dooms(&mut desk, with) && dooms(&mut desk, below), "{how:?}");
        assert!(!dooms(&mut desk, own), "{how:?}");
        let steps = desk.explain(with.task(0)).steps;
        let why = format!("task {}, which called it, has ended", first.task);
        assert!(steps.iter().any(|step| step.what.contains(&why)), "{steps:?}");
        desk.restart();
    }
}

#[test]
fn what_ends_with_its_caller_is_decided_for_those_that_wait_for_it_at_once() {
    let mut desk = ready();
    let first = parent(&mut desk);
    let on_caller_end = OnCallerEnd::Cancel;
    let (with, _) = child(&mut desk, first, JobSpec { on_caller_end, hold: true, ..named("with") });
    let after_ok = vec![with.to_string().parse().unwrap()];
    let waits = desk.submit(JobSpec { after_ok, ..spec("0") });
    desk.end(1, 1, first, exit(Exit::Code(0)));
    assert_eq!(desk.task(with.task(0)).state, TaskState::Cancelled);
    assert_eq!(desk.task(waits.task(0)).state, TaskState::Aborted);
}
