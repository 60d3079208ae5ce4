//! Shrinking: from a tape that fails to a plain one that fails.
//!
//! First whole events go, then choices go back to 0 (both by Zeller and Hildebrandt's ddmin:
//! "Simplifying and isolating failure-inducing input", TSE 2002): all of a label, then large blocks
//! of them, since a simulated run has a hundred thousand. Then values are lowered one by
//! one, then blocks of occasions are cut out, so that what comes later comes sooner (the last two
//! as in Hypothesis: `MacIver` and Donaldson, ECOOP 2020). All of it again until nothing helps: each
//! lowered value may make an event superfluous. What has too many choices to look at each of them
//! waits until nothing else helps.
//!
//! What a run that fails did not ask for goes too, as does all that comes after the failure.
//!
//! Everything is deterministic, and bounded by a number of runs.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use thiserror::Error;

use crate::tape::{Size, Tape};

mod ddmin;
pub(crate) mod edit;

use ddmin::ddmin;

/// What a run of a tape showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fails, in the same way as the tape to be shrunk. Another failure is a [`Passes`]
    /// (keep its tape aside): else shrinking slips from a rare bug to a common one.
    ///
    /// [`Passes`]: Self::Passes
    Fails,
    /// It does not fail.
    Passes,
}

/// A tape that cannot be shrunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ShrinkError {
    /// It does not fail: the code has changed since it was recorded, or the run depends on more
    /// than its tape.
    #[error(
        "the tape does not fail any more: check that the code and the configuration are those of its header"
    )]
    DoesNotFail,
}

/// A tape that fails, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The plainest that was found.
    pub tape: Tape,
    /// How many runs it took, the first one included.
    pub runs: u64,
    /// What helped, in its order.
    pub steps: Vec<Step>,
    /// Whether it ended before its budget did. Then the tape is 1-minimal: without any one of its
    /// events or choices, or with any one value lower by 1, it does not fail; or not so that it
    /// counts, where a run counts only if there is no more to read of it.
    pub is_minimal: bool,
}

/// A run that failed with a plainer tape than the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which run, from 1.
    pub run: u64,
    /// What was tried.
    pub pass: Pass,
    /// The size that was reached.
    pub size: Size,
}

/// A way to make a tape plainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Leaves out events.
    Events,
    /// Sets choices to 0.
    Choices,
    /// Lowers values.
    Values,
    /// Cuts out blocks of occasions.
    Blocks,
}

/// Looks for the plainest tape that fails, in at most `runs` runs.
///
/// # Errors
/// If `tape` itself does not fail.
pub fn shrink(
    tape: &Tape,
    runs: u64,
    mut run: impl FnMut(&Tape) -> Verdict,
) -> Result<Shrunk, ShrinkError> {
    shrink_to_asked(tape, runs, |tape| (run(tape) == Verdict::Fails).then(|| tape.clone()))
}

/// The same for runs that, if they fail, tell which part of the tape they asked for.
pub(crate) fn shrink_to_asked(
    tape: &Tape,
    runs: u64,
    mut run: impl FnMut(&Tape) -> Option<Tape>,
) -> Result<Shrunk, ShrinkError> {
    let Some(asked) = run(tape) else { return Err(ShrinkError::DoesNotFail) };
    let mut shrinker = Shrinker {
        best: asked,
        run,
        runs: 1,
        budget: runs,
        steps: Vec::new(),
        tried: BTreeSet::new(),
    };
    let is_minimal = shrinker.exhaust().is_ok();
    let Shrinker { best, runs, steps, .. } = shrinker;
    Ok(Shrunk { tape: best, runs, steps, is_minimal })
}

/// The search for a plainer tape.
struct Shrinker<F> {
    best: Tape,
    run: F,
    runs: u64,
    budget: u64,
    steps: Vec<Step>,
    /// Hashes of what was tried and does not fail; a collision costs a chance, no more.
    tried: BTreeSet<u64>,
}

/// There are no runs left.
struct Exhausted;

/// Choices of one label that are few enough to look at each of them in the first rounds. A guess: a
/// run that fails in a readable way has fewer deliveries.
const FEW: usize = 48;

/// Blocks into which many choices of one label are divided in the first rounds.
const BLOCKS: usize = 16;

