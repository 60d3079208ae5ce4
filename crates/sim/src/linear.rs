//! Linearizability: is there an order of all operations that a single copy could have produced,
//! and that holds to who was answered before whom was asked?
//!
//! The search is Wing and Gong's ("Testing and verifying concurrent objects", JPDC 1993) with
//! Lowe's memory of configurations that lead nowhere ("Testing for linearizability", CCPE 2017),
//! key by key, since a history is linearizable if and only if it is so for each object (Herlihy
//! and Wing 1990, theorem 1). Some savings are ours: the memory holds only the part of a
//! configuration that differs from "all so far"; what only reads comes as soon as it
//! fits; open operations are tried last, equal ones in one order only, and never where they
//! would change nothing.
//!
//! The question is NP-complete (Gibbons and Korach 1997), so the search has a budget and may answer
//! [`Verdict::Undecided`]; it never hangs. In practice it takes about as many steps as operations.
//!
//! ```
//! use dx_sim::history::History;
//! use dx_sim::linear::{Register, RegisterInput, RegisterOutput, Verdict, check};
//!
//! let mut history = History::new();
//! let write = history.call(0, 10, RegisterInput::Write(1));
//! history.answer(write, 20, RegisterOutput::Written);
//! let read = history.call(1, 30, RegisterInput::Read);
//! history.answer(read, 40, RegisterOutput::Value(0));
//!
//! let Verdict::Violated(why) = check(&Register { initial: 0 }, &history, 1_000) else {
//!     panic!("a read of what was overwritten before it was asked for");
//! };
//! assert!(why.to_string().contains("Read -> Value(0)"));
//! ```

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use crate::history::{End, History, OperationId};

mod counterexample;
mod demanded;
mod done;
mod kv;
mod lock;
mod queue;
mod register;
mod search;

pub use counterexample::{Counterexample, Stuck};
pub use kv::{Kv, KvInput, KvOutput};
pub use lock::{Lock, LockInput, LockOutput};
pub use queue::{Queue, QueueInput, QueueOutput};
pub use register::{Register, RegisterInput, RegisterOutput};

use search::{Ending, Search};

/// What a single copy does, one operation after the other.
///
/// It must be total (each input has an answer in each state) and deterministic. Where an answer
/// says nothing about the state ("try again"), record the operation as open or as never.
pub trait Specification {
    /// The state of one object.
    type State: Clone + Eq + Hash + Debug;
    /// What clients ask for.
    type Input: PartialEq + Debug;
    /// What they are answered.
    type Output: PartialEq + Debug;
    /// Which object is meant. Objects are independent and checked one by one.
    type Key: Ord + Debug;

    /// The state of every object before the first operation.
    fn initial(&self) -> Self::State;

    /// The object that `input` is about.
    fn key(&self, input: &Self::Input) -> Self::Key;

    /// The state after `input`, and the answer to it.
    fn step(&self, state: &Self::State, input: &Self::Input) -> (Self::State, Self::Output);

    /// Whether `input` changes nothing in any state. To say so saves the search much time.
    fn is_read(&self, input: &Self::Input) -> bool {
        let _ = input;
        false
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// There is such an order: here it is, for each key in the order of keys. Open operations that
    /// need not have happened are left out.
    Linearizable(Vec<Vec<OperationId>>),
    /// There is none. One key for which there is none, and why.
    Violated(Box<Counterexample>),
    /// No key was found at fault, but for these the budget ended before an answer.
    Undecided {
        /// The keys, as `Debug` shows them.
        keys: Vec<String>,
    },
}

/// Checks `history` against `specification`, with at most `steps_per_key` steps of it for each key.
///
/// A step costs as much as the specification's, and may keep a state and a set of operations in
/// memory until the key is decided. A history of n operations on a key needs n steps at the least,
/// usually a few times as many; a million (a second or two, some 100 MB) is a good bound.
pub fn check<S: Specification>(
    specification: &S,
    history: &History<S::Input, S::Output>,
    steps_per_key: u64,
) -> Verdict {
    let mut orders = Vec::new();
    let mut undecided = Vec::new();
    for (key, operations) in by_key(specification, history) {
        let search = Search::new(specification, history, &operations, WHOLE);
        match search.run(steps_per_key) {
            Ending::Ordered(order) => orders.push(order),
            Ending::Exhausted => undecided.push(format!("{key:?}")),
            Ending::Stuck => {
                let problem =
                    Problem { specification, history, operations: &operations, steps_per_key };
                return Verdict::Violated(Box::new(problem.explain(&key)));
            }
        }
    }
    if undecided.is_empty() {
        Verdict::Linearizable(orders)
    } else {
        Verdict::Undecided { keys: undecided }
    }
}

/// One key that has no order.
struct Problem<'a, S: Specification> {
    specification: &'a S,
    history: &'a History<S::Input, S::Output>,
    operations: &'a [OperationId],
    steps_per_key: u64,
}

/// What may have happened, by the object that it is about.
fn by_key<S: Specification>(
    specification: &S,
    history: &History<S::Input, S::Output>,
) -> BTreeMap<S::Key, Vec<OperationId>> {
    let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, operation) in history.iter() {
        if !matches!(operation.end, End::Never) {
            keys.entry(specification.key(&operation.input)).or_default().push(id);
        }
    }
    keys
}

/// The end of a history, as a limit: all of it counts.
const WHOLE: u64 = u64::MAX;
