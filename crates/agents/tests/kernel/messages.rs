//! A message is the same whether it is handed over or encoded.

use bytes::Bytes;
use dx_agents::Message;
use dx_agents::cell::Step;
use dx_agents::event::{Envelope, Event};
use dx_agents::message::{AnyMessage, BadMessage, Body, Encoded, MAX_MESSAGE, tag};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::desk::{Desk, PEER, nothing};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Letter {
    Empty,
    Numbers(Vec<u64>),
    Text { title: String, urgent: Option<bool> },
    Load(u32, #[serde(skip)] Bytes),
}

impl Message for Letter {
    const NAME: &'static str = "letter";

    fn body(&self) -> Bytes {
        match self {
            Self::Load(_, body) => body.clone(),
            _ => Bytes::new(),
        }
    }

    fn set_body(&mut self, bytes: Bytes) {
        if let Self::Load(_, body) = self {
            *body = bytes;
        }
    }
}

fn letters() -> impl Strategy<Value = Letter> {
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        Just(Letter::Empty),
        prop::collection::vec(any::<u64>(), 0..20).prop_map(Letter::Numbers),
        (".{0,20}", any::<Option<bool>>())
            .prop_map(|(title, urgent)| Letter::Text { title, urgent }),
        (any::<u32>(), bytes).prop_map(|(n, body)| Letter::Load(n, body.into())),
    ]
}

proptest! {
    #[test]
    fn handed_over_and_encoded_give_the_same(letter in letters()) {
        let handed: Letter = Body::Typed(Box::new(letter.clone())).open().unwrap();
        let encoded: Letter = Body::from(Encoded::of(&letter).unwrap()).open().unwrap();
        prop_assert_eq!(&handed, &letter);
        prop_assert_eq!(&encoded, &letter);
    }

    #[test]
    fn no_bytes_are_taken_for_a_letter_that_are_not_one(value in prop::collection::vec(any::<u8>(), 0..64)) {
        let lane = Letter::Empty.lane();
        let encoded = Encoded { tag: tag("letter"), lane, value: value.clone().into(), body: Bytes::new() };
        // What decodes is what encodes to the same: nothing is left over or made up.
        if let Ok(letter) = encoded.decode::<Letter>() {
            prop_assert_eq!(&Encoded::of(&letter).unwrap().value[..], &value[..]);
        }
    }
}

#[test]
fn a_message_of_another_type_is_rejected_in_either_form() {
    let mut desk = Desk::new();
    let encoded = Encoded::of(&Letter::Empty).unwrap();
    for body in [Body::Typed(Box::new(Letter::Empty)), encoded.into()] {
        let (step, effects) = desk.event(Event::Message(Envelope { from: PEER, ask: None, body }));
        assert!(matches!(step, Step::Rejected(BadMessage::WrongType { expected: "do" })));
        assert!(effects.is_empty());
    }
}

#[test]
fn a_malformed_message_is_rejected_and_the_agent_not_called() {
    let mut desk = Desk::new();
    let good = Encoded::of(&nothing()).unwrap();
    let trailing = Encoded { value: Bytes::from_static(&[0; 9]), ..good };
    let envelope = Envelope { from: PEER, ask: None, body: trailing.into() };
    let (step, _) = desk.event(Event::Message(envelope));
    assert!(matches!(step, Step::Rejected(BadMessage::Malformed(_))), "{step:?}");
    assert_eq!(desk.heard(), [""; 0]);
}

#[test]
fn a_message_over_the_limit_cannot_be_encoded() {
    let fits = Letter::Load(1, vec![0; MAX_MESSAGE - 8].into());
    let encoded = Encoded::of(&fits).unwrap();
    assert!(encoded.len() <= MAX_MESSAGE);
    for len in [MAX_MESSAGE, MAX_MESSAGE + 1] {
        assert!(Encoded::of(&Letter::Load(1, vec![0; len].into())).is_err());
    }
    assert!(Encoded::of(&Letter::Text { title: "x".repeat(MAX_MESSAGE), urgent: None }).is_err());
}

#[test]
fn weight_counts_a_body_in_full_in_either_form() {
    let letter = Letter::Load(1, vec![0; 1000].into());
    let encoded = letter.encode().unwrap();
    let wire = Body::from(encoded).weight();
    let typed = Body::Typed(Box::new(letter)).weight();
    assert!((1000..1100).contains(&wire) && (1000..1100).contains(&typed), "{wire} {typed}");
}
