//! What clients saw: operations with the moment of their call and, if it came, of their answer.

/// The operations of all clients of a run, in the order in which they were called (Herlihy and
/// Wing: "Linearizability: a correctness condition for concurrent objects", TOPLAS 1990).
///
/// A simulator does one thing after the other, even at one virtual instant; so what precedes what
/// is the order of recording. Times are for people. An operation without an answer stays
/// [`End::Open`]: a client that gives up after a timeout records nothing, and an answer that comes
/// later is still a fact.
#[derive(Clone, Debug)]
pub struct History<I, O> {
    operations: Vec<Operation<I, O>>,
    recorded: u64,
    latest_ns: u64,
}

/// One of the operations of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(usize);

/// One call and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<I, O> {
    /// Who called. It may have several operations under way.
    pub client: u32,
    /// What was asked for.
    pub input: I,
    /// When it was asked for.
    pub called: Moment,
    /// What became of it.
    pub end: End<O>,
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End<O> {
    /// It happened, between the call and this moment.
    Returned {
        /// When the client had the answer.
        at: Moment,
        /// The answer.
        output: O,
    },
    /// It may have happened, at any moment after the call; or will yet; or never.
    Open,
    /// It is certain that it never happened and never will: refused, or never sent.
    Never,
}

/// A place in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// How many moments were recorded before it: the order that counts.
    pub order: u64,
    /// Virtual time, for people.
    pub time_ns: u64,
}

impl<I, O> Default for History<I, O> {
    fn default() -> Self {
        Self { operations: Vec::new(), recorded: 0, latest_ns: 0 }
    }
}

impl<I, O> History<I, O> {
    /// A history in which nothing was called yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `client` asks for `input`.
    ///
    /// # Panics
    /// If `time_ns` is before what was recorded already: time does not go back.
    pub fn call(&mut self, client: u32, time_ns: u64, input: I) -> OperationId {
        let called = self.moment(time_ns);
        self.operations.push(Operation { client, input, called, end: End::Open });
        OperationId(self.operations.len() - 1)
    }

    /// The client has the answer to `operation`.
    ///
    /// # Panics
    /// If the operation has ended already, or if time goes back.
    pub fn answer(&mut self, operation: OperationId, time_ns: u64, output: O) {
        let at = self.moment(time_ns);
        self.end(operation, End::Returned { at, output });
    }

    /// `operation` surely had no effect and never will.
    ///
    /// # Panics
    /// If the operation has ended already.
    pub fn never(&mut self, operation: OperationId) {
        self.end(operation, End::Never);
    }

    /// All operations, with their names, in the order of their calls.
    pub fn iter(&self) -> impl Iterator<Item = (OperationId, &Operation<I, O>)> {
        self.operations.iter().enumerate().map(|(index, operation)| (OperationId(index), operation))
    }

    /// The operation that [`call`](Self::call) named so.
    ///
    /// # Panics
    /// If the name is from another history.
    #[must_use]
    pub fn operation(&self, id: OperationId) -> &Operation<I, O> {
        &self.operations[id.0]
    }

    fn moment(&mut self, time_ns: u64) -> Moment {
        assert!(time_ns >= self.latest_ns, "time goes back: {time_ns} after {}", self.latest_ns);
        self.latest_ns = time_ns;
        let order = self.recorded;
        self.recorded += 1;
        Moment { order, time_ns }
    }

    fn end(&mut self, id: OperationId, end: End<O>) {
        let operation = &mut self.operations[id.0];
        assert!(matches!(operation.end, End::Open), "operation {} ends twice", id.0);
        operation.end = end;
    }
}

impl<I, O> Operation<I, O> {
    /// When it returned, if it did.
    #[must_use]
    pub fn returned(&self) -> Option<Moment> {
        match self.end {
            End::Returned { at, .. } => Some(at),
            End::Open | End::Never => None,
        }
    }

    /// What it returned, if it did.
    #[must_use]
    pub fn output(&self) -> Option<&O> {
        match &self.end {
            End::Returned { output, .. } => Some(output),
            End::Open | End::Never => None,
        }
    }
}
