//! Which questions are open.

use std::collections::VecDeque;

use crate::id::AskId;

/// The open questions, in the order in which they were asked: their numbers grow. Answers come in
/// about that order, too, so what they close is near the front.
#[derive(Default)]
pub struct Asks(VecDeque<AskId>);

impl Asks {
    /// Opens one, whose number is higher than that of any before.
    pub fn open(&mut self, ask: AskId) {
        debug_assert!(self.0.back().is_none_or(|last| *last < ask), "questions have an order");
        self.0.push_back(ask);
    }

    /// Closes one. False if it is not open.
    pub fn close(&mut self, ask: AskId) -> bool {
        if self.0.pop_front_if(|first| *first == ask).is_some() {
            return true;
        }
        let Ok(at) = self.0.binary_search(&ask) else { return false };
        self.0.remove(at).is_some()
    }

    /// Whether it is open.
    pub fn is_open(&self, ask: AskId) -> bool {
        self.0.binary_search(&ask).is_ok()
    }

    /// All that are open, in their order.
    pub fn into_iter(self) -> impl Iterator<Item = AskId> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::num::NonZeroU64;

    use proptest::prelude::*;

    use super::*;

    fn ask(number: u64) -> AskId {
        AskId(NonZeroU64::new(number).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_open_is_what_a_set_would_hold(closes in prop::collection::vec(1_u64..40, 0..200)) {
            let (mut asks, mut set) = (Asks::default(), BTreeSet::new());
            for (number, close) in (1..).zip(closes) {
                asks.open(ask(number));
                set.insert(ask(number));
                prop_assert_eq!(asks.is_open(ask(close)), set.contains(&ask(close)));
                prop_assert_eq!(asks.close(ask(close)), set.remove(&ask(close)));
            }
            prop_assert!(asks.into_iter().eq(set));
        }
    }
}
