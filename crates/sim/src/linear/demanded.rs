//! A run that must have been linearizable.

use super::{Specification, Verdict, check};
use crate::failure::Failure;
use crate::history::History;
use crate::sim::Sim;

impl Sim {
    /// What clients saw must be what a single copy could have shown them. See [`check`].
    ///
    /// # Errors
    /// If it is not: the failure's text has the operations that no order explains. If it could not
    /// be decided in that many steps.
    pub fn must_be_linearizable<S: Specification>(
        &self,
        what: &str,
        specification: &S,
        history: &History<S::Input, S::Output>,
        steps_per_key: u64,
    ) -> Result<(), Failure> {
        match check(specification, history, steps_per_key) {
            Verdict::Linearizable(_) => Ok(()),
            Verdict::Violated(why) => Err(self.failure_of(what, why.to_string())),
            Verdict::Undecided { keys } => {
                let keys = keys.join(", ");
                let text = format!("not decided in {steps_per_key} steps, for the keys {keys}");
                Err(self.failure_of(what, text))
            }
        }
    }
}
