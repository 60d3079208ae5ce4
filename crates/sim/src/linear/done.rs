//! Which operations were put in order already.

/// A set of operations: those with an answer are numbered in the order of their calls, the open
/// ones have numbers of their own. So what has an answer is nearly a prefix, and few words tell
/// one configuration from another.
#[derive(Debug)]
pub(super) struct Done {
    answered: Vec<u64>,
    /// All words before this one are full.
    first: usize,
    /// How many operations with an answer are in it.
    count: usize,
    open: Vec<u64>,
}

/// An operation's number among those with an answer, or among those without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Answered(usize),
    Open(usize),
}

impl Done {
    pub(super) fn new(answered: usize, open: usize) -> Self {
        let words = |bits: usize| vec![0; bits.div_ceil(BITS)];
        Self { answered: words(answered), first: 0, count: 0, open: words(open) }
    }

    /// How many operations with an answer are in it.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn contains(&self, number: Number) -> bool {
        let (words, bit) = match number {
            Number::Answered(bit) => (&self.answered, bit),
            Number::Open(bit) => (&self.open, bit),
        };
        words[bit / BITS] >> (bit % BITS) & 1 == 1
    }

    pub(super) fn insert(&mut self, number: Number) {
        match number {
            Number::Open(bit) => self.open[bit / BITS] |= 1 << (bit % BITS),
            Number::Answered(bit) => {
                self.answered[bit / BITS] |= 1 << (bit % BITS);
                self.count += 1;
                while self.answered.get(self.first) == Some(&u64::MAX) {
                    self.first += 1;
                }
            }
        }
    }

    pub(super) fn remove(&mut self, number: Number) {
        match number {
            Number::Open(bit) => self.open[bit / BITS] &= !(1 << (bit % BITS)),
            Number::Answered(bit) => {
                self.answered[bit / BITS] &= !(1 << (bit % BITS));
                self.count -= 1;
                self.first = self.first.min(bit / BITS);
            }
        }
    }

    /// Equal for equal sets, different for different ones of the same history.
    pub(super) fn image(&self) -> Box<[u64]> {
        let mut missing = self.count - self.first * BITS;
        let mut end = self.first;
        while missing > 0 {
            missing -= self.answered[end].count_ones() as usize;
            end += 1;
        }
        // The part of the open ones has one length; so the whole can be read in one way only.
        let window = &self.answered[self.first..end];
        let start = std::iter::once(self.first as u64);
        start.chain(window.iter().copied()).chain(self.open.iter().copied()).collect()
    }
}

const BITS: usize = u64::BITS as usize;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn images_are_equal_exactly_where_sets_are(toggles in prop::collection::vec((any::<bool>(), 0_usize..200), 0..400)) {
            let mut done = Done::new(200, 200);
            let mut model = [[false; 200]; 2];
            let mut images = BTreeMap::new();
            for (is_open, bit) in toggles {
                let number = if is_open { Number::Open(bit) } else { Number::Answered(bit) };
                let bit = &mut model[usize::from(is_open)][bit];
                *bit = !*bit;
                prop_assert_eq!(done.contains(number), !*bit);
                if *bit { done.insert(number) } else { done.remove(number) }
                prop_assert_eq!(done.count(), model[0].iter().filter(|bit| **bit).count());
                let earlier = images.entry(done.image()).or_insert(model);
                prop_assert_eq!(&*earlier, &model);
            }
            let distinct: std::collections::BTreeSet<_> = images.values().collect();
            prop_assert_eq!(distinct.len(), images.len());
        }

        #[test]
        fn full_words_are_left_out(order in Just((0_usize..300).collect::<Vec<_>>()).prop_shuffle()) {
            let mut done = Done::new(300, 0);
            for bit in &order {
                done.insert(Number::Answered(*bit));
            }
            prop_assert_eq!(done.image().len(), 2, "four full words and one that is not");
            for bit in &order {
                done.remove(Number::Answered(*bit));
            }
            prop_assert_eq!(done.image().len(), 1);
        }
    }
}
