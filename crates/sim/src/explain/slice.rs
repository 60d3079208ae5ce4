//! What can have caused a failure. Backwards from what the failed check looked at: all that those
//! agents did before, and what those did before who had sent them something (Lamport's "happened
//! before": "Time, clocks, and the ordering of events in a distributed system", CACM 1978). That
//! something did not come can be a cause as well; so what was lost between them, and what was done
//! to their nodes, belongs to it.

use std::collections::{BTreeMap, BTreeSet};

use dx_agents::{AgentId, NodeId};

use crate::story::{Deed, Harm, Sent, Story, Told};

/// See the module.
pub struct Slice<'a> {
    /// From the first to the last.
    pub items: Vec<Item<'a>>,
    /// Who takes part.
    pub agents: BTreeSet<AgentId>,
    /// What belongs to it and is too long ago.
    pub earlier: usize,
    /// What does not belong to it.
    pub unrelated: usize,
}

/// A part of it.
pub enum Item<'a> {
    /// Something that happened, with its number.
    Told(usize, &'a Told),
    /// A message that had not come by then.
    UnderWay(Waiting<'a>),
}

/// A message on its way to one agent or several.
pub struct Waiting<'a> {
    /// It, as it was sent to the first.
    pub sent: &'a Sent,
    /// To whom.
    pub to: Vec<AgentId>,
    /// How many more are on their way from there to there.
    pub more: usize,
}

impl<'a> Slice<'a> {
    /// The slice of a story's end, cut to the last `most` rows.
    pub fn of(story: &'a Story, node_of: &impl Fn(AgentId) -> NodeId, most: usize) -> Self {
        let past = past(story);
        let nodes: BTreeSet<NodeId> = past.agents.iter().map(|agent| node_of(*agent)).collect();
        let between = |sent: &Sent| {
            past.agents.contains(&sent.from)
                && past.agents.contains(&sent.to)
                && sent.after.is_none_or(|number| past.numbers.contains(&number))
        };
        let belongs = |number: usize, told: &Told| match &told.what {
            Deed::Heard { .. } | Deed::Step { .. } => past.numbers.contains(&number),
            Deed::Lost { sent, .. } => story.sent(*sent).is_some_and(between),
            Deed::Fault { nodes: hit, .. } => hit.iter().any(|node| nodes.contains(node)),
        };
        let told = story.told().filter(|(number, told)| belongs(*number, told));
        let under_way = story.all_sent().map(|(_, sent)| sent);
        let under_way = under_way.filter(|sent| !sent.is_over && between(sent));
        let mut items: Vec<Item> = told.map(|(number, told)| Item::Told(number, told)).collect();
        let unrelated = story.len() - items.len();
        items.extend(by_way(under_way));
        let earlier = last_rows(&items, most);
        items.drain(..earlier);
        let agents = items.iter().flat_map(|item| item.agents(story)).collect();
        Self { items, agents, earlier, unrelated }
    }
}

impl Item<'_> {
    /// Whether both are faults of one instant, which share a row.
    fn is_of_one_instant(&self, next: &Self) -> bool {
        let fault = |item: &Self| match item {
            Item::Told(_, Told { at, what: Deed::Fault { harm, .. }, .. })
                if *harm != Harm::Crash =>
            {
                Some((*at, *harm))
            }
            _ => None,
        };
        fault(self).is_some() && fault(self) == fault(next)
    }

    /// Who is part of it.
    fn agents(&self, story: &Story) -> Vec<AgentId> {
        let ends = |sent: &Sent| vec![sent.from, sent.to];
        match self {
            Self::UnderWay(waiting) => {
                waiting.to.iter().copied().chain([waiting.sent.from]).collect()
            }
            Self::Told(_, told) => match &told.what {
                Deed::Step { by, .. } => vec![*by],
                Deed::Heard { by, sent, .. } => {
                    sent.and_then(|number| story.sent(number)).map_or_else(|| vec![*by], ends)
                }
                Deed::Lost { sent, .. } => story.sent(*sent).map(ends).unwrap_or_default(),
                Deed::Fault { .. } => Vec::new(),
            },
        }
    }
}

/// The first of each sender and receiver, with the number of the others; what one said to many at once
/// is one.
fn by_way<'a>(under_way: impl Iterator<Item = &'a Sent>) -> impl Iterator<Item = Item<'a>> {
    let mut ways: Vec<(&Sent, usize)> = Vec::new();
    for sent in under_way {
        let known = ways.iter_mut().find(|(it, _)| (it.from, it.to) == (sent.from, sent.to));
        match known {
            Some((_, more)) => *more += 1,
            None => ways.push((sent, 0)),
        }
    }
    let mut waiting: Vec<Waiting> = Vec::new();
    for (sent, more) in ways {
        let said = |it: &Sent, more| (it.from, it.at, it.text.clone(), more);
        match waiting.iter_mut().find(|it| said(it.sent, it.more) == said(sent, more)) {
            Some(known) => known.to.push(sent.to),
            None => waiting.push(Waiting { sent, to: vec![sent.to], more }),
        }
    }
    waiting.into_iter().map(Item::UnderWay)
}

