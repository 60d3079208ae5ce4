//! The core by hand: one member, and what it answers.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use dx_agents::{AgentId, Instant};
use dx_ring::message::{NewView, RingMessage};
use dx_ring::view::{Seat, Standing};
use dx_ring::{Core, Flow, Life, Output, RingConfig, View, ViewId};

const ME: AgentId = AgentId(3);
const FIRST: AgentId = AgentId(1);
const NOW: Instant = Instant(1_000_000_000);

fn id(number: u64, coordinator: AgentId) -> ViewId {
    ViewId { number, coordinator, life: Life::default() }
}

fn sent(core: &mut Core) -> Vec<(Vec<AgentId>, RingMessage)> {
    let outputs = std::iter::from_fn(|| core.output());
    outputs
        .filter_map(|output| match output {
            Output::Send { to, message } => Some((to, message)),
            _ => None,
        })
        .collect()
}

fn fresh() -> Core {
    let config = RingConfig::new((1..=3).map(AgentId).collect());
    let mut core = Core::new(config, ME, Life::default(), false, Box::new(Flow::default()));
    core.start(NOW);
    sent(&mut core);
    core
}

/// In the founding view of all three.
fn working() -> Core {
    let mut core = fresh();
    let view = id(1, FIRST);
    core.message(FIRST, RingMessage::Prepare { view }, NOW);
    let (life, standing, is_in) = (Life::default(), Standing::Voter, true);
    let roll = (1..=3).map(|id| Seat { id: AgentId(id), life, standing, is_in }).collect();
    let view = View { id: view, is_founding: true, roll };
    let entries = vec![dx_ring::batch::Entry::View(view.clone())];
    let (holders, source, needy) = (vec![FIRST], FIRST, Vec::new());
    let new = NewView { view: view.clone(), first: 1, entries, holders, needy, source };
    core.message(FIRST, RingMessage::NewView(Box::new(new)), NOW);
    for from in [1, 2].map(AgentId) {
        core.message(from, RingMessage::Held { view: view.id, seq: 0 }, NOW);
    }
    assert!(core.view().is_some());
    sent(&mut core);
    core
}

fn is_promise(sent: &[(Vec<AgentId>, RingMessage)]) -> bool {
    sent.iter().any(|(_, message)| matches!(message, RingMessage::Promise { .. }))
}

#[test]
fn a_number_is_promised_to_one_coordinator() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut core = fresh();
        let (one, other) = (AgentId(first), AgentId(second));
        core.message(one, RingMessage::Prepare { view: id(5, one) }, NOW);
        assert!(is_promise(&sent(&mut core)));
        core.message(other, RingMessage::Prepare { view: id(5, other) }, NOW);
        let answer = sent(&mut core);
        assert!(!is_promise(&answer), "{answer:?}");
        // The same question again has the same answer.
        core.message(one, RingMessage::Prepare { view: id(5, one) }, NOW);
        assert!(is_promise(&sent(&mut core)));
    }
}

/// Found by a search of small rings: two views had one name, and who was in the one counted what was
/// said in the other.
#[test]
fn a_number_is_promised_to_one_life_of_its_coordinator() {
    let mut core = fresh();
    core.message(FIRST, RingMessage::Prepare { view: id(5, FIRST) }, NOW);
    assert!(is_promise(&sent(&mut core)));
    let view = ViewId { life: Life { node: 2, restarts: 0 }, ..id(5, FIRST) };
    core.message(FIRST, RingMessage::Prepare { view }, NOW);
    let answer = sent(&mut core);
    let refuses = |(_, it): &(_, RingMessage)| matches!(it, RingMessage::Refuse { promised } if promised.number == 5);
    assert!(!is_promise(&answer) && answer.iter().any(refuses), "{answer:?}");
}

#[test]
fn a_view_is_proposed_by_whom_its_name_says() {
    let mut core = fresh();
    core.message(AgentId(2), RingMessage::Prepare { view: id(5, FIRST) }, NOW);
    assert!(!is_promise(&sent(&mut core)));
}

#[test]
fn after_a_promise_nothing_is_delivered_in_a_lower_view() {
    let mut core = working();
    core.message(FIRST, RingMessage::Prepare { view: id(2, FIRST) }, NOW);
    for from in [1, 2].map(AgentId) {
        let held = RingMessage::Held { view: id(1, FIRST), seq: 1 };
        core.message(from, held, NOW);
    }
    assert_eq!(core.log().at().seq, 0);
    let mut core = working();
    for from in [1, 2].map(AgentId) {
        let held = RingMessage::Held { view: id(1, FIRST), seq: 1 };
        core.message(from, held, NOW);
    }
    assert_eq!(core.log().at().seq, 1, "without a promise it is");
}

/// Found with seed 1019: it took itself for a member of the view before, and waited for ever.
#[test]
fn who_hears_of_a_higher_view_that_it_did_not_promise_seeks_it() {
    let mut core = working();
    core.message(FIRST, RingMessage::Beat { view: id(2, FIRST) }, NOW);
    let sent = sent(&mut core);
    assert!(sent.iter().any(|(_, it)| matches!(it, RingMessage::Seek { .. })), "{sent:?}");
}

#[test]
fn strangers_are_not_heard() {
    let mut core = fresh();
    let stranger = AgentId(9);
    core.message(stranger, RingMessage::Prepare { view: id(5, stranger) }, NOW);
    assert!(sent(&mut core).is_empty());
}