impl<F: FnMut(&Tape) -> Option<Tape>> Shrinker<F> {
    fn exhaust(&mut self) -> Result<(), Exhausted> {
        self.round(FEW, BLOCKS)?;
        self.round(usize::MAX, usize::MAX)
    }

    /// All passes until none helps. Labels with more than `few` choices are only looked at in blocks,
    /// so many.
    fn round(&mut self, few: usize, blocks: usize) -> Result<(), Exhausted> {
        loop {
            let before = self.steps.len();
            for choices in edit::by_label(&self.best, usize::MAX) {
                self.fails(Pass::Choices, &edit::without_choices(&self.best, &choices))?;
            }
            let events: Vec<_> = self.best.events().keys().cloned().collect();
            self.remove(Pass::Events, events, usize::MAX, edit::without_events)?;
            for choices in edit::by_label(&self.best, usize::MAX) {
                let finest = if choices.len() > few { blocks } else { usize::MAX };
                self.remove(Pass::Choices, choices, finest, edit::without_choices)?;
            }
            self.lower_values(few)?;
            self.cut_blocks(few)?;
            if self.steps.len() == before {
                return Ok(());
            }
        }
    }

    /// Leaves out as many of `parts` as it can, in `finest` groups at the most.
    fn remove<T: Clone>(
        &mut self,
        pass: Pass,
        parts: Vec<T>,
        finest: usize,
        without: fn(&Tape, &[T]) -> Tape,
    ) -> Result<(), Exhausted> {
        ddmin(parts, finest, |removed| {
            let candidate = without(&self.best, removed);
            self.fails(pass, &candidate)
        })
    }

    /// Each value by bisection, down to one that fails while the next lower does not.
    fn lower_values(&mut self, few: usize) -> Result<(), Exhausted> {
        for place in edit::by_label(&self.best, few).into_iter().flatten() {
            let Some(mut fails) = edit::value(&self.best, &place) else { continue };
            let mut passes = 0;
            while fails - passes > 1 {
                let middle = u64::midpoint(passes, fails);
                if self.fails(Pass::Values, &edit::with_value(&self.best, &place, middle))? {
                    fails = middle;
                } else {
                    passes = middle;
                }
            }
        }
        Ok(())
    }

    /// Before each entry, the longest block of occasions without which it still fails: all since
    /// the entry before it, or else half as many, and so on; at last the entry itself.
    fn cut_blocks(&mut self, few: usize) -> Result<(), Exhausted> {
        for lane in edit::lanes(&self.best, few) {
            let mut index = 0;
            while let Some(gap) = edit::gap(&self.best, &lane, index) {
                let mut length = gap.length;
                while length > 0 {
                    let candidate = edit::without_block(&self.best, &lane, gap.end, length);
                    if self.fails(Pass::Blocks, &candidate)? {
                        break;
                    }
                    length /= 2;
                }
                let candidate = edit::without_entry(&self.best, &lane, index);
                if !self.fails(Pass::Blocks, &candidate)? {
                    index += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether `candidate` is plainer and fails too; then it is the best.
    fn fails(&mut self, pass: Pass, candidate: &Tape) -> Result<bool, Exhausted> {
        let size = candidate.size();
        if size >= self.best.size() || !self.tried.insert(hash(candidate)) {
            return Ok(false);
        }
        if self.runs >= self.budget {
            return Err(Exhausted);
        }
        self.runs += 1;
        let Some(asked) = (self.run)(candidate) else { return Ok(false) };
        let size = asked.size();
        self.best = asked;
        self.steps.push(Step { run: self.runs, pass, size });
        Ok(true)
    }
}

/// The same in every run: its keys are constants.
fn hash(tape: &Tape) -> u64 {
    let mut hasher = DefaultHasher::new();
    tape.hash(&mut hasher);
    hasher.finish()
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { run, pass, size: Size { events, choices, sum, .. } } in &self.steps {
            let pass = pass.word();
            writeln!(
                f,
                "run {run:>6}  {pass:<8} {events:>6} events, {choices:>6} choices, sum {sum}"
            )?;
        }
        let end = if self.is_minimal { "nothing plainer fails" } else { "the budget is used up" };
        write!(f, "{} runs; {end}", self.runs)
    }
}

impl Pass {
    fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Choices => "choices",
            Self::Values => "values",
            Self::Blocks => "blocks",
        }
    }
}
