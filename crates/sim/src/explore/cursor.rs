//! Where a search stands in the tree of choices.

use super::{Bounds, NotRepeatable, Switches};
use crate::choices::Question;
use crate::tape::Point;

/// A path in the tree: it is followed to its end, then the run goes on with the plainest answers.
#[derive(Debug)]
pub(crate) struct Cursor {
    bounds: Bounds,
    path: Vec<Fork>,
    /// How many choices this run has made.
    asked: usize,
    /// What this run has spent.
    switches: u64,
    events: u64,
    cuts: Cuts,
    surprise: Option<NotRepeatable>,
}

/// A choice on the path.
#[derive(Debug)]
struct Fork {
    point: Point,
    bound: u64,
    question: Question,
    value: u64,
    /// The largest value that the bounds allow here.
    largest: u64,
}

/// Which bounds have excluded something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cuts {
    pub(super) depth: bool,
    pub(super) switches: bool,
    pub(super) events: bool,
}

impl Cursor {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            bounds: *bounds,
            path: Vec::new(),
            asked: 0,
            switches: 0,
            events: 0,
            cuts: Cuts::default(),
            surprise: None,
        }
    }

    pub(crate) fn answer(&mut self, point: &Point, bound: u64, question: Question) -> u64 {
        let index = self.asked;
        self.asked += 1;
        if self.surprise.is_some() {
            return 0;
        }
        if index >= self.bounds.depth {
            self.cuts.depth |= bound > 1;
            return 0;
        }
        if let Some(fork) = self.path.get(index) {
            if (&fork.point, fork.bound, fork.question) != (point, bound, question) {
                let (before, now) = (fork.describe(), describe(point, bound));
                self.surprise = Some(NotRepeatable { choice: index, before, now });
                return 0;
            }
        } else {
            let largest = self.largest(bound, question);
            self.path.push(Fork { point: point.clone(), bound, question, value: 0, largest });
        }
        let value = self.path[index].value;
        self.spend(value, question);
        value
    }

    /// The largest answer that what is left of the bounds allows.
    fn largest(&mut self, bound: u64, question: Question) -> u64 {
        let wanted = bound - 1;
        let allowed = match (question, self.bounds.switches) {
            (Question::Any, _) | (Question::Switch, Switches::Any) => wanted,
            (Question::Switch, Switches::Delays(most)) => wanted.min(most - self.switches),
            (Question::Switch, Switches::Preemptions(most)) if self.switches < most => wanted,
            (Question::Switch, Switches::Preemptions(_)) => 0,
            (Question::Event { .. }, _) => wanted.min(self.bounds.events - self.events),
        };
        match question {
            Question::Any => {}
            Question::Switch => self.cuts.switches |= allowed < wanted,
            Question::Event { .. } => self.cuts.events |= allowed < wanted,
        }
        allowed
    }

    fn spend(&mut self, value: u64, question: Question) {
        match (question, self.bounds.switches) {
            (Question::Any, _) | (Question::Switch, Switches::Any) => {}
            (Question::Switch, Switches::Delays(_)) => self.switches += value,
            (Question::Switch, Switches::Preemptions(_)) => self.switches += value.min(1),
            (Question::Event { .. }, _) => self.events += value,
        }
    }

    /// How many choices the run has made.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    pub(super) fn cuts(&self) -> Cuts {
        self.cuts
    }

    /// Whether the run followed the path.
    pub(super) fn check(&self) -> Result<(), NotRepeatable> {
        if let Some(surprise) = &self.surprise {
            return Err(surprise.clone());
        }
        match self.path.get(self.asked) {
            None => Ok(()),
            Some(fork) => Err(NotRepeatable {
                choice: self.asked,
                before: fork.describe(),
                now: "the end".to_owned(),
            }),
        }
    }

    /// Goes back to the last choice that has another answer left, and takes that. Gives whether
    /// there is one.
    pub(super) fn advance(&mut self) -> bool {
        (self.asked, self.switches, self.events) = (0, 0, 0);
        while let Some(fork) = self.path.last_mut() {
            if fork.value < fork.largest {
                fork.value += 1;
                return true;
            }
            self.path.pop();
        }
        false
    }
}

impl Fork {
    fn describe(&self) -> String {
        describe(&self.point, self.bound)
    }
}

fn describe(point: &Point, bound: u64) -> String {
    format!("{} {}, below {bound}", point.label, point.at)
}
