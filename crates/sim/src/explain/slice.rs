//! What can have caused a failure. Backwards from what the failed check looked at: all that those
//! agents did before, and what those did before who had sent them something (Lamport's "happened
//! before": "Time, clocks, and the ordering of events in a distributed system", CACM 1978). That
//! something did not come can be a cause as well. So what was sent to them, in time and in vain, counts
//! as if it had come, with all that went before it; what they themselves sent in vain is shown, as is
//! what was done to their nodes.

#[cfg(test)]
mod tests;

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
        let is_theirs = |sent: &Sent| match sent.after {
            Some(number) => past.numbers.contains(&number),
            None => past.agents.contains(&sent.from),
        };
        let belongs = |number: usize, told: &Told| match &told.what {
            Deed::Heard { .. } | Deed::Step { .. } => past.numbers.contains(&number),
            Deed::Lost { sent, .. } => story.sent(*sent).is_some_and(is_theirs),
            Deed::Fault { nodes: hit, .. } => hit.iter().any(|node| nodes.contains(node)),
        };
        let told = story.told().filter(|(number, told)| belongs(*number, told));
        let under_way = story.all_sent().map(|(_, sent)| sent);
        let under_way = under_way.filter(|sent| !sent.is_over && is_theirs(sent));
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
    // Below which number what an agent did belongs to it.
    let mut until: BTreeMap<AgentId, usize> =
        looked_at.iter().map(|agent| (*agent, usize::MAX)).collect();
    if looked_at.is_empty() {
        // Whatever failed depends on nothing that could be seen: everybody may be part of it.
        until.extend(story.told().filter_map(|(_, told)| told.by()).map(|by| (by, usize::MAX)));
    }
    let missing = missing(story);
    loop {
        let numbers = came_before(story, &mut until);
        let mut is_all = true;
        for Sent { from, to, after, .. } in &missing {
            let Some(after) = *after else { continue };
            let is_in_time = until.get(to).is_some_and(|until| after < *until);
            if is_in_time && until.get(from).is_none_or(|until| *until <= after) {
                until.insert(*from, after + 1);
                is_all = false;
            }
        }
        if is_all {
            return Past { numbers, agents: until.into_keys().collect() };
        }
    }
}

/// All that was never handled: what is lost, and what had not come by the end.
fn missing(story: &Story) -> Vec<&Sent> {
    let lost = story.told().filter_map(|(_, told)| match &told.what {
        Deed::Lost { sent, .. } => story.sent(*sent),
        _ => None,
    });
    let under_way = story.all_sent().map(|(_, sent)| sent).filter(|sent| !sent.is_over);
    lost.chain(under_way).collect()
}

/// What these agents did until then, and what others did before who had sent them something: those, and
/// until when, are added.
fn came_before(story: &Story, until: &mut BTreeMap<AgentId, usize>) -> BTreeSet<usize> {
    let mut numbers = BTreeSet::new();
    for (number, told) in story.told().rev() {
        let Some(by) = told.by() else { continue };
        if until.get(&by).is_none_or(|until| number >= *until) {
            continue;
        }
        numbers.insert(number);
        if let Deed::Heard { sent: Some(sent), .. } = &told.what
            && let Some(Sent { from, after, .. }) = story.sent(*sent)
        {
            let before = after.map_or(0, |after| after + 1);
            let until = until.entry(*from).or_insert(before);
            *until = before.max(*until);
        }
    }
    numbers
}
