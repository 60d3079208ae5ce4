//! A register: what was written last is what is read.

use std::fmt::Debug;
use std::hash::Hash;

use super::Specification;

/// One register.
#[derive(Clone, Debug)]
pub struct Register<V> {
    /// What it holds before the first write.
    pub initial: V,
}

/// What may be asked of a register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegisterInput<V> {
    /// What does it hold?
    Read,
    /// Hold this.
    Write(V),
}

/// What a register answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOutput<V> {
    /// It holds this.
    Value(V),
    /// It was written.
    Written,
}

impl<V: Clone + Eq + Hash + Debug> Specification for Register<V> {
    type State = V;
    type Input = RegisterInput<V>;
    type Output = RegisterOutput<V>;
    type Key = ();

    fn initial(&self) -> V {
        self.initial.clone()
    }

    fn key(&self, _: &Self::Input) {}

    fn step(&self, state: &V, input: &Self::Input) -> (V, Self::Output) {
        match input {
            RegisterInput::Read => (state.clone(), RegisterOutput::Value(state.clone())),
            RegisterInput::Write(value) => (value.clone(), RegisterOutput::Written),
        }
    }

    fn is_read(&self, input: &Self::Input) -> bool {
        matches!(input, RegisterInput::Read)
    }
}
