//! A failure explained: what can have caused it, as a sequence diagram to read.
//!
//! ```text
//! Story -> slice: what the failed check looked at, and all that went before it: by each agent's
//!          own order, by messages that came or should have, by faults of their nodes
//!       -> rows and lanes -> text, SVG
//! ```
//!
//! Of a run that was shrunk before, the diagram has a few lines. Of one that was not it has the
//! last [`MAX_ROWS`] of those that can matter, and says how many it leaves out.

use std::collections::BTreeMap;

use dx_agents::{AgentId, NodeId};

use crate::failure::Failure;
use crate::number::milliseconds;
use crate::sim::{CLIENTS, Sim};
use crate::story::{Deed, Harm, Sent, Story};

mod kept;
mod layout;
mod ready;
mod scenario;
mod slice;
mod svg;
mod text;

pub use self::kept::FOLDER_VARIABLE;
pub use self::ready::{Place, test_source};
use self::slice::{Item, Slice, Waiting};
pub use self::text::Ascii;

/// Rows that a diagram has at most: what fits on a screen, and in a head.
pub const MAX_ROWS: usize = 40;

/// How a run came to its failure. `Display` draws it as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What did not hold.
    pub what: String,
    /// How it did not: of a history that is not linearizable, its operations.
    pub text: String,
    /// The run's seed.
    pub seed: u64,
    /// When, in nanoseconds of the world's time.
    pub at: u64,
    /// The agents and clients, from left to right.
    pub lanes: Vec<Lane>,
    /// What happened to them, from top to bottom.
    pub rows: Vec<Row>,
    /// Earlier things that can matter, for which there is no room.
    pub earlier: usize,
    /// Things that cannot have mattered.
    pub unrelated: usize,
}

/// A column of the diagram: an agent, or a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Who.
    pub agent: AgentId,
    /// The name that the scenario gave it, or its kind.
    pub name: String,
    /// Where.
    pub node: NodeId,
}

/// A row of the diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When, in nanoseconds of the world's time.
    pub at: u64,
    /// What is drawn.
    pub mark: Mark,
    /// What is written beside it.
    pub text: String,
}

/// What is drawn in a row. Lanes are counted from the left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// An agent does something by itself.
    Step(usize),
    /// A message is handled.
    Arrow {
        /// From this lane.
        from: usize,
        /// To this one.
        to: usize,
        /// The row in which it was sent, if that is shown.
        sent: Option<usize>,
    },
    /// A message does not come.
    Lost {
        /// From this lane.
        from: usize,
        /// To these.
        to: Vec<usize>,
    },
    /// Something is done to nodes.
    Fault {
        /// The lanes on them.
        lanes: Vec<usize>,
        /// Of what sort it is.
        harm: Harm,
    },
}

impl Sim {
    /// Gives an agent a name for diagrams, in the place of its kind.
    pub fn name(&mut self, agent: AgentId, name: impl Into<String>) {
        self.names.insert(agent, name.into());
    }

    /// How this run came to `failure`; `None` if it kept no [story](Self::keep_story).
    #[must_use]
    pub fn explain(&self, failure: &Failure) -> Option<Explanation> {
        Some(Explanation::of(self.story()?, &self.names, failure, |agent| self.node_of_lane(agent)))
    }

    fn node_of_lane(&self, agent: AgentId) -> NodeId {
        self.directory.node_of(agent).unwrap_or(NodeId(0))
    }
}

impl Explanation {
    fn of(
        story: &Story,
        names: &BTreeMap<AgentId, String>,
        failure: &Failure,
        node_of: impl Fn(AgentId) -> NodeId,
    ) -> Self {
        let Slice { items, agents, earlier, unrelated } = Slice::of(story, &node_of, MAX_ROWS);
        let mut lanes: Vec<Lane> = agents
            .into_iter()
            .map(|agent| {
                let name = names.get(&agent).map(String::as_str).or_else(|| story.kind(agent));
                Lane { agent, name: name.unwrap_or("agent").to_owned(), node: node_of(agent) }
            })
            .collect();
        lanes.sort_by_key(|lane| (lane.node.0 < CLIENTS, lane.node, lane.agent));
        let mut drawing =
            Drawing { story, lanes: &lanes, rows: Vec::new(), numbers: BTreeMap::new() };
        for item in items {
            drawing.draw(item);
        }
        Self {
            what: failure.what.clone(),
            text: failure.text.clone(),
            seed: failure.seed,
            at: u64::try_from(failure.at.as_nanos()).unwrap_or(u64::MAX),
            rows: drawing.rows,
            lanes,
            earlier,
            unrelated,
        }
    }

    /// How much there is to read of it: its rows, and what there is no room for.
    #[must_use]
    pub fn to_read(&self) -> usize {
        self.rows.len() + self.earlier
    }

    /// What stands below a diagram: what is not in it.
    fn leaves_out(&self) -> Option<String> {
        let Self { earlier, unrelated, .. } = self;
        let earlier = (*earlier > 0).then(|| format!("{earlier} earlier events"));
        let unrelated =
            (*unrelated > 0).then(|| format!("{unrelated} events that cannot have mattered"));
        let both: Vec<String> = earlier.into_iter().chain(unrelated).collect();
        (!both.is_empty()).then(|| format!("left out: {}", both.join(", ")))
    }
}

