//! A file of a failure, seen again.

use std::fmt;

use super::Scenario;
use crate::choices::Choices;
use crate::failure::Failure;
use crate::sim::Sim;
use crate::tape::{TapeFile, line};

/// What became of a run that was kept as a file.
#[derive(Debug)]
pub struct Replayed {
    /// The world as it was left.
    pub sim: Sim,
    /// How it failed now, if it did.
    pub failure: Option<Failure>,
    /// Answers of the tape that did not fit: if there are any, the code has changed.
    pub misfits: u64,
    /// How it compares.
    pub verdict: Again,
}

/// How a replayed run compares to the one that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It is the same, event by event.
    Same,
    /// It breaks the same rule, in another run: code, configuration or scenario have changed.
    SameRule,
    /// It breaks another rule.
    OtherRule,
    /// It breaks no rule any more.
    Passes,
}

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    /// The run of a file again.
    pub fn replay_file(&self, file: &TapeFile) -> Replayed {
        let (sim, failure) = self.run(file.seed, Choices::replayed(&file.tape));
        let ending = file.ending.as_ref();
        let verdict = match (&failure, ending) {
            (None, _) => Again::Passes,
            (Some(now), Some(then)) if line(&now.what) != then.what => Again::OtherRule,
            (Some(now), Some(then)) if (now.trace, now.events) == (then.trace, then.events) => {
                Again::Same
            }
            // Where the file does not say which rule it broke, it is the one that it breaks.
            (Some(_), _) => Again::SameRule,
        };
        let misfits = sim.choices().misfits();
        Replayed { sim, failure, misfits, verdict }
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verdict {
            Again::Same => "the same run, event by event",
            Again::SameRule => "another run that breaks the same rule",
            Again::OtherRule => "another run, which breaks another rule",
            Again::Passes => "nothing fails any more",
        })?;
        if self.misfits > 0 {
            let misfits = self.misfits;
            write!(
                f,
                "; {misfits} choices of the tape do not fit: code or configuration have changed"
            )?;
        }
        Ok(())
    }
}
