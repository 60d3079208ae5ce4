//! A tape: what was decided in a run, where the run could have gone another way.
//!
//! A run asks its [`Choices`](crate::choices::Choices) at each such point; the tape keeps the
//! answers that were not the plainest one. So the empty tape is the plainest run (every choice 0,
//! no event), and a tape is a list of deviations from it. An answer is filed under its label and
//! how many choices of that label came before; so taking one away, or a change of the code that
//! asks more of another label, does not shift the meaning of the rest. Hypothesis' tapes are
//! positional (`MacIver` and Donaldson: "Test-case reduction via test-case generation", ECOOP 2020);
//! in a simulation, where one message fewer changes all that follows, that would scramble them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod text;

pub(crate) use text::line;
pub use text::{Ending, TapeError, TapeFile};

/// What a choice is about: one word. Static where it is asked for, owned where it was read.
pub type Label = Cow<'static, str>;

/// Where in a run something was decided: the label, and how many of that label were before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// What it is about.
    pub label: Label,
    /// How many choices (or events) of this label came before.
    pub at: u32,
}

/// An answer: `value` of the numbers below `bound`. The smaller, the plainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Choice {
    /// How many answers there were. At least 1.
    pub bound: u64,
    /// Which it was.
    pub value: u64,
}

/// Something that happened and could have been left out (a fault, a client's operation), with the
/// choices that say how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its choices, those of value 0 left out.
    pub details: BTreeMap<Point, Choice>,
}

/// The deviations of a run from the plainest run. `Display` and serde write it as text, without the
/// header of a [`TapeFile`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Tape {
    pub(crate) choices: BTreeMap<Point, Choice>,
    pub(crate) events: BTreeMap<Point, Event>,
}

/// How far a run is from the plainest one. Compared from left to right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// How many events.
    pub events: usize,
    /// How many choices are not 0, those of events included.
    pub choices: usize,
    /// The sum of their values.
    pub sum: u128,
    /// How late choices and events come: the sum of the counts before them.
    pub lateness: u128,
}

impl Tape {
    /// The plainest run.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn collect(
        choices: impl IntoIterator<Item = (Point, Choice)>,
        events: impl IntoIterator<Item = (Point, Event)>,
    ) -> Self {
        Self { choices: choices.into_iter().collect(), events: events.into_iter().collect() }
    }

    /// The choices that are not 0, without those of events.
    #[must_use]
    pub fn choices(&self) -> &BTreeMap<Point, Choice> {
        &self.choices
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &BTreeMap<Point, Event> {
        &self.events
    }

    /// Files an answer. A 0 is what an unfiled answer is, and is not kept.
    ///
    /// # Panics
    /// If the value is not below the bound.
    pub fn choose(&mut self, point: Point, choice: Choice) {
        insert(&mut self.choices, point, choice);
    }

    /// Files an event.
    pub fn happen(&mut self, point: Point, event: Event) {
        self.events.insert(point, event);
    }

    /// How far it is from the plainest run.
    #[must_use]
    pub fn size(&self) -> Size {
        let details = self.events.values().flat_map(|event| &event.details);
        let mut size = Size { events: self.events.len(), ..Size::default() };
        for (point, choice) in self.choices.iter().chain(details) {
            size.choices += 1;
            size.sum += u128::from(choice.value);
            size.lateness += u128::from(point.at);
        }
        size.lateness += self.events.keys().map(|point| u128::from(point.at)).sum::<u128>();
        size
    }
}

impl Event {
    /// Files one of its choices, as [`Tape::choose`] does.
    ///
    /// # Panics
    /// If the value is not below the bound.
    pub fn choose(&mut self, point: Point, choice: Choice) {
        insert(&mut self.details, point, choice);
    }
}

fn insert(choices: &mut BTreeMap<Point, Choice>, point: Point, choice: Choice) {
    let Choice { bound, value } = choice;
    assert!(value < bound, "{} {}: {value} is not below {bound}", point.label, point.at);
    if value > 0 {
        choices.insert(point, choice);
    }
}

/// Whether `label` is one word, as the text format needs it.
pub(crate) fn is_label(label: &str) -> bool {
    !label.is_empty() && !label.contains(|char: char| char.is_whitespace() || char.is_control())
}
