//! What is shown is closed under what happened before, and has nothing else.

use proptest::prelude::*;

use super::*;

/// What happens in a made-up run: who, and to whom or from whom.
#[derive(Clone, Debug)]
enum Made {
    Steps(u64),
    Sends(u64, u64),
    Hears(usize),
    Loses(usize),
    Breaks(u64),
}

fn made() -> impl Strategy<Value = Made> {
    let who = 1..=5_u64;
    prop_oneof![
        1 => who.clone().prop_map(Made::Steps),
        4 => (who.clone(), who.clone()).prop_map(|(from, to)| Made::Sends(from, to)),
        4 => any::<prop::sample::Index>().prop_map(|it| Made::Hears(it.index(1 << 20))),
        1 => any::<prop::sample::Index>().prop_map(|it| Made::Loses(it.index(1 << 20))),
        1 => who.prop_map(Made::Breaks),
    ]
}

/// Its story. A message's hash is its number, so that each is another one.
fn told(run: &[Made], looked_at: &BTreeSet<u64>) -> Story {
    let mut story = Story::default();
    let mut under_way: Vec<(AgentId, AgentId, u64)> = Vec::new();
    for (made, at) in run.iter().zip(0..) {
        match *made {
            Made::Steps(by) => story.steps(at, AgentId(by), "steps"),
            Made::Sends(from, to) => {
                let (from, to) = (AgentId(from), AgentId(to));
                let (name, text) = (String::new(), String::new());
                let (after, is_read, is_over) = (None, true, false);
                story.sends(Sent { at, from, to, name, text, is_read, after, is_over }, at);
                under_way.push((from, to, at));
            }
            Made::Hears(which) if !under_way.is_empty() => {
                let way = under_way.swap_remove(which % under_way.len());
                story.hears(at, way, || None);
            }
            Made::Loses(which) if !under_way.is_empty() => {
                let (from, to, hash) = under_way.swap_remove(which % under_way.len());
                story.loses(at, from, to, hash, "lost".to_owned());
            }
            Made::Breaks(who) => {
                story.harms(at, &[node_of(AgentId(who))], Harm::Fault, "breaks".to_owned());
            }
            Made::Hears(_) | Made::Loses(_) => {}
        }
    }
    for who in looked_at {
        story.look_at(AgentId(*who));
    }
    story
}

fn node_of(agent: AgentId) -> NodeId {
    NodeId(agent.0 as u32)
}

/// What must have been before each thing: what its agent did last, and what the sender of what it
/// heard did last before.
fn before(story: &Story) -> BTreeMap<usize, Vec<usize>> {
    let mut last = BTreeMap::new();
    let mut before = BTreeMap::new();
    for (number, told) in story.told() {
        let Some(by) = told.by() else { continue };
        let mut causes: Vec<usize> = last.insert(by, number).into_iter().collect();
        if let Deed::Heard { sent: Some(sent), .. } = &told.what {
            causes.extend(story.sent(*sent).and_then(|sent| sent.after));
        }
        before.insert(number, causes);
    }
    before
}

#[test]
fn who_had_done_nothing_before_it_sent_something_has_no_part_but_that() {
    let run = [Made::Sends(1, 3), Made::Sends(3, 1), Made::Hears(0), Made::Hears(0)];
    let story = told(&run, &BTreeSet::from([1]));
    let shown = Slice::of(&story, &node_of, usize::MAX).items.len();
    assert_eq!((story.len(), shown), (2, 1), "what 3 did after it had sent is none of it");
}

proptest! {
    #[test]
    fn what_is_shown_is_all_that_happened_before_what_was_looked_at(
        run in prop::collection::vec(made(), 0..80),
        looked_at in prop::collection::btree_set(1..=5_u64, 1..3),
    ) {
        let story = told(&run, &looked_at);
        let slice = Slice::of(&story, &node_of, usize::MAX);
        let shown: BTreeSet<usize> = slice.items.iter().filter_map(|item| match item {
            Item::Told(number, Told { what: Deed::Step { .. } | Deed::Heard { .. }, .. }) => Some(*number),
            _ => None,
        }).collect();
        // By hand: from all that those did who were looked at, back and back.
        let before = before(&story);
        let by = |number: usize| story.told().nth(number).and_then(|(_, told)| told.by());
        let is_seen = |agent: AgentId| looked_at.contains(&agent.0);
        let mut causes: BTreeSet<usize> = BTreeSet::new();
        let mut next: Vec<usize> =
            before.keys().copied().filter(|it| by(*it).is_some_and(is_seen)).collect();
        loop {
            while let Some(number) = next.pop() {
                if causes.insert(number) {
                    next.extend(&before[&number]);
                }
            }
            let in_vain = missing(&story).into_iter().filter_map(|sent| {
                let after = sent.after.filter(|it| !causes.contains(it))?;
                let is_later = |it: &usize| by(*it) == Some(sent.to) && *it > after;
                (is_seen(sent.to) || causes.iter().any(is_later)).then_some(after)
            });
            next.extend(in_vain.collect::<Vec<_>>());
            if next.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&shown, &causes);
        prop_assert_eq!(slice.earlier, 0);
    }

    #[test]
    fn what_they_sent_in_vain_is_shown_whoever_it_was_for(
        run in prop::collection::vec(made(), 0..80),
        looked_at in prop::collection::btree_set(1..=5_u64, 1..3),
    ) {
        let story = told(&run, &looked_at);
        let slice = Slice::of(&story, &node_of, usize::MAX);
        let (mut lost, mut waits) = (BTreeSet::new(), BTreeSet::new());
        for item in &slice.items {
            match item {
                Item::Told(_, Told { what: Deed::Lost { sent, .. }, .. }) => {
                    lost.insert(*sent);
                }
                Item::UnderWay(it) => waits.extend(it.to.iter().map(|to| (it.sent.from, *to))),
                Item::Told(..) => {}
            }
        }
        let from_seen = |sent: &Sent| looked_at.contains(&sent.from.0);
        for (number, sent) in story.all_sent().filter(|(_, sent)| from_seen(sent)) {
            let is_lost = story.told().any(|(_, told)| {
                matches!(told.what, Deed::Lost { sent, .. } if sent == number)
            });
            prop_assert!(!is_lost || lost.contains(&number));
            prop_assert!(sent.is_over || waits.contains(&(sent.from, sent.to)));
        }
    }
}
