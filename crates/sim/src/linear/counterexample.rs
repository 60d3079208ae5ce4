//! Why there is no order, for people.

use std::cmp::Reverse;
use std::fmt::{self, Debug};

use super::search::{Ending, Furthest, Search};
use super::{Problem, Specification};
use crate::history::{Operation, OperationId};

/// A key whose operations have no order, and what shows it: the shortest beginning of the history
/// that has none. It ends with an answer; without that answer there would be an order.
///
/// `Display` draws it: the operations, as intervals in the order of their calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The key, as `Debug` shows it.
    pub key: String,
    /// The operation with the answer that cannot be.
    pub culprit: OperationId,
    /// The longest beginning of an order that was found.
    pub order: Vec<OperationId>,
    /// The state after it, as `Debug` shows it.
    pub state: String,
    /// What could come next, by the clock, and does not fit. An operation that is open, or that
    /// would fit but leads no further, is not among them.
    pub stuck: Vec<Stuck>,
    rows: Vec<Row>,
    hidden: usize,
}

/// An operation that cannot come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Which.
    pub operation: OperationId,
    /// Who called.
    pub client: u32,
    /// What was asked for, as `Debug` shows it.
    pub input: String,
    /// What it was answered, as `Debug` shows it.
    pub seen: String,
    /// What it should have been answered.
    pub expected: String,
}

/// A line of the drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    client: u32,
    operation: OperationId,
    /// When it was called, for people.
    time_ns: u64,
    /// Orders of its moments; no answer if it is open.
    called: u64,
    returned: Option<u64>,
    place: Option<usize>,
    text: String,
}

impl<S: Specification> Problem<'_, S> {
    pub(super) fn explain(&self, key: &S::Key) -> Counterexample {
        let until = self.shortest();
        let furthest = self.search(until).furthest(self.steps_per_key);
        let operations = || self.operations.iter().map(|id| (*id, self.history.operation(*id)));
        let (culprit, last) = operations()
            .filter(|(_, operation)| answered_by(operation, until))
            .max_by_key(|(_, operation)| operation.returned())
            .expect("without any answer the empty order does");
        let mut rows: Vec<Row> = operations()
            .filter(|(_, operation)| operation.called.order <= until)
            .map(|(id, operation)| row(id, operation, until, &furthest.order))
            .collect();
        let hidden = hide(&mut rows, last.called.order, culprit);
        Counterexample {
            key: format!("{key:?}"),
            culprit,
            stuck: self.stuck(&furthest, until),
            state: format!("{:?}", furthest.state),
            order: furthest.order,
            rows,
            hidden,
        }
    }

    /// The shortest beginning without an order, by bisection: what has an order, each beginning of
    /// it has one too.
    fn shortest(&self) -> u64 {
        let returned = |id: &OperationId| self.history.operation(*id).returned();
        let mut answers: Vec<u64> =
            self.operations.iter().filter_map(returned).map(|at| at.order).collect();
        answers.sort_unstable();
        let (mut low, mut high) = (0, answers.len() - 1);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.search(answers[middle]).run(self.steps_per_key) {
                Ending::Stuck => high = middle,
                // An undecided beginning is skipped: what is shown is longer than need be, no more.
                Ending::Ordered(_) | Ending::Exhausted => low = middle + 1,
            }
        }
        answers[high]
    }

    fn search(&self, until: u64) -> Search<'_, S> {
        Search::new(self.specification, self.history, self.operations, until)
    }

    fn stuck(&self, furthest: &Furthest<S::State>, until: u64) -> Vec<Stuck> {
        let answered = furthest.next.iter().filter_map(|&id| {
            let operation = self.history.operation(id);
            let seen = operation.output().filter(|_| answered_by(operation, until))?;
            let (_, expected) = self.specification.step(&furthest.state, &operation.input);
            (*seen != expected).then(|| Stuck {
                operation: id,
                client: operation.client,
                input: format!("{:?}", operation.input),
                seen: format!("{seen:?}"),
                expected: format!("{expected:?}"),
            })
        });
        answered.collect()
    }
}

