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
#[derive(Clone, Copy)]
pub enum Item<'a> {
    /// Something that happened, with its number.
    Told(usize, &'a Told),
    /// A message that had not come by then, and how many more from there to there.
    UnderWay(&'a Sent, usize),
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
    fn agents(self, story: &Story) -> Vec<AgentId> {
        let ends = |sent: &Sent| vec![sent.from, sent.to];
        match self {
            Self::UnderWay(sent, _) => ends(sent),
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

/// The first of each sender and receiver, with the number of the others.
fn by_way<'a>(under_way: impl Iterator<Item = &'a Sent>) -> impl Iterator<Item = Item<'a>> {
    let mut ways: Vec<(&Sent, usize)> = Vec::new();
    for sent in under_way {
        let known = ways.iter_mut().find(|(it, _)| (it.from, it.to) == (sent.from, sent.to));
        match known {
            Some((_, more)) => *more += 1,
            None => ways.push((sent, 0)),
        }
    }
    ways.into_iter().map(|(sent, more)| Item::UnderWay(sent, more))
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
