//! A run that failed, and how to see it again.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::tape::{Ending, Tape, TapeFile, line};

/// What did not hold, when, and what brings it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The rule that does not hold.
    pub what: String,
    /// How it does not.
    pub text: String,
    /// The run's seed.
    pub seed: u64,
    /// When, in the world's time.
    pub at: Duration,
    /// After how many events.
    pub events: u64,
    /// The run so far as one number, by which it is known when it is seen again.
    pub trace: u64,
    /// The run's choices, if they were recorded.
    pub tape: Option<Box<Tape>>,
}

/// The rule that a run ends within the events that it may take.
pub const OUT_OF_EVENTS: &str = "the run ends within its events";

/// The rule that agents do not panic, unless they [may](crate::Sim::allow_panics).
pub const PANIC: &str = "no agent panics";

/// The rule that what is done in a world does not panic.
const NO_PANIC: &str = "the scenario does not panic";

impl Failure {
    /// The scenario itself panicked.
    pub(crate) fn panicked(seed: u64, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "it did, without a text".to_owned());
        let (what, at) = (NO_PANIC.to_owned(), Duration::ZERO);
        Self { what, text, seed, at, events: 0, trace: 0, tape: None }
    }

    /// All that is needed to see it again, as a file: what was tried, the code's version (one word), and
    /// a hash of the configuration. `None` if its tape was not recorded.
    #[must_use]
    pub fn file(&self, scenario: &str, version: &str, config: u64) -> Option<TapeFile> {
        let Self { what, text, seed, trace, events, tape, .. } = self;
        let (what, text, scenario) = (line(what), line(text), line(scenario));
        let ending = Some(Ending { what, text, trace: *trace, events: *events });
        let (seed, commit, tape) = (*seed, version.to_owned(), tape.as_deref()?.clone());
        Some(TapeFile { seed, commit, config, scenario, ending, tape })
    }

    /// Whether it has no run to be seen again step by step.
    pub(crate) fn is_panic(&self) -> bool {
        self.what == NO_PANIC
    }
}

/// The environment's variable that chooses the seeds of a campaign: `DX_SIM_SEED=17`.
pub const SEED_VARIABLE: &str = "DX_SIM_SEED";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, text, seed, at, events, tape, .. } = self;
        writeln!(
            f,
            "`{what}` does not hold at {at:?}, after {events} events, seed {seed}: {text}"
        )?;
        write!(f, "to see it again: {SEED_VARIABLE}={seed} cargo test")?;
        if let Some(name) = std::thread::current().name().filter(|name| *name != "main") {
            write!(f, " {name}")?;
        }
        if let Some(tape) = tape {
            let size = tape.size();
            write!(f, " (its tape has {} events and {} choices)", size.events, size.choices)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
