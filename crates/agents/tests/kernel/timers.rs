//! A timer that was cancelled or replaced never fires.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::TimerKey;
use dx_agents::cell::Step;
use dx_agents::effect::Effect;
use dx_agents::event::Event;
use proptest::prelude::*;

use crate::desk::{Desk, told};

#[derive(Clone, Debug)]
enum Op {
    /// One step that sets (`true`) and cancels timers.
    Step(Vec<(bool, u64)>),
    /// The same, but it panics in the end.
    Panic(Vec<(bool, u64)>),
    /// A setting, of all there ever were, comes up.
    Due(prop::sample::Index),
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let changes = || prop::collection::vec((any::<bool>(), 0_u64..4), 0..5);
    let op = prop_oneof![
        4 => changes().prop_map(Op::Step),
        1 => changes().prop_map(Op::Panic),
        6 => any::<prop::sample::Index>().prop_map(Op::Due),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..60)
}

fn order(changes: Vec<(bool, u64)>) -> impl FnOnce(&mut dx_agents::Context) + Send + 'static {
    move |cx| {
        for (is_set, key) in changes {
            if is_set {
                cx.set_timer(TimerKey(key), Duration::from_secs(1));
            } else {
                cx.cancel(TimerKey(key));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_setting_fires_once_and_only_while_it_is_the_latest(ops in ops()) {
        let mut desk = Desk::new();
        let mut set = BTreeMap::<u64, u64>::new();
        let mut settings = vec![(0, 0)];
        for op in ops {
            match op {
                Op::Step(changes) => {
                    let effects = desk.run(order(changes.clone()));
                    let generations: Vec<u64> = effects.iter().filter_map(|effect| match effect {
                        Effect::SetTimer { generation, .. } => Some(*generation),
                        _ => None,
                    }).collect();
                    let mut generations = generations.into_iter();
                    let mut gone = Vec::new();
                    for (is_set, key) in changes {
                        gone.extend(set.remove(&key).map(|generation| (key, generation)));
                        if is_set {
                            let generation = generations.next().expect("each setting is an effect");
                            prop_assert!(settings.iter().all(|(_, seen)| *seen < generation));
                            settings.push((key, generation));
                            set.insert(key, generation);
                        }
                    }
                    // A driver hears of each that need not come.
                    let mut cleared: Vec<_> = effects.iter().filter_map(|effect| match effect {
                        Effect::ClearTimer { generation: 0, .. } => None,
                        Effect::ClearTimer { key, generation } => Some((key.0, *generation)),
                        _ => None,
                    }).collect();
                    gone.sort_unstable();
                    cleared.sort_unstable();
                    prop_assert_eq!(gone, cleared);
                }
                Op::Panic(changes) => {
                    let (step, effects) = desk.event(told(|cx| {
                        order(changes)(cx);
                        panic!("as it is told");
                    }));
                    prop_assert!(matches!(step, Step::Panicked(_)) && effects.is_empty());
                }
                Op::Due(which) => {
                    let (key, generation) = *which.get(&settings);
                    let counts = set.get(&key) == Some(&generation);
                    prop_assert_eq!(desk.cell.has_timer(TimerKey(key), generation), counts);
                    let heard = desk.heard().len();
                    let (step, _) = desk.event(Event::Timer { key: TimerKey(key), generation });
                    prop_assert_eq!(matches!(step, Step::Ran), counts);
                    prop_assert_eq!(desk.heard().len(), heard + usize::from(counts));
                    if counts {
                        set.remove(&key);
                    }
                }
                Op::Restart => {
                    let count = desk.restart().len();
                    prop_assert_eq!(count, set.len());
                    set.clear();
                }
            }
        }
    }
}
