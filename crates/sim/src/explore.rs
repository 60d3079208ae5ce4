//! Systematic search: every run that differs in some choice, within bounds, one after the other.
//!
//! Stateless, as in `VeriSoft` (Godefroid, POPL 1997): a run is repeated from its beginning with
//! the last choice advanced, and only the path is kept in memory. The bounds on interference are
//! those of CHESS (Musuvathi and Qadeer: "Iterative context bounding", PLDI 2007: preemptions) and
//! of delay-bounded scheduling (Emmi, Qadeer and Rakamaric, POPL 2011): most bugs need very few.
//!
//! ```
//! use dx_sim::explore::{Bounds, Completeness, Outcome, explore};
//!
//! let search = explore(&Bounds::default(), |choices| {
//!     match (choices.choose("a", 3), choices.choose("b", 3)) {
//!         (2, 1) => Outcome::Violated("a and b collide".to_owned()),
//!         _ => Outcome::Fine,
//!     }
//! })?;
//! let found = search.found.expect("the search tries all nine");
//! assert_eq!((found.what.as_str(), search.runs), ("a and b collide", 8));
//! # Ok::<(), dx_sim::explore::NotRepeatable>(())
//! ```

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::choices::Choices;
use crate::tape::Tape;

mod cursor;

pub(crate) use cursor::Cursor;
use cursor::Cuts;

/// How far a search goes. What a bound excludes is never tried, and the result says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Choices of a run that are tried both ways; later ones get 0.
    pub depth: usize,
    /// How often a run may switch to another than the one that would go on.
    pub switches: Switches,
    /// How many events (faults) a run may have.
    pub events: u64,
    /// How many runs there may be.
    pub runs: u64,
}

/// How often a run may switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switches {
    /// At will.
    Any,
    /// So many times, to whomever: each answer but 0 costs one (preemption bounding).
    Preemptions(u64),
    /// Passing by so many in all: the answer n costs n (delay bounding).
    Delays(u64),
}

impl Default for Bounds {
    /// No bound but on the runs: a million, some seconds of a small model.
    fn default() -> Self {
        Self { depth: usize::MAX, switches: Switches::Any, events: u64::MAX, runs: 1_000_000 }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong with it.
    Fine,
    /// Something is, and this is what.
    Violated(String),
}

/// What a search did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// How many runs, all different.
    pub runs: u64,
    /// How many choices they made, those that are the same in several runs counted each time.
    pub choices: u64,
    /// The most choices of one run.
    pub deepest: usize,
    /// Which runs there are beside these.
    pub completeness: Completeness,
    /// The first violation, at which the search stopped.
    pub found: Option<Found>,
}

/// A run that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What was wrong.
    pub what: String,
    /// How to have it again.
    pub tape: Tape,
}

/// What a search without findings proves. `Display` says it in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// There are no other runs.
    All,
    /// All runs within the bounds were tried. Some bounds excluded others: which.
    WithinBounds {
        /// Choices beyond the depth.
        depth: bool,
        /// Switches beyond their bound.
        switches: bool,
        /// Events beyond their bound.
        events: bool,
    },
    /// The number of runs did not suffice.
    OutOfRuns,
    /// It stopped at what it found.
    Stopped,
}

/// The run does not depend on its choices alone: repeated with the same answers, it asked another
/// question. Look for time, unordered maps, addresses or state that outlives a run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the run cannot be repeated: choice {choice} was `{before}` and is now `{now}`; it depends on more than its choices"
)]
pub struct NotRepeatable {
    /// Which choice of the run, from 0.
    pub choice: usize,
    /// What was asked in the run before.
    pub before: String,
    /// What is asked now.
    pub now: String,
}

/// Tries all runs within `bounds`, depth first, the plainest first, up to the first violation.
///
/// # Errors
/// If `run` does something else when it is repeated.
pub fn explore(
    bounds: &Bounds,
    mut run: impl FnMut(&mut Choices) -> Outcome,
) -> Result<Search, NotRepeatable> {
    explore_worlds(bounds, None, |mut choices| {
        let outcome = run(&mut choices);
        (choices, outcome)
    })
}

/// The same where the choices are given away and come back, and those of the order in which things
/// happen may be among them.
pub(crate) fn explore_worlds(
    bounds: &Bounds,
    window: Option<Duration>,
    mut run: impl FnMut(Choices) -> (Choices, Outcome),
) -> Result<Search, NotRepeatable> {
    let mut search = Search {
        runs: 0,
        choices: 0,
        deepest: 0,
        completeness: Completeness::OutOfRuns,
        found: None,
    };
    let mut cursor = Cursor::new(bounds);
    while search.runs < bounds.runs {
        let (choices, outcome) = run(Choices::search(cursor, window));
        let tape;
        (tape, cursor) = choices.into_search();
        search.runs += 1;
        search.choices += cursor.asked() as u64;
        search.deepest = search.deepest.max(cursor.asked());
        cursor.check()?;
        if let Outcome::Violated(what) = outcome {
            search.completeness = Completeness::Stopped;
            search.found = Some(Found { what, tape });
            break;
        }
        if !cursor.advance() {
            search.completeness = completeness(cursor.cuts());
            break;
        }
    }
    Ok(search)
}

fn completeness(cuts: Cuts) -> Completeness {
    let Cuts { depth, switches, events } = cuts;
    if depth || switches || events {
        Completeness::WithinBounds { depth, switches, events }
    } else {
        Completeness::All
    }
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::All => write!(f, "complete: there are no other runs"),
            Self::WithinBounds { depth, switches, events } => {
                let names = [(depth, "choices"), (switches, "switches"), (events, "events")];
                let names: Vec<_> =
                    names.iter().filter(|(is_cut, _)| *is_cut).map(|(_, name)| *name).collect();
                write!(
                    f,
                    "complete within the bounds: runs with more {} were not tried",
                    names.join(" or ")
                )
            }
            Self::OutOfRuns => write!(f, "incomplete: the number of runs did not suffice"),
            Self::Stopped => write!(f, "stopped at the first violation"),
        }
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, choices, deepest, completeness, found } = self;
        if let Some(Found { what, .. }) = found {
            writeln!(f, "violated: {what}")?;
        }
        write!(f, "{runs} runs, {choices} choices, at most {deepest} in a run; {completeness}")
    }
}
