//! Where answers come from.

use dx_agents::rng::Rng;

use super::priorities::Ranks;
use crate::explore::Cursor;
use crate::tape::{Point, Tape};

/// See the module.
#[derive(Debug)]
pub enum Source {
    Seed(Rng),
    Tape { tape: Tape, misfits: u64 },
    Search(Cursor),
    Priorities(Ranks),
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Question {
    /// Any number below the bound.
    Any,
    /// Which one runs next: 0 is the one that would anyway.
    Switch,
    /// Whether something happens that need not.
    Event {
        /// How likely.
        probability: f64,
    },
}

impl Source {
    /// The answer to a question of the run, or of an event.
    pub fn answer(&mut self, of: Option<&Point>, point: &Point, bound: u64, what: Question) -> u64 {
        match self {
            Self::Seed(rng) | Self::Priorities(Ranks { rng, .. }) => match what {
                Question::Event { probability } => u64::from(rng.unit() < probability),
                Question::Any | Question::Switch => rng.below(bound),
            },
            Self::Tape { tape, misfits } => match what {
                Question::Event { .. } => u64::from(tape.events().contains_key(point)),
                Question::Any | Question::Switch => {
                    let choices = match of {
                        Some(event) => tape.events().get(event).map(|event| &event.details),
                        None => Some(tape.choices()),
                    };
                    let choice = choices.and_then(|choices| choices.get(point));
                    let value = choice.map_or(0, |choice| choice.value);
                    *misfits += u64::from(value >= bound);
                    value.min(bound - 1)
                }
            },
            Self::Search(cursor) => cursor.answer(point, bound, what),
        }
    }

    /// A random source, if it is one.
    pub fn rng(&mut self) -> Option<&mut Rng> {
        match self {
            Self::Seed(rng) | Self::Priorities(Ranks { rng, .. }) => Some(rng),
            Self::Tape { .. } | Self::Search(_) => None,
        }
    }
}
