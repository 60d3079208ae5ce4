//! A lock: held by one at most, given back by its holder only.

use super::Specification;

/// One lock, free at first.
#[derive(Clone, Debug, Default)]
pub struct Lock;

/// What may be asked of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockInput {
    /// This one wants to hold it. Who waits for it has no answer yet.
    Acquire(u32),
    /// This one gives it back.
    Release(u32),
}

/// What a lock answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockOutput {
    /// As asked for: it was free and now is held, or was held by the caller and now is free.
    Granted,
    /// It is held by someone, the caller included; or, at a release, not held by the caller.
    Refused,
}

impl Specification for Lock {
    type State = Option<u32>;
    type Input = LockInput;
    type Output = LockOutput;
    type Key = ();

    fn initial(&self) -> Self::State {
        None
    }

    fn key(&self, _: &LockInput) {}

    fn step(&self, state: &Self::State, input: &LockInput) -> (Self::State, LockOutput) {
        match (*input, *state) {
            (LockInput::Acquire(who), None) => (Some(who), LockOutput::Granted),
            (LockInput::Release(who), Some(holder)) if who == holder => (None, LockOutput::Granted),
            (_, state) => (state, LockOutput::Refused),
        }
    }
}
