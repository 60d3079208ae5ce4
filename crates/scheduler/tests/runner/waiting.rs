//! Tasks that wait for jobs: whose their slots are.

use dx_scheduler::message::{ToRunner, Waiting};
use dx_scheduler::processor::Hello;

use super::desk::{Desk, Said, TERM, attempt, attempts, cpus, hello, life, running};

/// The controller says that an attempt is blocked, or has waited.
fn waits(desk: &mut Desk, index: u32, round: u32, is_over: bool) -> Said {
    let waits = vec![Waiting { attempt: attempt(index), round, is_over }];
    desk.ctrl(ToRunner::Waits { term: TERM, shim: life(1), waits })
}

#[test]
fn what_waits_lends_its_slot_and_has_it_back_before_anything_begins() {
    let mut desk = Desk::working(cpus(1));
    desk.assign("{}", 0..4);
    assert_eq!(waits(&mut desk, 0, 1, false).started(), [attempt(1)]);
    let said = waits(&mut desk, 0, 1, true);
    assert!(said.resumed().is_empty() && said.started().is_empty());
    let said = desk.ends(1);
    assert_eq!(said.resumed(), [(attempt(0), 1)]);
    assert!(said.started().is_empty(), "its room is its own");
    assert_eq!(desk.ends(0).starting(), [attempt(2)]);
}

#[test]
fn what_is_said_late_or_again_of_a_wait_changes_nothing() {
    let mut desk = Desk::working(cpus(1));
    desk.assign("{}", 0..4);
    waits(&mut desk, 0, 2, false);
    for (round, is_over) in [(2, false), (1, true), (1, false)] {
        assert!(waits(&mut desk, 0, round, is_over).is_silent(), "round {round}, {is_over}");
    }
    waits(&mut desk, 0, 2, true);
    for (round, is_over) in [(2, false), (2, true), (1, true), (3, false)] {
        assert!(waits(&mut desk, 0, round, is_over).is_silent(), "round {round}, {is_over}");
    }
    desk.ends(1);
    assert!(waits(&mut desk, 0, 2, false).is_silent(), "it has waited");
    assert!(waits(&mut desk, 9, 1, false).is_silent(), "it is not here");
    assert!(waits(&mut desk, 2, 1, false).is_silent(), "it has not begun");
}

#[test]
fn that_a_slot_is_back_is_said_as_often_as_it_is_asked() {
    let mut desk = Desk::working(cpus(1));
    desk.assign("{}", 0..1);
    waits(&mut desk, 0, 1, false);
    assert_eq!(waits(&mut desk, 0, 1, true).resumed(), [(attempt(0), 1)]);
    assert_eq!(waits(&mut desk, 0, 1, true).resumed(), [(attempt(0), 1)]);
    // That it was blocked was lost.
    assert_eq!(waits(&mut desk, 0, 2, true).resumed(), [(attempt(0), 2)]);
}

/// Its child runs in its slot, and both are counted at first.
#[test]
fn a_runner_that_begins_anew_is_told_who_waits_before_it_starts_anything() {
    for is_over in [false, true] {
        let mut desk = Desk::new();
        let both = vec![running(0, &[1]), running(1, &[1])];
        desk.hello(Hello { running: both, machine: cpus(1), ..hello(1) });
        desk.welcome(&attempts(0..2));
        let said = waits(&mut desk, 0, 1, is_over);
        assert!(said.resumed().is_empty(), "its child has its slot");
        desk.ctrl(ToRunner::Granted { term: TERM, shim: life(1), clock: 5 });
        assert!(desk.assign(r#"{ "cpus": 1, "gpus": 1 }"#, 2..4).started().is_empty());
        let said = desk.ends(1);
        if is_over {
            assert_eq!((said.resumed(), said.started()), (vec![(attempt(0), 1)], vec![]));
        } else {
            assert_eq!(said.started(), [attempt(2)]);
        }
    }
}

#[test]
fn what_returns_has_the_gpus_that_it_had_and_nobody_new_takes_them() {
    let mut desk = Desk::working(cpus(8));
    let said = desk.assign(r#"{ "cpus": 1, "gpus": 1 }"#, 0..3);
    assert_eq!(said.runs(), [(attempt(0), vec![0]), (attempt(1), vec![1])]);
    let said = waits(&mut desk, 0, 1, false);
    assert_eq!(said.runs(), [(attempt(2), vec![0])], "it is lent");
    waits(&mut desk, 0, 1, true);
    desk.assign(r#"{ "cpus": 1, "gpus": 1 }"#, 3..5);
    let said = desk.ends(1);
    assert_eq!(said.runs(), [(attempt(3), vec![1])], "the other is free");
    let said = desk.ends(2);
    assert_eq!((said.resumed(), said.runs()), (vec![(attempt(0), 1)], vec![]));
}

#[test]
fn several_that_return_do_so_in_their_order() {
    let mut desk = Desk::working(cpus(2));
    desk.assign(r#"{ "cpus": 2 }"#, 0..4);
    for index in 0..2 {
        waits(&mut desk, index, 1, false);
    }
    waits(&mut desk, 1, 1, true);
    waits(&mut desk, 0, 1, true);
    assert_eq!(desk.ends(2).resumed(), [(attempt(1), 1)]);
    assert_eq!(waits(&mut desk, 1, 2, false).resumed(), [(attempt(0), 1)]);
}

#[test]
fn what_ends_while_it_waits_frees_what_it_still_had() {
    for is_over in [false, true] {
        let mut desk = Desk::working(cpus(1));
        desk.assign(r#"{ "cpus": 1, "memory": "600MiB" }"#, 0..2);
        assert!(waits(&mut desk, 0, 1, false).started().is_empty(), "its memory is its own");
        if is_over {
            // Its slot is free: it has it at once.
            assert_eq!(waits(&mut desk, 0, 1, true).resumed(), [(attempt(0), 1)]);
            waits(&mut desk, 0, 2, false);
        }
        assert_eq!(desk.ends(0).started(), [attempt(1)]);
        assert_eq!(desk.ends(1).ended().len(), 1);
        let said = desk.assign(r#"{ "cpus": 1, "memory": "600MiB" }"#, 2..4);
        assert_eq!(said.started(), [attempt(2)], "as much is free as in the beginning");
    }
}

#[test]
fn in_what_returns_waits_for_nothing_new_begins() {
    let mut desk = Desk::working(cpus(2));
    desk.assign(r#"{ "cpus": 2, "gpus": 1 }"#, 0..1);
    waits(&mut desk, 0, 1, false);
    assert_eq!(desk.assign(r#"{ "cpus": 1 }"#, 1..4).started(), attempts(1..3));
    waits(&mut desk, 0, 1, true);
    let said = desk.ends(1);
    assert!(said.started().is_empty() && said.resumed().is_empty(), "one of its processors is");
    assert_eq!(desk.ends(2).resumed(), [(attempt(0), 1)]);
}

#[test]
fn a_gpu_that_is_free_and_wanted_back_is_nobody_elses() {
    let mut desk = Desk::working(cpus(2));
    desk.assign(r#"{ "cpus": 2, "gpus": 1 }"#, 0..1);
    waits(&mut desk, 0, 1, false);
    desk.assign(r#"{ "cpus": 1 }"#, 1..3);
    waits(&mut desk, 0, 1, true);
    assert!(desk.assign(r#"{ "cpus": 0, "gpus": 2 }"#, 3..4).started().is_empty());
}