fn answered_by<I, O>(operation: &Operation<I, O>, until: u64) -> bool {
    operation.returned().is_some_and(|at| at.order <= until)
}

fn row<I: Debug, O: Debug>(
    id: OperationId,
    operation: &Operation<I, O>,
    until: u64,
    order: &[OperationId],
) -> Row {
    let returned = operation.returned().filter(|at| at.order <= until);
    let input = &operation.input;
    let text = match operation.output().filter(|_| returned.is_some()) {
        Some(output) => format!("{input:?} -> {output:?}"),
        None => format!("{input:?} -> ?"),
    };
    Row {
        client: operation.client,
        operation: id,
        time_ns: operation.called.time_ns,
        called: operation.called.order,
        returned: returned.map(|at| at.order),
        place: order.iter().position(|ordered| *ordered == id),
        text,
    }
}

/// Keeps what is under way at `since` or later, and what was put in order last before that, up to
/// [`MAX_ROWS`]; gives how many it hides.
fn hide(rows: &mut Vec<Row>, since: u64, culprit: OperationId) -> usize {
    let all = rows.len();
    rows.sort_by_key(|row| {
        let is_under_way = row.returned.is_none_or(|returned| returned >= since);
        Reverse((row.operation == culprit, is_under_way, row.place))
    });
    rows.truncate(MAX_ROWS);
    rows.sort_by_key(|row| row.called);
    all - rows.len()
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, order, state, stuck, rows, hidden, culprit } = self;
        writeln!(f, "not linearizable: no order of the operations on {key} explains the answers")?;
        if *hidden > 0 {
            writeln!(f, "  ({hidden} earlier operations are not shown)")?;
        }
        self.draw(f)?;
        match order.len() {
            0 => writeln!(f, "no operation fits as the first one; the state is {state}")?,
            last => writeln!(
                f,
                "#1 to #{last}: the longest order that fits; then the state is {state}"
            )?,
        }
        for Stuck { client, input, seen, expected, .. } in stuck {
            writeln!(f, "  next, {input} of client {client} would be {expected}, not {seen}")?;
        }
        let text = rows.iter().find(|row| row.operation == *culprit).map(|row| row.text.as_str());
        write!(f, "without the last answer, {}, there would be an order", text.unwrap_or("?"))
    }
}

impl Counterexample {
    /// One line for each operation, one column for each moment, `#n` where it stands in the order.
    fn draw(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut moments: Vec<u64> = self.rows.iter().map(|row| row.called).collect();
        moments.extend(self.rows.iter().filter_map(|row| row.returned));
        moments.sort_unstable();
        let column = |order: u64| moments.partition_point(|moment| *moment < order) * COLUMN;
        let width = moments.len() * COLUMN;
        let latest = self.rows.iter().map(|row| row.time_ns).max().unwrap_or(0);
        let digits = latest.to_string().len();
        for row in &self.rows {
            let start = column(row.called);
            let (end, close) = row.returned.map_or((width, '~'), |at| (column(at), ']'));
            let bar = format!("{}[{}{close}", " ".repeat(start), "-".repeat(end - start - 1));
            let place = row.place.map_or(String::new(), |place| format!("#{}", place + 1));
            let mark = if row.operation == self.culprit { "  <-- the last answer" } else { "" };
            let Row { client, text, time_ns, .. } = row;
            writeln!(
                f,
                "  {time_ns:>digits$} ns  client {client:<3} {bar:<size$} {place:<5} {text}{mark}",
                size = width + 1
            )?;
        }
        Ok(())
    }
}

/// How many operations a drawing shows: about half of a terminal's height.
const MAX_ROWS: usize = 16;

/// Characters for one moment.
const COLUMN: usize = 2;
