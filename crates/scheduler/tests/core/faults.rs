//! What counts as a fault of a node.

use dx_scheduler::client::NodeState;
use dx_scheduler::end::End;
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
