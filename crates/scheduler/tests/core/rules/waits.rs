//! Tasks that wait for jobs.

use dx_agents::NodeId;
use dx_scheduler::client::{Answer, Motion, Request, RequestError};
use dx_scheduler::core::{MAX_BLOCKED, WAIT_KEPT};
use dx_scheduler::end::{Exit, TaskState};
use dx_scheduler::id::{AttemptId, JobId};
use dx_scheduler::job::{JobSpec, Resources, Size};
use dx_scheduler::message::{Report, ToRunner, Waiting};

use crate::desk::{Desk, all_of, exit, spec};

/// One node with so many processors.
fn ready(cpus: u32) -> Desk {
    let mut desk = Desk::new(1);
    desk.join(1, 1, cpus, Vec::new());
    desk.said(1);
    desk
}

/// The first that is open and not begun, and runs now.
fn begin(desk: &mut Desk) -> AttemptId {
    let open = desk.core.state().open_on(NodeId(1));
    let begins = |it: &AttemptId| desk.core_state(*it) == TaskState::Assigned;
    let attempt = open.into_iter().find(begins).expect("something is to begin");
    desk.report(1, 1, vec![Report::Starting(attempt), Report::Started(attempt)]);
    attempt
}

fn call(desk: &mut Desk, caller: AttemptId, spec: JobSpec) -> JobId {
    let (spec, by) = (Box::new(spec), "me".to_owned());
    match desk.ask(Request::Call { spec, by, caller, dry_run: false }) {
        Answer::Submitted { job, .. } => job,
        other => panic!("{other:?}"),
    }
}

fn wait(desk: &mut Desk, caller: AttemptId, jobs: &[JobId]) -> Answer {
    desk.ask(Request::Wait { caller, jobs: jobs.to_vec(), leave: false })
}

fn leave(desk: &mut Desk, caller: AttemptId, jobs: &[JobId]) -> Answer {
    desk.ask(Request::Wait { caller, jobs: jobs.to_vec(), leave: true })
}

fn is_over(answer: &Answer) -> bool {
    match answer {
        Answer::Waits { is_over, .. } => *is_over,
        other => panic!("{other:?}"),
    }
}

/// What was said of waits.
fn waits(said: &[ToRunner]) -> Vec<(AttemptId, u32, bool)> {
    let waits = said.iter().flat_map(|message| match message {
        ToRunner::Waits { waits, .. } => waits.clone(),
        _ => Vec::new(),
    });
    waits.map(|Waiting { attempt, round, is_over }| (attempt, round, is_over)).collect()
}

fn resume(desk: &mut Desk, attempt: AttemptId, round: u32) {
    desk.report(1, 1, vec![Report::Resumed(attempt, round)]);
}

/// A parent on one processor that is blocked by a child.
fn blocked() -> (Desk, AttemptId, JobId) {
    let mut desk = ready(1);
    desk.submit(spec("0"));
    let parent = begin(&mut desk);
    let child = call(&mut desk, parent, spec("0"));
    desk.said(1);
    assert!(!is_over(&wait(&mut desk, parent, &[child])));
    (desk, parent, child)
}

#[test]
fn a_parent_that_waits_gives_up_its_slot_and_goes_on_when_it_has_it_back() {
    let (mut desk, parent, child) = blocked();
    assert_eq!(desk.task(parent.task).state, TaskState::Blocked);
    assert_eq!(desk.job(parent.task.job).pair.state, Motion::Running);
    assert_eq!(waits(&desk.said(1)), [(parent, 1, false)]);
    assert_eq!(desk.node(1).used.cpus.0, 1000, "its child has it");
    let run = begin(&mut desk);
    assert_eq!(run.task.job, child);
    desk.end(1, 1, run, exit(Exit::Code(0)));
    assert_eq!(waits(&desk.said(1)), [(parent, 1, true)]);
    assert!(!is_over(&wait(&mut desk, parent, &[child])), "not before it has its room");
    assert_eq!(desk.task(parent.task).state, TaskState::Blocked);
    resume(&mut desk, parent, 1);
    assert_eq!(desk.task(parent.task).state, TaskState::Running);
    assert!(is_over(&wait(&mut desk, parent, &[child])));
    desk.restart();
    desk.join(1, 1, 1, vec![parent]);
    assert_eq!(waits(&desk.said(1)), [], "what is over is not said again");
    desk.end(1, 1, parent, exit(Exit::Code(0)));
}

#[test]
fn what_returns_goes_before_all_that_is_new() {
    let (mut desk, parent, _) = blocked();
    let run = begin(&mut desk);
    let urgent = desk.submit(JobSpec { priority: 9, ..spec("0-3") });
    desk.end(1, 1, run, exit(Exit::Code(0)));
    let explained = desk.explain(parent.task).causes;
    assert_eq!(explained[0].code, "returning");
    assert_eq!(desk.node(1).used.cpus.0, 1000, "its room is its own");
    // It may wait there: the node knows what begins before it.
    let waits: u64 = desk.job(urgent).counts.0.values().sum();
    assert_eq!(waits, 4);
    resume(&mut desk, parent, 1);
    desk.end(1, 1, parent, exit(Exit::Code(0)));
    begin(&mut desk);
}

