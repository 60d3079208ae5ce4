//! Nodes: their lives, leases, faults, and those who take them out of use.

use dx_agents::NodeId;
use dx_scheduler::client::{NodeState, Request};
use dx_scheduler::end::{End, Exit, Fault, TaskState};
use dx_scheduler::message::{Report, ToController, ToRunner};

use crate::desk::{Desk, LEASE, ended, exit, not_started, shim, spec};

fn two() -> Desk {
    let mut desk = Desk::new(2);
    desk.join(1, 1, 2, Vec::new());
    desk.said.clear();
    desk
}

#[test]
fn what_runs_on_a_node_that_is_silent_is_lost_at_the_end_of_its_lease_and_runs_elsewhere() {
    let mut desk = two();
    let job = desk.submit(spec("0"));
    assert_eq!(desk.assigned(1), [job.task(0).attempt(1)]);
    desk.pass(LEASE - 1);
    desk.join(2, 1, 2, Vec::new());
    desk.beat(2, 1);
    assert_eq!(desk.assigned(2), [], "the lease is not over");
    desk.pass(1_001);
    assert_eq!(desk.assigned(2), [job.task(0).attempt(2)]);
    assert_eq!(desk.node(1).state, NodeState::Lost);
    let first = &desk.task(job.task(0)).attempts[0].record;
    assert_eq!((first.end, first.finish.is_none()), (Some(End::Lost), true));
}

#[test]
fn a_beat_renews_a_lease() {
    let mut desk = two();
    let job = desk.submit(spec("0"));
    for _ in 0..10 {
        desk.pass(LEASE / 2);
        desk.beat(1, 1);
    }
    assert_eq!(desk.task(job.task(0)).state, TaskState::Assigned);
    let granted = desk.said(1).iter().filter(|it| matches!(it, ToRunner::Granted { .. })).count();
    assert_eq!(granted, 10);
}

#[test]
fn a_life_that_was_given_up_is_told_so_whatever_it_says() {
    let mut desk = two();
    desk.submit(spec("0"));
    desk.pass(2 * LEASE);
    desk.said.clear();
    desk.beat(1, 1);
    desk.join(1, 1, 2, Vec::new());
    desk.report(1, 1, Vec::new());
    let fenced = desk.said(1);
    assert_eq!(fenced.len(), 3);
    assert!(
        fenced
            .iter()
            .all(|it| matches!(it, ToRunner::Fenced { shim: of, .. } if *of == shim(1, 1)))
    );
    desk.join(1, 2, 2, Vec::new());
    assert_eq!(desk.node(1).state, NodeState::Ready);
}

#[test]
fn after_a_restart_every_lease_counts_from_then() {
    let mut desk = two();
    let job = desk.submit(spec("0"));
    desk.pass(LEASE - 1_000);
    desk.restart();
    desk.pass(LEASE);
    assert_eq!(desk.task(job.task(0)).state, TaskState::Assigned);
    desk.pass(1_000);
    assert_eq!(desk.task(job.task(0)).state, TaskState::Queued);
}

#[test]
fn another_life_tells_the_ends_that_its_shim_kept_and_the_rest_is_lost() {
    let mut desk = two();
    let job = desk.submit(spec("0-1"));
    let runs = desk.assigned(1);
    desk.join(1, 2, 2, vec![runs[0]]);
    assert_eq!(desk.task(job.task(0)).state, TaskState::Assigned);
    let lost = desk.task(job.task(1)).attempts[0].record.clone();
    assert_eq!(lost.end, Some(End::Lost));
    desk.end(1, 2, runs[0], exit(Exit::Code(0)));
    assert_eq!(desk.task(job.task(0)).state, TaskState::Succeeded);
}

#[test]
fn what_never_arrived_is_sent_again_with_its_number_and_in_its_order() {
    let mut desk = two();
    let late = desk.submit(spec("5"));
    let job = desk.submit(spec("0-1"));
    let runs = desk.assigned(1);
    desk.step(|core| core.away(NodeId(1)));
    desk.join(1, 1, 2, vec![runs[1]]);
    let again = desk.assigned(1);
    assert_eq!(again, [late.task(5).attempt(1), job.task(1).attempt(1)]);
}

#[test]
fn a_node_that_is_cut_off_is_given_nothing_and_keeps_what_it_has() {
    let mut desk = two();
    let job = desk.submit(spec("0"));
    let runs = desk.assigned(1);
    desk.step(|core| core.away(NodeId(1)));
    let other = desk.submit(spec("0"));
    assert_eq!(desk.assigned(1), []);
    assert_eq!(desk.node(1).state, NodeState::Silent);
    desk.join(1, 1, 2, runs.clone());
    assert_eq!(desk.assigned(1), [other.task(0).attempt(1)]);
    desk.end(1, 1, runs[0], exit(Exit::Code(0)));
    assert_eq!(desk.task(job.task(0)).state, TaskState::Succeeded);
}

