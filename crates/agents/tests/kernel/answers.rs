//! A question ends once, however often and in whatever order its ends come.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::time::Duration;

use dx_agents::cell::Step;
use dx_agents::effect::Effect;
use dx_agents::event::{Envelope, Event};
use dx_agents::message::Body;
use dx_agents::{AskError, AskId, Down, RefusedBecause, ReplyTo};
use proptest::prelude::*;

use crate::desk::{Desk, Do, ME, PEER, nothing, told, words};

#[derive(Clone, Copy, Debug)]
enum Op {
    Ask,
    Deadline(u64),
    Refused(u64),
    Down(u64),
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => Just(Op::Ask),
        3 => (1_u64..12).prop_map(Op::Deadline),
        2 => (1_u64..12).prop_map(Op::Refused),
        2 => (1_u64..12).prop_map(Op::Down),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..80)
}

fn ask(number: u64) -> AskId {
    AskId(NonZeroU64::new(number).expect("questions count from 1"))
}

proptest! {
    #[test]
    fn a_question_is_heard_of_exactly_once(ops in ops()) {
        let mut desk = Desk::new();
        let (mut next, mut open) = (1, BTreeSet::new());
        for op in ops {
            let (number, event) = match op {
                Op::Ask => {
                    let effects = desk.run(|cx| {
                        cx.ask(PEER, nothing(), Duration::from_secs(1));
                    });
                    let expected = [format!("deadline {next}"), format!("ask a2 {next}")];
                    prop_assert_eq!(words(&effects), expected);
                    open.insert(next);
                    next += 1;
                    continue;
                }
                Op::Restart => {
                    prop_assert_eq!(desk.restart().len(), open.len());
                    open.clear();
                    continue;
                }
                Op::Deadline(number) => (number, Event::Deadline(ask(number))),
                Op::Refused(number) => {
                    let why = AskError::Refused(RefusedBecause::Full);
                    (number, Event::Reply(ask(number), Err(why)))
                }
                Op::Down(number) => {
                    let why = AskError::Down(Down::Stopped);
                    (number, Event::Reply(ask(number), Err(why)))
                }
            };
            let (counts, heard) = (open.remove(&number), desk.heard().len());
            prop_assert_eq!(desk.cell.has_asked(ask(number)), counts);
            let (step, effects) = desk.event(event);
            prop_assert_eq!(matches!(step, Step::Ran), counts, "{:?}", step);
            prop_assert_eq!(desk.heard().len(), heard + usize::from(counts));
            // The deadline of a question that ended before need not come.
            let is_cleared = matches!(effects[..], [Effect::ClearDeadline { .. }]);
            prop_assert_eq!(is_cleared, counts && !matches!(op, Op::Deadline(_)));
        }
    }
}

#[test]
fn where_an_answer_goes_is_known_in_the_step_of_its_question_only() {
    let mut desk = Desk::new();
    desk.run(|cx| assert_eq!(cx.asked(), None));
    let body = Body::Typed(Box::new(nothing()));
    desk.event(Event::Message(Envelope { from: PEER, ask: Some(ask(5)), body }));
    desk.run(|cx| assert_eq!(cx.asked(), None));
    let to = ReplyTo { agent: PEER, ask: ask(5) };
    assert_eq!(words(&desk.run(move |cx| cx.reply(to, nothing()))), ["reply a2"]);
    assert_eq!(desk.cell.id(), ME);
}

#[test]
fn a_question_in_a_step_that_panics_was_never_asked() {
    let mut desk = Desk::new();
    let (step, _) = desk.event(told(|cx| {
        cx.ask::<Do>(PEER, nothing(), Duration::from_secs(1));
        panic!("as it is told");
    }));
    assert!(matches!(step, Step::Panicked(_)));
    assert!(!desk.cell.has_asked(ask(1)));
    assert!(matches!(desk.event(Event::Deadline(ask(1))).0, Step::Stale));
}