#[test]
fn memory_is_not_given_up() {
    let mut desk = ready(4);
    let large = Resources { memory: Size(700 << 20), ..Resources::default() };
    desk.submit(JobSpec { resources: large.clone(), ..spec("0") });
    let parent = begin(&mut desk);
    let child = call(&mut desk, parent, JobSpec { resources: large, ..spec("0") });
    wait(&mut desk, parent, &[child]);
    let used = desk.node(1).used;
    assert_eq!((used.cpus.0, used.memory.0), (0, 700 << 20));
    let cause = desk.explain(child.task(0)).causes.remove(0);
    assert_eq!(cause.code, "deadlock", "{cause:?}");
    assert!(cause.what.contains("memory") && cause.what.contains("1.0"), "{}", cause.what);
    let cause = desk.explain(parent.task).causes.remove(0);
    assert_eq!(cause.code, "deadlock", "{cause:?}");
}

#[test]
fn a_tree_deeper_than_the_slots_ends() {
    let mut desk = ready(1);
    desk.submit(spec("0"));
    let mut line = vec![begin(&mut desk)];
    for _ in 0..20 {
        let parent = *line.last().unwrap();
        let child = call(&mut desk, parent, spec("0"));
        assert!(!is_over(&wait(&mut desk, parent, &[child])));
        line.push(begin(&mut desk));
    }
    desk.restart();
    desk.said(1);
    desk.join(1, 1, 1, line.clone());
    let said = waits(&desk.said(1));
    assert_eq!(said.len(), 20, "all that is blocked is said again");
    while let Some(last) = line.pop() {
        desk.end(1, 1, last, exit(Exit::Code(0)));
        if let Some(parent) = line.last() {
            resume(&mut desk, *parent, 1);
        }
    }
    let states = desk.jobs_ended();
    assert_eq!(states, 21);
}

#[test]
fn parents_in_a_fan_wait_each_for_its_own_child_on_fewer_slots() {
    let mut desk = ready(2);
    desk.submit(spec("0-9"));
    let (mut parents, mut children) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let parent = begin(&mut desk);
        // Behind its siblings, which are blocked by then.
        let child = call(&mut desk, parent, spec("0"));
        wait(&mut desk, parent, &[child]);
        parents.push(parent);
        children.push(child);
    }
    for _ in 0..10 {
        let run = begin(&mut desk);
        desk.end(1, 1, run, exit(Exit::Code(0)));
        let at = children.iter().position(|it| *it == run.task.job).unwrap();
        resume(&mut desk, parents[at], 1);
        desk.end(1, 1, parents[at], exit(Exit::Code(0)));
    }
    assert_eq!(desk.jobs_ended(), 11);
}

#[test]
fn what_is_said_late_or_twice_of_a_wait_changes_nothing() {
    let (mut desk, parent, child) = blocked();
    let before = desk.core.state().clone();
    desk.report(1, 1, vec![Report::Starting(parent), Report::Started(parent)]);
    resume(&mut desk, parent, 1);
    wait(&mut desk, parent, &[child]);
    assert_eq!(*desk.core.state(), before);
    let run = begin(&mut desk);
    desk.end(1, 1, run, exit(Exit::Code(0)));
    let before = desk.core.state().clone();
    for round in [0, 2] {
        resume(&mut desk, parent, round);
    }
    desk.report(1, 1, vec![Report::Started(parent)]);
    assert_eq!(*desk.core.state(), before);
    resume(&mut desk, parent, 1);
    let before = desk.core.state().clone();
    resume(&mut desk, parent, 1);
    assert_eq!(*desk.core.state(), before);
}

#[test]
fn of_waits_beside_each_other_the_last_gives_the_slot_back() {
    let mut desk = ready(1);
    desk.submit(spec("0"));
    let parent = begin(&mut desk);
    let children = [0, 1].map(|_| call(&mut desk, parent, spec("0")));
    for child in children {
        assert!(!is_over(&wait(&mut desk, parent, &[child])));
    }
    for (at, child) in children.into_iter().enumerate() {
        let run = begin(&mut desk);
        assert_eq!(run.task.job, child);
        desk.end(1, 1, run, exit(Exit::Code(0)));
        assert_eq!(is_over(&wait(&mut desk, parent, &[child])), at == 0);
    }
    resume(&mut desk, parent, 1);
    assert!(is_over(&wait(&mut desk, parent, &children)));
}

