//! What counts as a fault of a node.

use dx_agents::NodeId;
use dx_scheduler::client::{NodeState, Request};
use dx_scheduler::end::{End, TaskState};
use dx_scheduler::job::{JobSpec, Retry};
use dx_scheduler::message::Report;

use super::desk::{Desk, ended, spec};

#[test]
fn the_death_of_a_shim_is_one_fault_of_its_node_however_much_it_ran() {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 8, vec![]);
    desk.submit(spec("0-7"));
    for life in 1..=3 {
        let runs = desk.assigned(1);
        assert_eq!(runs.len(), 8);
        assert_eq!(desk.node(1).state, NodeState::Ready);
        desk.report(1, life, runs.iter().map(|it| Report::Started(*it)).collect());
        desk.join(1, life + 1, 8, runs.clone());
        let lost = runs.iter().map(|it| Report::Ended(*it, ended(End::Lost)));
        desk.report(1, life + 1, lost.collect());
        assert_eq!(u64::from(desk.node(1).faults), life);
        // Past the wait before the next attempt.
        desk.pass(10_000);
    }
    assert_eq!(desk.node(1).state, NodeState::Quarantined, "a shim that does nothing but die");
}

#[test]
fn a_shim_that_dies_with_nothing_to_do_is_no_fault_of_its_node() {
    let mut desk = Desk::new(1);
    for life in 1..=5 {
        desk.join(1, life, 8, vec![]);
    }
    assert_eq!((desk.node(1).state, desk.node(1).faults), (NodeState::Ready, 0));
}

/// As a cluster that is stopped each evening does.
#[test]
fn what_a_node_runs_that_is_stopped_in_good_order_goes_on_when_it_is_back_however_often() {
    let mut desk = Desk::new(1);
    let retry = Retry { max_node_faults: 0, ..Retry::default() };
    let job = desk.submit(JobSpec { retry, ..spec("0-2") });
    for life in 1..=20 {
        desk.join(1, life, 8, vec![]);
        desk.changed(Request::Undrain(NodeId(1)));
        let runs = desk.assigned(1);
        assert_eq!(runs.len(), 3, "day {life}");
        desk.report(1, life, runs.iter().map(|it| Report::Started(*it)).collect());
        desk.changed(Request::Drain { node: NodeId(1), reason: None });
        // Of the first the controller hears before the node is gone, of the second when it is back,
        // and of the third nothing at all.
        desk.end(1, life, runs[0], ended(End::Lost));
        desk.join(1, life + 1, 8, vec![runs[1]]);
        desk.end(1, life + 1, runs[1], ended(End::Lost));
        assert_eq!(desk.job(job).counts.0[&TaskState::Queued], 3, "day {life}");
        assert_eq!((desk.node(1).state, desk.node(1).faults), (NodeState::Drained, 0));
    }
    let last = desk.task(job.task(0)).attempts.pop().unwrap().record;
    assert_eq!(last.note.as_deref(), Some("its node was stopped"));
}
