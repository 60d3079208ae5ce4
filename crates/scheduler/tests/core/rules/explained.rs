//! What is said of a task that does not run, and of what happened.

use dx_agents::NodeId;
use dx_scheduler::client::{Answer, Request};
use dx_scheduler::end::{Exit, Fault};
use dx_scheduler::job::{Constraint, Cpus, JobSpec, Operator};
use dx_scheduler::message::Report;

use crate::desk::{Desk, all_of, exit, not_started, spec, submission};

fn codes(desk: &mut Desk, task: dx_scheduler::id::TaskId) -> Vec<String> {
    desk.explain(task).causes.into_iter().map(|cause| cause.code).collect()
}

/// What is said first of a task that waits.
fn first(desk: &mut Desk, task: dx_scheduler::id::TaskId) -> (String, String) {
    let cause = desk.explain(task).causes.swap_remove(0);
    assert_eq!(desk.task(task).reason, Some(cause.what.clone()), "the list says the same");
    (cause.code, cause.what)
}

fn wants(label: &str, value: &str) -> Constraint {
    let (label, value) = (label.to_owned(), value.to_owned());
    Constraint { label, operator: Operator::Eq, value }
}

#[test]
fn the_reason_why_a_task_does_not_run_is_the_true_one() {
    let mut desk = Desk::new(2);
    let plain = desk.submit(spec("0-9")).task(9);
    assert_eq!(first(&mut desk, plain).0, "no_node_heard");
    desk.join(1, 1, 2, Vec::new());
    assert_eq!(codes(&mut desk, plain), ["no_room_now"]);
    let nowhere = JobSpec { constraints: vec![wants("zone", "c")], ..spec("0") };
    let nowhere = desk.submit(nowhere).task(0);
    let (code, what) = first(&mut desk, nowhere);
    assert_eq!((&*code, &*what), ("no_node_with_label", "no node has zone = c"));
    let both = vec![wants("zone", "a"), wants("rank", "2")];
    let both = desk.submit(JobSpec { constraints: both, ..spec("0") }).task(0);
    assert_eq!(first(&mut desk, both).0, "no_node_with_labels");
    let mut large = spec("0");
    large.resources.cpus = Cpus(64_000);
    let large = desk.submit(large).task(0);
    let (code, what) = first(&mut desk, large);
    assert_eq!(code, "too_large");
    assert!(what.starts_with("it needs 64 of cpus, and no node"), "{what}");
    assert!(what.ends_with("has more than 2 at all"), "{what}");
    let held = desk.submit(JobSpec { hold: true, ..spec("0") }).task(0);
    assert_eq!(first(&mut desk, held).0, "held");
    let later = desk.submit(spec("0")).task(0);
    assert_eq!(codes(&mut desk, later), ["behind", "no_room_now"]);
    desk.changed(Request::Drain { node: NodeId(1), reason: Some("disk".to_owned()) });
    let (code, what) = first(&mut desk, plain);
    assert_eq!(code, "all_drained");
    assert!(what.contains("n1 is draining (disk)"), "{what}");
}

#[test]
fn who_submits_what_cannot_run_is_warned() {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 2, Vec::new());
    let mut warned = |it: JobSpec| match desk.ask(submission(it)) {
        Answer::Submitted { warnings, .. } => !warnings.is_empty(),
        other => panic!("{other:?}"),
    };
    assert!(!warned(spec("0")));
    assert!(warned(JobSpec { constraints: vec![wants("zone", "c")], ..spec("0") }));
    let mut large = spec("0");
    large.resources.gpus = 2;
    assert!(warned(large));
}

#[test]
fn a_task_that_waits_on_a_node_says_so() {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 1, Vec::new());
    let job = desk.submit(spec("0-1"));
    assert_eq!(codes(&mut desk, job.task(0)), ["assigned"]);
    assert_eq!(codes(&mut desk, job.task(1)), ["node_busy"]);
    desk.step(|core| core.away(NodeId(1)));
    assert_eq!(codes(&mut desk, job.task(0)), ["node_silent"]);
}

#[test]
fn a_task_that_waits_for_its_time_or_its_siblings_says_so() {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 4, Vec::new());
    let mut it = JobSpec { max_running: Some(1), ..spec("0-1") };
    it.retry.max_attempts = 2;
    let job = desk.submit(it);
    assert_eq!(codes(&mut desk, job.task(1)), ["max_running"]);
    desk.end(1, 1, job.task(0).attempt(1), exit(Exit::Code(1)));
    assert_eq!(codes(&mut desk, job.task(0)), ["backoff"]);
}

#[test]
fn what_happened_is_told_in_its_order_with_times() {
    let mut desk = Desk::new(1);
    let mut it = spec("0");
    it.retry.max_attempts = 2;
    let job = desk.submit(it);
    desk.pass(1_000);
    desk.join(1, 1, 1, Vec::new());
    desk.pass(1_000);
    desk.report(1, 1, vec![Report::Started(job.task(0).attempt(1))]);
    desk.pass(1_000);
    desk.end(1, 1, job.task(0).attempt(1), exit(Exit::Signal(9)));
    desk.pass(5_000);
    desk.end(1, 1, job.task(0).attempt(2), not_started(Fault::Job));
    desk.changed(Request::Retry { what: all_of(job), all: false });
    let steps = desk.explain(job.task(0)).steps;
    assert!(steps.is_sorted_by_key(|step| step.at));
    let what: Vec<&str> = steps.iter().map(|step| &*step.what).collect();
    assert_eq!(
        what,
        [
            "me submitted it as job 1",
            "attempt 1 was given to node n1",
            "attempt 1 began to run on node n1",
            "attempt 1 died of signal 9",
            "attempt 2 was given to node n1",
            "it was opened again",
            "attempt 2 could not be started: there is no such file",
            "attempt 3 was given to node n1",
        ]
    );
}

#[test]
fn why_a_task_ended_is_told_in_a_line() {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 1, Vec::new());
    let job = desk.submit(spec("0-9"));
    desk.end(1, 1, job.task(0).attempt(1), exit(Exit::Code(3)));
    desk.end(1, 1, job.task(1).attempt(1), not_started(Fault::Job));
    let reason = Some("too slow".to_owned());
    desk.changed(Request::Cancel { what: all_of(job), now: false, reason });
    let mut reason = |index| desk.task(job.task(index)).reason.unwrap_or_default();
    assert_eq!(reason(0), "exited with code 3");
    assert_eq!(reason(1), "could not be started: there is no such file");
    assert_eq!(reason(9), "it was cancelled: too slow");
}
