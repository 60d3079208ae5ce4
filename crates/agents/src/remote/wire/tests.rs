use proptest::prelude::*;

use super::*;

fn agent() -> impl Strategy<Value = AgentId> {
    prop_oneof![0..300_u64, any::<u64>()].prop_map(AgentId)
}

fn question() -> impl Strategy<Value = ReplyTo> {
    (agent(), 1..=u64::MAX).prop_map(|(agent, ask)| {
        let ask = AskId(NonZeroU64::new(ask).expect("from 1 on"));
        ReplyTo { agent, ask }
    })
}

fn amount() -> impl Strategy<Value = Amount> {
    (any::<u64>(), 0..200_u64).prop_map(|(messages, bytes)| Amount { messages, bytes })
}

fn error() -> impl Strategy<Value = AskError> {
    prop_oneof![
        Just(AskError::Timeout),
        (0..DOWNS.len()).prop_map(|at| AskError::Down(DOWNS[at])),
        Just(AskError::Refused(RefusedBecause::Full)),
        (any::<usize>(), any::<usize>())
            .prop_map(|(len, limit)| AskError::Refused(RefusedBecause::TooLarge { len, limit })),
        Just(AskError::Refused(RefusedBecause::Unencodable)),
        Just(AskError::Refused(RefusedBecause::Unknown)),
        Just(AskError::Refused(RefusedBecause::Closing)),
    ]
}

fn head() -> impl Strategy<Value = Head> {
    prop_oneof![
        (agent(), agent()).prop_map(|(to, from)| Head::Tell { to, from }),
        (question(), agent()).prop_map(|(by, to)| Head::Ask { to, from: by.agent, ask: by.ask }),
        (question(), agent()).prop_map(|(to, from)| Head::Reply { to, from }),
    ]
}

fn life() -> impl Strategy<Value = Incarnation> {
    any::<u64>().prop_map(Incarnation)
}

fn other() -> impl Strategy<Value = Frame<'static>> {
    prop_oneof![
        (question(), agent(), error()).prop_map(|(to, from, error)| Frame::Failed {
            to,
            from,
            error
        }),
        agent().prop_map(Frame::Watch),
        agent().prop_map(Frame::Unwatch),
        (agent(), 0..DOWNS.len()).prop_map(|(who, why)| Frame::Down(who, DOWNS[why])),
        (life(), agent(), amount(), amount()).prop_map(|(life, to, freed, share)| Frame::Grant {
            life,
            to,
            freed,
            share
        }),
        (agent(), any::<u64>()).prop_map(|(to, round)| Frame::Probe { to, round }),
        (life(), agent(), any::<u64>(), amount()).prop_map(|(life, to, round, held)| Frame::Held {
            life,
            to,
            round,
            held
        }),
    ]
}

fn bytes_of(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.write(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written(
        head in head(),
        tag in any::<u32>(),
        value in prop::collection::vec(any::<u8>(), 0..200),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let content = Content { tag, value: &value, body: &body };
        let frame = Frame::Content(head, content);
        let bytes = bytes_of(&frame);
        prop_assert_eq!(Frame::read(&bytes), Ok(frame));
        prop_assert!(bytes.len() - value.len() - body.len() <= MAX_HEAD);
    }

    #[test]
    fn every_other_frame_is_read_as_it_was_written(frame in other()) {
        let bytes = bytes_of(&frame);
        prop_assert_eq!(Frame::read(&bytes), Ok(frame));
    }

    #[test]
    fn a_frame_that_ends_early_is_none(frame in other(), cut in any::<prop::sample::Index>()) {
        let bytes = bytes_of(&frame);
        let cut = cut.index(bytes.len());
        prop_assert_eq!(Frame::read(&bytes[..cut]), Err(BadFrame::Truncated));
    }

    #[test]
    fn what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = VERSION << 4 | *first & 0xf;
        }
        if let Ok(frame) = Frame::read(&bytes) {
            prop_assert_eq!(bytes_of(&frame), bytes);
        }
    }
}

