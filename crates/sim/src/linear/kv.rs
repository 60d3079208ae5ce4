//! A map from keys to texts, with append and compare-and-swap.

use std::fmt::Debug;
use std::marker::PhantomData;

use super::Specification;

/// A map that is empty at first. Each key is an object of its own.
#[derive(Clone, Debug, Default)]
pub struct Kv<K>(PhantomData<K>);

/// What may be asked of a map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvInput<K> {
    /// What is there?
    Get(K),
    /// Let this be there.
    Put(K, String),
    /// Let this be at the end of what is there; nothing is like an empty text.
    Append(K, String),
    /// If `expected` is there, let `new` be there.
    Cas {
        /// Where.
        key: K,
        /// What must be there.
        expected: Option<String>,
        /// What shall be there.
        new: String,
    },
}

/// What a map answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvOutput {
    /// This is there, or nothing.
    Value(Option<String>),
    /// It was put or appended.
    Done,
    /// Whether it was as expected and is now as asked for.
    Swapped(bool),
}

impl<K> Kv<K> {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K: Ord + Clone + Debug> Specification for Kv<K> {
    type State = Option<String>;
    type Input = KvInput<K>;
    type Output = KvOutput;
    type Key = K;

    fn initial(&self) -> Self::State {
        None
    }

    fn key(&self, input: &Self::Input) -> K {
        match input {
            KvInput::Get(key)
            | KvInput::Put(key, _)
            | KvInput::Append(key, _)
            | KvInput::Cas { key, .. } => key.clone(),
        }
    }

    fn step(&self, state: &Self::State, input: &Self::Input) -> (Self::State, KvOutput) {
        match input {
            KvInput::Get(_) => (state.clone(), KvOutput::Value(state.clone())),
            KvInput::Put(_, value) => (Some(value.clone()), KvOutput::Done),
            KvInput::Append(_, end) => {
                let text = state.as_deref().unwrap_or_default();
                (Some(format!("{text}{end}")), KvOutput::Done)
            }
            KvInput::Cas { expected, new, .. } if expected == state => {
                (Some(new.clone()), KvOutput::Swapped(true))
            }
            KvInput::Cas { .. } => (state.clone(), KvOutput::Swapped(false)),
        }
    }

    fn is_read(&self, input: &Self::Input) -> bool {
        matches!(input, KvInput::Get(_))
    }
}