/// Where the last `most` rows begin.
fn last_rows(items: &[Item], most: usize) -> usize {
    let mut rows = 0;
    for (at, item) in items.iter().enumerate().rev() {
        let is_merged = items.get(at + 1).is_some_and(|next| item.is_of_one_instant(next));
        rows += usize::from(!is_merged);
        if rows > most {
            return at + 1;
        }
    }
    0
}

/// What happened before, and to whom.
struct Past {
    numbers: BTreeSet<usize>,
    agents: BTreeSet<AgentId>,
}

fn past(story: &Story) -> Past {
    let looked_at = story.looked_at();
    // Up to which number what an agent did belongs to it.
    let mut until: BTreeMap<AgentId, usize> =
        looked_at.iter().map(|agent| (*agent, usize::MAX)).collect();
    let mut numbers = BTreeSet::new();
    for (number, told) in story.told().rev() {
        let (Deed::Step { by, .. } | Deed::Heard { by, .. }) = &told.what else { continue };
        if looked_at.is_empty() {
            // Whatever failed depends on nothing that could be seen: everybody may be part of it.
            until.entry(*by).or_insert(usize::MAX);
        }
        if until.get(by).is_none_or(|until| number > *until) {
            continue;
        }
        numbers.insert(number);
        if let Deed::Heard { sent: Some(sent), .. } = &told.what
            && let Some(Sent { from, after, .. }) = story.sent(*sent)
        {
            let before = after.unwrap_or(0);
            let until = until.entry(*from).or_insert(before);
            *until = before.max(*until);
        }
    }
    Past { numbers, agents: until.into_keys().collect() }
}

#[cfg(test)]
mod tests {
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
        looked_at.iter().for_each(|who| story.look_at(AgentId(*who)));
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
            let (Deed::Step { by, .. } | Deed::Heard { by, .. }) = &told.what else { continue };
            let mut causes: Vec<usize> = last.insert(*by, number).into_iter().collect();
            if let Deed::Heard { sent: Some(sent), .. } = &told.what {
                causes.extend(story.sent(*sent).and_then(|sent| sent.after));
            }
            before.insert(number, causes);
        }
        before
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
            let by = |number: &usize| match &story.told().nth(*number).expect("all are kept").1.what {
                Deed::Step { by, .. } | Deed::Heard { by, .. } => looked_at.contains(&by.0),
                _ => false,
            };
            let mut causes: BTreeSet<usize> = BTreeSet::new();
            let mut next: Vec<usize> = before.keys().copied().filter(by).collect();
            while let Some(number) = next.pop() {
                if causes.insert(number) {
                    next.extend(&before[&number]);
                }
            }
            prop_assert_eq!(&shown, &causes);
            prop_assert_eq!(slice.earlier, 0);
        }

        #[test]
        fn what_did_not_come_between_those_who_take_part_is_shown(
            run in prop::collection::vec(made(), 0..80),
            looked_at in prop::collection::btree_set(1..=5_u64, 1..3),
        ) {
            let story = told(&run, &looked_at);
            let slice = Slice::of(&story, &node_of, usize::MAX);
            let (mut lost, mut waits) = (0, BTreeSet::new());
            for item in &slice.items {
                match item {
                    Item::Told(_, Told { what: Deed::Lost { .. }, .. }) => lost += 1,
                    Item::UnderWay(it) => waits.extend(it.to.iter().map(|to| (it.sent.from, *to))),
                    Item::Told(..) => {}
                }
            }
            let among: BTreeSet<AgentId> = looked_at.iter().map(|who| AgentId(*who)).collect();
            let all = story.told().filter(|(_, told)| match &told.what {
                Deed::Lost { sent, .. } => story.sent(*sent).is_some_and(|it| {
                    among.contains(&it.from) && among.contains(&it.to)
                }),
                _ => false,
            });
            prop_assert!(lost >= all.count());
            for (_, sent) in story.all_sent().filter(|(_, sent)| !sent.is_over) {
                if among.contains(&sent.from) && among.contains(&sent.to) {
                    prop_assert!(waits.contains(&(sent.from, sent.to)));
                }
            }
        }
    }
}