#[test]
fn the_format_is_the_golden_one() {
    let ask = AskId(NonZeroU64::new(300).unwrap());
    let to = ReplyTo { agent: AgentId(1), ask };
    let content = Content { tag: 0x0403_0201, value: b"v", body: b"bb" };
    let share = Amount { messages: 1024, bytes: 1 << 24 };
    let freed = Amount { messages: 512, bytes: 3 };
    let (who, from, life) = (AgentId(2), AgentId(1), Incarnation(300));
    let too_large = AskError::Refused(RefusedBecause::TooLarge { len: 200, limit: 100 });
    let golden: &[(Frame<'_>, &[u8])] = &[
        (
            Frame::Content(Head::Tell { to: who, from }, content),
            &[0x20, 2, 1, 1, 2, 3, 4, 2, b'v', b'b', b'b'],
        ),
        (
            Frame::Content(Head::Ask { to: who, from, ask }, content),
            &[0x21, 2, 1, 0xac, 2, 1, 2, 3, 4, 2, b'v', b'b', b'b'],
        ),
        (
            Frame::Content(Head::Reply { to, from: who }, content),
            &[0x22, 1, 0xac, 2, 2, 1, 2, 3, 4, 2, b'v', b'b', b'b'],
        ),
        (Frame::Failed { to, from: who, error: AskError::Timeout }, &[0x23, 1, 0xac, 2, 2, 0]),
        (Frame::Failed { to, from: who, error: too_large }, &[0x23, 1, 0xac, 2, 2, 3, 200, 1, 100]),
        (
            Frame::Failed { to, from: who, error: AskError::Down(Down::Unknown) },
            &[0x23, 1, 0xac, 2, 2, 1, 5],
        ),
        (Frame::Watch(who), &[0x24, 2]),
        (Frame::Unwatch(who), &[0x25, 2]),
        (Frame::Down(who, Down::Panicked), &[0x26, 2, 1]),
        (
            Frame::Grant { life, to: who, freed, share },
            &[0x27, 0xac, 2, 2, 128, 4, 3, 128, 8, 128, 128, 128, 8],
        ),
        (Frame::Probe { to: who, round: 7 }, &[0x28, 2, 7]),
        (Frame::Held { life, to: who, round: 7, held: freed }, &[0x29, 0xac, 2, 2, 7, 128, 4, 3]),
    ];
    for (frame, bytes) in golden {
        assert_eq!(bytes_of(frame), *bytes, "{frame:?}");
        assert_eq!(Frame::read(bytes), Ok(*frame));
    }
}

#[test]
fn what_is_wrong_with_a_frame_is_said() {
    let read = |bytes: &[u8]| Frame::read(bytes).unwrap_err();
    assert_eq!(read(&[]), BadFrame::Truncated);
    assert_eq!(read(&[0x14, 2]), BadFrame::Version(1));
    assert_eq!(read(&[0x2f]), BadFrame::Invalid(15, "kind of frame"));
    assert_eq!(read(&[0x24, 2, 0]), BadFrame::Trailing);
    assert_eq!(read(&[0x24, 0x82, 0]), BadFrame::Number);
    assert_eq!(read(&[0x26, 2, 6]), BadFrame::Invalid(6, "reason of an end"));
    assert_eq!(read(&[0x21, 2, 1, 0, 0, 0, 0, 0, 0]), BadFrame::Invalid(0, "number of a question"));
    let mut long = vec![0x24];
    long.extend([0xff; 9]);
    long.push(2);
    assert_eq!(read(&long), BadFrame::Number);
}

#[test]
fn a_body_longer_than_the_frame_is_refused() {
    assert_eq!(Frame::read(&[0x20, 2, 1, 0, 0, 0, 0, 9, 1]), Err(BadFrame::Truncated));
}
