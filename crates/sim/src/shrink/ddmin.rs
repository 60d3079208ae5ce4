//! Delta debugging: leaving out as many parts as possible, large groups first.

/// Leaves out parts for as long as that works: `works` tells, for a group of parts, whether they
/// can go too, beside those that went before. In the end no group of those that stay can go alone,
/// where the groups are as small as dividing them into `finest` makes them.
///
/// Zeller and Hildebrandt's algorithm without its tries of a group alone: at the coarsest division
/// that is the same as leaving out the other half, and at finer ones it hardly ever works.
pub(super) fn ddmin<T: Clone, E>(
    mut parts: Vec<T>,
    finest: usize,
    mut works: impl FnMut(&[T]) -> Result<bool, E>,
) -> Result<(), E> {
    if parts.is_empty() || works(&parts)? {
        return Ok(());
    }
    let mut groups = 2.min(parts.len());
    loop {
        let mut gone = None;
        for group in 0..groups {
            let range = group * parts.len() / groups..(group + 1) * parts.len() / groups;
            if works(&parts[range.clone()])? {
                gone = Some(range);
                break;
            }
        }
        match gone {
            Some(range) => {
                parts.drain(range);
                groups = (groups - 1).clamp(2.min(parts.len()), parts.len());
            }
            None if groups == parts.len().min(finest) => return Ok(()),
            None => groups = (groups * 2).min(parts.len()).min(finest),
        }
        if parts.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// What stays of `parts`, and how many tries that took.
    fn reduce(parts: u32, needed: impl Fn(&BTreeSet<u32>) -> bool) -> (BTreeSet<u32>, usize) {
        let mut left: BTreeSet<u32> = (0..parts).collect();
        let mut tries = 0;
        let Ok(()) = ddmin((0..parts).collect(), usize::MAX, |removed| {
            tries += 1;
            let rest: BTreeSet<u32> =
                left.iter().filter(|part| !removed.contains(part)).copied().collect();
            let works = needed(&rest);
            if works {
                left = rest;
            }
            Ok::<_, Infallible>(works)
        });
        (left, tries)
    }

    proptest! {
        #[test]
        fn exactly_what_is_needed_stays(needed in prop::collection::btree_set(0_u32..60, 0..8)) {
            let (left, _) = reduce(60, |parts| needed.is_subset(parts));
            prop_assert_eq!(left, needed);
        }

        #[test]
        fn nothing_that_stays_can_go_alone(
            count in 0_u32..40,
            sets in prop::collection::vec(prop::collection::btree_set(0_u32..40, 1..5), 1..5),
            modulus in 2_usize..4,
        ) {
            // Not monotone: what is left counts too.
            let fails = |parts: &BTreeSet<u32>| {
                sets.iter().any(|set| set.is_subset(parts)) && parts.len() % modulus != 1
            };
            let (left, _) = reduce(count, fails);
            if fails(&(0..count).collect()) {
                prop_assert!(fails(&left));
                for part in &left {
                    let mut less = left.clone();
                    less.remove(part);
                    prop_assert!(!fails(&less), "{left:?} without {part}");
                }
            }
        }
    }

    #[test]
    fn two_needles_in_a_thousand_take_a_logarithm_of_tries() {
        let (left, tries) = reduce(1000, |parts| parts.contains(&3) && parts.contains(&997));
        assert_eq!(left, BTreeSet::from([3, 997]));
        assert!(tries < 100, "{tries}");
    }
}
