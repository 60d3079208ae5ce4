//! What a step may look at is the same whenever it is run again.

use std::sync::mpsc::channel;

use dx_agents::AgentId;

use crate::desk::{Desk, ME, PEER};

/// The first random numbers of the steps 0, 1, ...
fn drawn(seed: u64, me: AgentId, steps: usize) -> Vec<[u64; 2]> {
    let mut desk = Desk::seeded(seed, me);
    let draw = |_| {
        let (sender, receiver) = channel();
        desk.run(move |cx| {
            let drawn = [cx.rng().next_u64(), cx.rng().next_u64()];
            sender.send(drawn).unwrap();
        });
        receiver.recv().unwrap()
    };
    (0..steps).map(draw).collect()
}

#[test]
fn random_numbers_are_the_same_for_the_same_seed_agent_and_step() {
    let numbers = drawn(7, ME, 20);
    assert_eq!(numbers, drawn(7, ME, 20));
    let mut all: Vec<u64> =
        [drawn(7, ME, 20), drawn(8, ME, 20), drawn(7, PEER, 20)].concat().concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 3 * 20 * 2, "and others for all others");
}

#[test]
fn random_numbers_do_not_depend_on_whether_earlier_steps_drew_any() {
    let mut desk = Desk::seeded(7, ME);
    desk.run(|_| {});
    desk.run(|_| {});
    let expected = drawn(7, ME, 3)[2][0];
    desk.run(move |cx| assert_eq!(cx.rng().next_u64(), expected));
}

#[test]
fn the_time_is_frozen_for_a_step_and_read_only_if_it_is_asked_for() {
    let mut desk = Desk::new();
    desk.run(|_| {});
    assert_eq!(desk.looks.load(std::sync::atomic::Ordering::Relaxed), 0);
    desk.run(|cx| assert_eq!((cx.now().0, cx.now().0), (1, 1)));
    desk.run(|cx| assert_eq!((cx.now().0, cx.now().0), (2, 2)));
}

#[test]
fn spawned_agents_have_ids_of_their_node_that_were_never_given_out() {
    let mut desk = Desk::new();
    desk.run(|cx| {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let id = cx.spawn(dx_agents::Spawn::new("child", crate::desk::Obeys::default));
            assert!(seen.insert(id));
            assert_eq!(id.spawned_by(), Some(cx.node()));
        }
    });
}