#[test]
fn a_node_whose_faults_follow_each_other_takes_no_work_for_a_while() {
    let mut desk = two();
    let job = desk.submit(spec("0-9"));
    for _ in 0..3 {
        let state = desk.node(1).state;
        assert_eq!(state, NodeState::Ready);
        let attempt = desk.core_first(1);
        desk.end(1, 1, attempt, not_started(Fault::Node));
    }
    let node = desk.node(1);
    assert_eq!((node.state, node.faults), (NodeState::Quarantined, 3));
    assert!(node.reason.is_some() && node.quarantined_until == Some(desk.at + 30_000));
    desk.said.clear();
    for _ in 0..3 {
        desk.pass(10_000);
        desk.beat(1, 1);
    }
    assert_eq!(desk.node(1).state, NodeState::Ready, "once the time is over");
    let attempt = desk.core_first(1);
    desk.end(1, 1, attempt, not_started(Fault::Node));
    let node = desk.node(1);
    assert_eq!(node.quarantined_until, Some(desk.at + 60_000), "one more is enough, for longer");
    desk.changed(Request::Undrain(NodeId(1)));
    assert_eq!((desk.node(1).state, desk.node(1).faults), (NodeState::Ready, 0));
    assert!(desk.job(job).ended.is_none());
}

#[test]
fn anything_good_ends_a_row_of_faults() {
    let mut desk = two();
    desk.submit(spec("0-9"));
    for finish in [
        not_started(Fault::Node),
        not_started(Fault::Node),
        exit(Exit::Code(0)),
        not_started(Fault::Node),
        exit(Exit::Code(1)),
        not_started(Fault::Node),
    ] {
        let attempt = desk.core_first(1);
        desk.end(1, 1, attempt, finish);
    }
    assert_eq!((desk.node(1).state, desk.node(1).faults), (NodeState::Ready, 1));
}

#[test]
fn a_drained_node_ends_what_it_runs_and_gives_back_what_waits() {
    let mut desk = two();
    desk.submit(spec("0-9"));
    let runs = desk.assigned(1);
    assert_eq!(runs.len(), 3, "two that run, and one ahead");
    desk.report(1, 1, runs[..2].iter().map(|it| Report::Started(*it)).collect());
    desk.changed(Request::Drain { node: NodeId(1), reason: Some("disk".to_owned()) });
    let back: Vec<_> = desk
        .said(1)
        .into_iter()
        .filter_map(|it| match it {
            ToRunner::Retract { attempts, .. } => Some(attempts),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(back, runs[2..]);
    desk.report(1, 1, vec![Report::Returned(runs[2])]);
    assert_eq!(desk.node(1).state, NodeState::Draining);
    desk.end(1, 1, runs[0], exit(Exit::Code(0)));
    desk.end(1, 1, runs[1], exit(Exit::Code(0)));
    let node = desk.node(1);
    assert_eq!((node.state, node.reason.as_deref()), (NodeState::Drained, Some("disk")));
    desk.pass(1_000);
    assert_eq!(desk.assigned(1), []);
    desk.changed(Request::Undrain(NodeId(1)));
    assert_eq!(desk.assigned(1).len(), 3);
}

#[test]
fn nobody_speaks_for_another_node_and_no_stranger_is_heard() {
    let mut desk = two();
    let before = desk.core.state().clone();
    desk.hear(2, ToController::Beat { shim: shim(1, 1), clock: 0 });
    desk.join(9, 1, 2, Vec::new());
    assert_eq!(*desk.core.state(), before);
    assert_eq!(desk.core.live().tally().foreign, 2);
    assert!(desk.said(2).is_empty() && desk.said(9).is_empty());
}

#[test]
fn an_attempt_that_ran_past_its_lease_says_so() {
    let mut desk = two();
    let job = desk.submit(spec("0"));
    let runs = desk.assigned(1);
    desk.pass(2 * LEASE);
    let join = |desk: &mut Desk, life| {
        let join = dx_scheduler::message::Join {
            number: 1,
            shim: shim(1, life),
            capacity: std::sync::Arc::from(r#"{"cpus":2}"#),
            kill: dx_scheduler::processor::Certainty::BestEffort,
            memory: false,
            holds: Vec::new(),
            overran: runs.clone(),
        };
        desk.hear(1, ToController::Join(join));
    };
    join(&mut desk, 2);
    let note = desk.task(job.task(0)).attempts[0].record.note.clone().expect("it is noted");
    assert!(note.contains("may have run while"), "{note}");
    let journaled = desk.journal.len();
    join(&mut desk, 2);
    assert_eq!(desk.journal.len(), journaled, "what is known is not written again");
    let _ = ended(End::Lost);
}