#[test]
fn a_wait_that_is_left_or_not_heard_of_is_over() {
    for is_left in [true, false] {
        let (mut desk, parent, child) = blocked();
        let run = begin(&mut desk);
        if is_left {
            assert!(!is_over(&leave(&mut desk, parent, &[child])));
        } else {
            for _ in 0..5 {
                desk.pass(WAIT_KEPT / 3);
                desk.beat(1, 1);
                wait(&mut desk, parent, &[child]);
            }
            assert_eq!(
                waits(&desk.said(1)),
                [(parent, 1, false)],
                "it is kept while it is asked for"
            );
            for _ in 0..4 {
                desk.pass(WAIT_KEPT / 4);
                desk.beat(1, 1);
            }
        }
        assert_eq!(waits(&desk.said(1)).last(), Some(&(parent, 1, true)), "left: {is_left}");
        resume(&mut desk, parent, 1);
        assert!(is_over(&leave(&mut desk, parent, &[child])));
        // It waits again.
        assert!(!is_over(&wait(&mut desk, parent, &[child])));
        assert_eq!(waits(&desk.said(1)), [(parent, 2, false)]);
        desk.end(1, 1, run, exit(Exit::Code(0)));
        assert_eq!(waits(&desk.said(1)), [(parent, 2, true)]);
    }
}

#[test]
fn who_would_wait_for_itself_is_told_by_what_way() {
    let (mut desk, parent, child) = blocked();
    let run = begin(&mut desk);
    let refused = |answer| match answer {
        Answer::Refused(RequestError::WaitsForItself { path, .. }) => path,
        other => panic!("{other:?}"),
    };
    let own = wait(&mut desk, run, &[child]);
    assert_eq!(refused(own), [child]);
    let above = wait(&mut desk, run, &[parent.task.job]);
    assert_eq!(refused(above), [parent.task.job, child]);
    let after_any = vec![child.to_string().parse().unwrap()];
    let behind = call(&mut desk, run, JobSpec { after_any, ..spec("0") });
    assert_eq!(refused(wait(&mut desk, run, &[behind])), [behind, child]);
    let answer = wait(&mut desk, run, &[behind]);
    let Answer::Refused(error) = answer else { panic!("{answer:?}") };
    assert_eq!(
        error.to_string(),
        "task 2.0 would wait for itself: job 3, which waits for job 2, which is its own job; \
         nothing of it would ever end"
    );
    assert_eq!(desk.task(run.task).state, TaskState::Running);
}

#[test]
fn no_more_are_blocked_on_a_node_than_it_bears_and_the_rest_keep_their_slots() {
    let mut desk = ready(1);
    desk.is_careful = false;
    let none = Resources { cpus: dx_scheduler::job::Cpus(0), ..Resources::default() };
    let count = MAX_BLOCKED as u32 + 1;
    let array = format!("0-{}", count - 1);
    desk.submit(JobSpec { resources: none, ..spec(&array) });
    let target = desk.submit(JobSpec { hold: true, ..spec("0") });
    let parents: Vec<AttemptId> = (0..count).map(|_| begin(&mut desk)).collect();
    for parent in &parents {
        assert!(!is_over(&wait(&mut desk, *parent, &[target])));
    }
    let last = *parents.last().unwrap();
    assert_eq!(desk.task(last.task).state, TaskState::Running);
    let cause = desk.explain(last.task).causes.remove(0);
    assert_eq!(cause.code, "keeps_slot");
    desk.end(1, 1, parents[0], exit(Exit::Code(0)));
    assert!(!is_over(&wait(&mut desk, last, &[target])));
    assert_eq!(desk.task(last.task).state, TaskState::Blocked, "there is a place");
    desk.core.state().check().unwrap();
    desk.changed(Request::Cancel { what: all_of(target), now: false, reason: None });
    assert_eq!(desk.explain(last.task).causes[0].code, "returning");
}

#[test]
fn a_blocked_tree_is_cancelled_as_any_other() {
    let (mut desk, parent, child) = blocked();
    let run = begin(&mut desk);
    desk.said(1);
    desk.changed(Request::Cancel { what: all_of(parent.task.job), now: false, reason: None });
    let killed: Vec<AttemptId> = desk
        .said(1)
        .iter()
        .flat_map(|message| match message {
            ToRunner::Kill { attempts, .. } => attempts.iter().map(|it| it.attempt).collect(),
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(killed, [parent, run]);
    desk.end(1, 1, run, crate::desk::ended(dx_scheduler::end::End::Cancelled));
    desk.end(1, 1, parent, crate::desk::ended(dx_scheduler::end::End::Cancelled));
    assert_eq!(desk.task(child.task(0)).state, TaskState::Cancelled);
    assert_eq!(desk.task(parent.task).state, TaskState::Cancelled);
    assert_eq!(desk.node(1).used.cpus.0, 0);
    desk.restart();
}

#[test]
fn only_what_runs_waits_and_only_for_jobs_that_there_are() {
    let mut desk = ready(1);
    let job = desk.submit(spec("0-1"));
    let first = begin(&mut desk);
    let none = wait(&mut desk, first, &[JobId(9)]);
    assert_eq!(none, Answer::Refused(RequestError::NoJob(JobId(9))));
    let other = desk.submit(spec("0"));
    let queued = job.task(1).attempt(1);
    let answer = wait(&mut desk, queued, &[other]);
    if desk.core_state(queued) == TaskState::Assigned {
        assert!(!is_over(&answer));
        assert_eq!(desk.core_state(queued), TaskState::Assigned, "nobody said that it runs");
    }
    desk.end(1, 1, first, exit(Exit::Code(0)));
    assert_eq!(wait(&mut desk, first, &[other]), Answer::Refused(RequestError::NotRunning(first)));
}
