//! Messages that are changed by their encoding, and still decode.

use bytes::Bytes;
use dx_agents::message::Encoded;

/// Ways to change a byte.
const CHANGES: [fn(u8) -> u8; 5] = [
    |byte| byte.wrapping_add(1),
    |byte| byte.wrapping_sub(1),
    |_| 0,
    |byte| byte ^ 0x80,
    |byte| byte.rotate_left(1),
];

/// Changes that are tried before a message counts as one that cannot be changed. A guess.
const TRIES: u64 = 256;

/// The message with one byte changed, of its value or of what travels beside it: the first change
/// from number `start` on after which it `decodes`. `None` if there is none among those tried.
pub fn altered(
    encoded: &Encoded,
    start: u64,
    decodes: impl Fn(&Encoded) -> bool,
) -> Option<Encoded> {
    let len = encoded.len() as u64;
    let all = len * CHANGES.len() as u64;
    (0..TRIES.min(all)).find_map(|more| {
        // By another byte each time, and by another change when all bytes were tried.
        let number = (start % all + more) % all;
        let (at, change) = ((number % len) as usize, CHANGES[(number / len) as usize]);
        let changed = changed(encoded, at, change)?;
        decodes(&changed).then_some(changed)
    })
}

/// `None` if it is no change.
fn changed(encoded: &Encoded, at: usize, change: fn(u8) -> u8) -> Option<Encoded> {
    let mut changed = encoded.clone();
    let (part, at) = match at.checked_sub(encoded.value.len()) {
        None => (&mut changed.value, at),
        Some(at) => (&mut changed.body, at),
    };
    let mut bytes = part.to_vec();
    let before = bytes[at];
    bytes[at] = change(before);
    let differs = bytes[at] != before;
    *part = Bytes::from(bytes);
    differs.then_some(changed)
}

#[cfg(test)]
mod tests {
    use dx_agents::Message;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Vote {
        Yes,
        For(u64, String),
        Many(Vec<bool>),
    }

    impl Message for Vote {
        const NAME: &'static str = "vote";
    }

    fn votes() -> impl Strategy<Value = Vote> {
        prop_oneof![
            Just(Vote::Yes),
            (any::<u64>(), "[a-z]{0,9}").prop_map(|(number, name)| Vote::For(number, name)),
            prop::collection::vec(any::<bool>(), 0..9).prop_map(Vote::Many),
        ]
    }

    proptest! {
        #[test]
        fn what_is_altered_decodes_and_is_another_message(vote in votes(), start in any::<u64>()) {
            let encoded = Encoded::of(&vote).unwrap();
            let altered = altered(&encoded, start, |it| it.decode::<Vote>().is_ok());
            if let Some(altered) = altered {
                prop_assert_ne!(altered.decode::<Vote>().unwrap(), vote);
            } else {
                // Only of the shortest there is no other: a number or a text can be another.
                prop_assert!(!matches!(vote, Vote::For(..)));
            }
        }
    }

    #[test]
    fn every_field_can_be_the_one_that_changes() {
        let encoded = Encoded::of(&Vote::For(7, "ab".to_owned())).unwrap();
        let seen: Vec<Vote> = (0..encoded.len() as u64 * 5)
            .filter_map(|start| altered(&encoded, start, |it| it.decode::<Vote>().is_ok()))
            .map(|it| it.decode().unwrap())
            .collect();
        assert!(seen.iter().any(|it| matches!(it, Vote::For(number, _) if *number != 7)));
        assert!(seen.iter().any(|it| matches!(it, Vote::For(_, name) if name != "ab")));
    }

    #[test]
    fn what_has_no_bytes_cannot_be_altered() {
        let empty = Encoded { value: Bytes::new(), ..Encoded::of(&Vote::Yes).unwrap() };
        assert!(altered(&empty, 3, |_| true).is_none());
    }
}
