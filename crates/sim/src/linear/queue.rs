//! A queue: first in, first out.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use super::Specification;

/// One queue, empty at first.
#[derive(Clone, Debug, Default)]
pub struct Queue<V>(PhantomData<V>);

/// What may be asked of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueInput<V> {
    /// Take this in, at the end.
    Enqueue(V),
    /// Give out the first.
    Dequeue,
}

/// What a queue answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueOutput<V> {
    /// It is in.
    Enqueued,
    /// This was the first; nothing if it was empty.
    Dequeued(Option<V>),
}

impl<V> Queue<V> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V: Clone + Eq + Hash + Debug> Specification for Queue<V> {
    type State = VecDeque<V>;
    type Input = QueueInput<V>;
    type Output = QueueOutput<V>;
    type Key = ();

    fn initial(&self) -> Self::State {
        VecDeque::new()
    }

    fn key(&self, _: &Self::Input) {}

    fn step(&self, state: &Self::State, input: &Self::Input) -> (Self::State, Self::Output) {
        let mut after = state.clone();
        match input {
            QueueInput::Enqueue(value) => {
                after.push_back(value.clone());
                (after, QueueOutput::Enqueued)
            }
            QueueInput::Dequeue => {
                let first = after.pop_front();
                (after, QueueOutput::Dequeued(first))
            }
        }
    }
}