impl Lane {
    /// Its id and node in short.
    fn place(&self) -> String {
        match self.node.0.checked_sub(CLIENTS) {
            Some(client) => format!("port {}", client + 1),
            None => format!("{} on {}", self.agent, self.node),
        }
    }
}

/// Rows in the making.
struct Drawing<'a> {
    story: &'a Story,
    lanes: &'a [Lane],
    rows: Vec<Row>,
    /// The rows of what was told under these numbers.
    numbers: BTreeMap<usize, usize>,
}

impl Drawing<'_> {
    fn draw(&mut self, item: Item<'_>) {
        let (number, told) = match item {
            Item::Told(number, told) => (number, told),
            Item::UnderWay(waiting) => return self.draw_waiting(&waiting),
        };
        let Some((mark, mut text)) = self.picture(&told.what) else { return };
        for written in &told.writes {
            text.push_str("; writes ");
            text.push_str(written);
        }
        if !self.is_merged(told.at, &mark, &text) {
            self.rows.push(Row { at: told.at, mark, text });
        }
        self.numbers.insert(number, self.rows.len() - 1);
    }

    fn draw_waiting(&mut self, Waiting { sent, to, more }: &Waiting<'_>) {
        let Some(from) = self.lane(sent.from) else { return };
        let to: Vec<usize> = to.iter().filter_map(|agent| self.lane(*agent)).collect();
        let at = self.rows.last().map_or(sent.at, |row| row.at);
        let each = if to.len() > 1 { " each" } else { "" };
        let more = if *more > 0 { format!(" and {more} more{each}") } else { String::new() };
        let text = format!("{}{}{more}: not handled until then", sent.text, self.since(sent));
        self.rows.push(Row { at, mark: Mark::Lost { from, to }, text });
    }

    fn picture(&self, deed: &Deed) -> Option<(Mark, String)> {
        Some(match deed {
            Deed::Step { by, text } => (Mark::Step(self.lane(*by)?), text.clone()),
            Deed::Heard { by, sent, is_again } => {
                let Some(sent) = sent.and_then(|number| self.story.sent(number)) else {
                    return Some((Mark::Step(self.lane(*by)?), "an old message".to_owned()));
                };
                let again = if *is_again { ", once more" } else { "" };
                let text = format!("{}{again}{}", sent.text, self.since(sent));
                let Some((from, to)) = self.ends(sent) else {
                    let text = format!("from {}: {text}", sent.from);
                    return Some((Mark::Step(self.lane(*by)?), text));
                };
                (Mark::Arrow { from, to, sent: self.row_of(sent) }, text)
            }
            Deed::Lost { sent, why } => {
                let sent = self.story.sent(*sent)?;
                let (from, to) = self.ends(sent)?;
                (
                    Mark::Lost { from, to: vec![to] },
                    format!("{}{}: {why}", sent.text, self.since(sent)),
                )
            }
            Deed::Fault { nodes, harm, text } => {
                let hit = |(_, lane): &(usize, &Lane)| nodes.contains(&lane.node);
                let lanes = self.lanes.iter().enumerate().filter(hit).map(|(at, _)| at).collect();
                (Mark::Fault { lanes, harm: *harm }, text.clone())
            }
        })
    }

    /// Where a message set out: at what its sender did; if that was before, as a client's can be
    /// that sends whenever its test does, at the last row of the time.
    fn row_of(&self, sent: &Sent) -> Option<usize> {
        let after = sent.after.and_then(|number| self.numbers.get(&number).copied());
        let is_then = |row: &usize| self.rows[*row].at == sent.at;
        let of_time = self.rows.partition_point(|row| row.at <= sent.at).checked_sub(1);
        after.filter(is_then).or(of_time)
    }

    /// When it was sent, if something that is shown came between.
    fn since(&self, sent: &Sent) -> String {
        let came_between = self.rows.last().is_some_and(|row| row.at > sent.at);
        if came_between { format!(" (sent at {})", milliseconds(sent.at)) } else { String::new() }
    }

    /// Faults of one instant, such as the many cuts of a partition, are one row.
    fn is_merged(&mut self, at: u64, mark: &Mark, text: &str) -> bool {
        let Mark::Fault { lanes: more, harm: new } = mark else { return false };
        let Some(row) = self.rows.last_mut().filter(|row| row.at == at) else { return false };
        let Mark::Fault { lanes, harm } = &mut row.mark else { return false };
        if harm != new || *new == Harm::Crash {
            return false;
        }
        lanes.extend(more);
        lanes.sort_unstable();
        lanes.dedup();
        let verb = row.text.split(' ').next().unwrap_or_default();
        match text.strip_prefix(verb).and_then(|rest| rest.strip_prefix(' ')) {
            Some(rest) => match there_and_back(&row.text, rest) {
                Some(both) => row.text = both,
                None => row.text = format!("{}, {rest}", row.text),
            },
            None => row.text = format!("{}; {text}", row.text),
        }
        true
    }

    fn ends(&self, sent: &Sent) -> Option<(usize, usize)> {
        Some((self.lane(sent.from)?, self.lane(sent.to)?))
    }

    fn lane(&self, agent: AgentId) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.agent == agent)
    }
}

/// If `text` ends with `a -> b` and `back` is `b -> a`: the text with both in one.
fn there_and_back(text: &str, back: &str) -> Option<String> {
    let (from, to) = back.split_once(" -> ")?;
    let rest = text.strip_suffix(&format!("{to} -> {from}"))?;
    Some(format!("{rest}{to} <-> {from}"))
}
