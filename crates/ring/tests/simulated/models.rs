//! What holds of flow, of the other models as well.

use std::time::Duration;

use dx_ring::model::{LossError, Lossy};
use dx_ring::{Confirmed, Flow, Lcr, Member, RingModel};
use dx_sim::{Choices, SimConfig};

use super::faults::{explore, mixed, one_by_one, seeds, seeds_times, skirmish, sparse, torment};
use super::oracle::Shared;
use super::recorder::{Load, Recorder, world};

pub type Make = fn() -> Box<dyn RingModel>;

pub fn confirmed() -> Box<dyn RingModel> {
    Box::new(Confirmed::default())
}

/// As in the seed: one message at each visit of the token.
fn one_by_visit() -> Box<dyn RingModel> {
    Box::new(Confirmed::with_window(1))
}

pub fn lossy() -> Box<dyn RingModel> {
    Box::new(Lossy::new(Confirmed::default(), 0.1, 7).unwrap())
}

pub fn lcr() -> Box<dyn RingModel> {
    Box::new(Lcr::default())
}

/// Members of one view, of `count`, with all that the oracle says to it.
fn calm(count: u64, model: Make) {
    let oracle = Shared::default();
    let load = Load { messages: 50, every: Duration::from_micros(100), longest: 3000 };
    let config = SimConfig::seeded(count);
    let mut sim = world(config, Choices::seeded(count), count, load, &oracle, model);
    sim.run_until("all is delivered", Duration::from_mins(1), |sim| {
        let members = sim.agents_of::<Member<Recorder>>();
        members.filter(|(_, it)| it.replica().index == 50 * count).count() as u64 == count
    })
    .unwrap();
    let oracle = oracle.lock().unwrap();
    assert_eq!(oracle.wrong, None);
    assert_eq!(oracle.views(), 1, "no view changes without a reason");
}

#[test]
fn members_of_one_view_deliver_everything_in_one_order_by_each_model() {
    for model in [confirmed, one_by_visit, lcr] {
        for count in [1, 2, 3, 5, 8] {
            calm(count, model);
        }
    }
}

#[test]
fn confirmed_loses_nothing_of_which_messages_are_lost() {
    for count in [2, 3, 5] {
        calm(count, lossy);
    }
}

#[test]
fn models_that_count_on_sessions_have_nothing_lost() {
    assert!(matches!(Lossy::new(Flow::default(), 0.1, 7), Err(LossError::CountsOnSessions)));
    assert!(matches!(Lossy::new(Lcr::default(), 0.1, 7), Err(LossError::CountsOnSessions)));
    assert!(Lossy::new(Lcr::default(), 0.0, 7).is_ok());
    for share in [1.0, -0.1, f64::NAN] {
        assert!(matches!(Lossy::new(Confirmed::default(), share, 7), Err(LossError::NoShare(_))));
    }
}

/// Crashes, cuts, lost sessions; then everything is delivered.
fn survives_torment(model: Make) {
    let outcome = explore(seeds().filter(|seed| seed % 3 == 0), model, mixed, torment);
    println!("{outcome:?}");
    assert!(outcome.has_changes());
}

/// Members crash one by one, and forget.
fn survives_crashes(model: Make) {
    // Of two, both are needed: then one that forgets is one too many.
    let outcome = explore(seeds().filter(|seed| seed % 4 == 1), model, mixed, one_by_one);
    println!("{outcome:?}");
    assert_eq!(outcome.lost, 0);
}

#[test]
fn lcr_keeps_one_order_come_what_may() {
    survives_torment(lcr);
}

#[test]
fn confirmed_keeps_one_order_come_what_may() {
    survives_torment(confirmed);
}

#[test]
fn confirmed_keeps_one_order_come_what_may_though_messages_are_lost() {
    survives_torment(lossy);
}

#[test]
fn lcr_forgets_nothing_when_members_crash_one_by_one() {
    survives_crashes(lcr);
}

#[test]
fn confirmed_forgets_nothing_when_members_crash_one_by_one() {
    survives_crashes(confirmed);
    survives_crashes(lossy);
}

#[test]
fn each_model_agrees_while_views_chase_each_other() {
    for model in [lcr, confirmed, lossy] {
        let outcome = explore(seeds_times(2), model, sparse, skirmish);
        println!("{outcome:?}");
        assert!(outcome.has_changes());
    }
}
