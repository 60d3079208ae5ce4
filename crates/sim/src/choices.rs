//! The one source of everything that a run leaves to chance.
//!
//! A run is a function of its choices. They are drawn from the seed, or read from a *tape* that an
//! earlier run recorded; beyond the tape's end every choice is 0, which is always the plainest one:
//! first come first served, no delay beyond the least, no fault. So a shorter tape, or one with
//! smaller numbers, is a simpler run.

use dx_agents::rng::Rng;

use crate::number::{exp, ln};

/// See the module.
#[derive(Clone, Debug)]
pub struct Choices {
    source: Source,
    recorded: Option<Vec<u32>>,
    made: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Seed(Rng),
    Tape { tape: Vec<u32>, at: usize },
}

/// The finest step in which a fraction is drawn: 2^-24.
const FINE: u32 = 1 << 24;

impl Choices {
    /// Choices drawn from a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { source: Source::Seed(Rng::stream(seed, CHOICES)), recorded: None, made: 0 }
    }

    /// The choices of a tape.
    #[must_use]
    pub fn replayed(tape: Vec<u32>) -> Self {
        Self { source: Source::Tape { tape, at: 0 }, recorded: None, made: 0 }
    }

    /// Keeps every choice from now on, to be [taken](Self::tape) when something was found.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.recorded = Some(Vec::new());
        self
    }

    /// What was recorded so far.
    #[must_use]
    pub fn tape(&self) -> Option<&[u32]> {
        self.recorded.as_deref()
    }

    /// How many choices were made.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
    }

    /// A number below `bound`. Of one possibility there is no choice, and nothing is recorded.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        if bound <= 1 {
            return 0;
        }
        self.made += 1;
        let choice = match &mut self.source {
            Source::Seed(rng) => rng.below(u64::from(bound)) as u32,
            Source::Tape { tape, at } => {
                let choice = tape.get(*at).copied().unwrap_or(0);
                *at += 1;
                // What recorded it may have had more to choose from.
                choice.min(bound - 1)
            }
        };
        if let Some(recorded) = &mut self.recorded {
            recorded.push(choice);
        }
        choice
    }

    /// One of several things; `None` only if there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let bound = u32::try_from(from.len()).unwrap_or(u32::MAX);
        from.get(self.below(bound) as usize)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        // The large numbers are the hits, so that a tape of zeros has none.
        self.unit() >= 1.0 - probability
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.below(FINE)) / f64::from(FINE)
    }

    /// A number between two, each power of ten as likely as the next.
    pub fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        low * exp(ln(high / low) * self.unit())
    }
}

/// Sets the choices apart from the agents' own random numbers, which have the same seed.
const CHOICES: u64 = 0x0063_686f_6963_6573;

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(choices: &mut Choices) -> Vec<u32> {
        (2..200).map(|bound| choices.below(bound)).collect()
    }

    #[test]
    fn a_recorded_tape_gives_the_same_choices_again() {
        let mut first = Choices::seeded(7).recording();
        let drawn = draw(&mut first);
        let mut again = Choices::replayed(first.tape().unwrap().to_vec());
        assert_eq!(draw(&mut again), drawn);
        assert_ne!(draw(&mut Choices::seeded(8)), drawn);
    }

    #[test]
    fn beyond_its_tape_a_run_chooses_the_plainest() {
        let mut choices = Choices::replayed(vec![9]);
        assert_eq!([choices.below(5), choices.below(5)], [4, 0]);
        assert!(!choices.chance(0.999));
    }

    #[test]
    fn what_cannot_be_chosen_is_not_recorded() {
        let mut choices = Choices::seeded(1).recording();
        assert_eq!(choices.below(1), 0);
        assert!(!choices.chance(0.0));
        assert!(choices.tape().unwrap().is_empty());
    }
}
