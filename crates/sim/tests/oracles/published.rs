//! Histories from the literature, with the verdicts that their authors give.

use dx_sim::history::History;
use dx_sim::linear::{
    Kv, KvInput, KvOutput, Lock, LockInput, LockOutput, Queue, QueueInput, QueueOutput, Register,
    RegisterInput, RegisterOutput, Specification, Verdict, check,
};

/// Client, moment of the call, input, moment of the answer, output.
type Row<I, O> = (u32, u64, I, u64, O);

/// Records operations by their times; at one time, calls come before answers.
pub fn history<I: Clone, O: Clone>(rows: &[Row<I, O>]) -> History<I, O> {
    let mut moments = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        moments.push((row.1, 0, index));
        moments.push((row.3, 1, index));
    }
    moments.sort_unstable();
    let mut history = History::new();
    let mut ids = vec![None; rows.len()];
    for (time, is_answer, index) in moments {
        let (client, _, input, _, output) = &rows[index];
        match is_answer {
            0 => ids[index] = Some(history.call(*client, time, input.clone())),
            _ => history.answer(ids[index].unwrap(), time, output.clone()),
        }
    }
    history
}

pub fn is_linearizable<S: Specification>(
    specification: &S,
    history: &History<S::Input, S::Output>,
) -> bool {
    match check(specification, history, 100_000) {
        Verdict::Linearizable(_) => true,
        Verdict::Violated(_) => false,
        Verdict::Undecided { keys } => panic!("undecided: {keys:?}"),
    }
}

/// The examples of porcupine's `TestRegisterModel` and `TestZeroDuration`, the former from MIT
/// 6.824's quiz 2 of 2017.
#[test]
fn porcupines_register_examples_have_their_verdicts() {
    use RegisterInput::{Read, Write};
    use RegisterOutput::{Value, Written};
    let examples = [
        (
            true,
            vec![
                (0, 0, Write(100), 100, Written),
                (1, 25, Read, 75, Value(100)),
                (2, 30, Read, 60, Value(0)),
            ],
        ),
        (
            false,
            vec![
                (0, 0, Write(200), 100, Written),
                (1, 10, Read, 30, Value(200)),
                (2, 40, Read, 90, Value(0)),
            ],
        ),
        (
            true,
            vec![
                (0, 0, Write(100), 100, Written),
                (1, 25, Read, 75, Value(100)),
                (2, 30, Read, 30, Value(0)),
                (3, 30, Read, 30, Value(0)),
            ],
        ),
        (
            false,
            vec![
                (0, 0, Write(200), 100, Written),
                (1, 10, Read, 10, Value(200)),
                (2, 10, Read, 10, Value(200)),
                (3, 40, Read, 90, Value(0)),
            ],
        ),
    ];
    for (expected, rows) in examples {
        let history = history(&rows);
        assert_eq!(is_linearizable(&Register { initial: 0 }, &history), expected, "{history:?}");
    }
}

/// Herlihy and Wing, TOPLAS 1990, figure 1: four histories of a queue, of two processes.
#[test]
fn herlihy_and_wings_queue_histories_have_their_verdicts() {
    use QueueInput::{Dequeue, Enqueue};
    use QueueOutput::{Dequeued, Enqueued};
    let (a, b) = (0, 1);
    let figures = [
        (
            "(a): both are enqueued at once, so either may be first",
            true,
            vec![
                (a, 0, Enqueue('x'), 4, Enqueued),
                (b, 1, Enqueue('y'), 3, Enqueued),
                (b, 5, Dequeue, 7, Dequeued(Some('x'))),
                (a, 6, Dequeue, 9, Dequeued(Some('y'))),
                (a, 10, Enqueue('z'), 11, Enqueued),
            ],
        ),
        (
            "(b): x was in before y was offered, and y came out first",
            false,
            vec![
                (a, 0, Enqueue('x'), 1, Enqueued),
                (b, 2, Enqueue('y'), 3, Enqueued),
                (a, 4, Dequeue, 5, Dequeued(Some('y'))),
            ],
        ),
        (
            "(c): x may be in before its enqueue has returned",
            true,
            vec![(a, 0, Enqueue('x'), 5, Enqueued), (b, 1, Dequeue, 3, Dequeued(Some('x')))],
        ),
        (
            "(d): y comes out twice",
            false,
            vec![
                (a, 0, Enqueue('x'), 3, Enqueued),
                (b, 1, Enqueue('y'), 2, Enqueued),
                (a, 4, Dequeue, 6, Dequeued(Some('y'))),
                (b, 5, Dequeue, 7, Dequeued(Some('y'))),
            ],
        ),
    ];
    for (figure, expected, rows) in figures {
        assert_eq!(is_linearizable(&Queue::new(), &history(&rows)), expected, "{figure}");
    }
}

/// The classes of porcupine's key-value examples: appends and reads of two clients.
#[test]
fn keys_are_judged_apart_and_an_append_is_seen_by_later_reads() {
    use KvInput::{Append, Cas, Get, Put};
    use KvOutput::{Done, Swapped, Value};
    let text = |text: &str| text.to_owned();
    let cas = |expected: Option<&str>, new: &str| Cas {
        key: 'k',
        expected: expected.map(text),
        new: text(new),
    };
    let examples = [
        (
            true,
            vec![
                (0, 0, Append('k', text("a")), 9, Done),
                (1, 1, Append('k', text("b")), 8, Done),
                (2, 10, Get('k'), 11, Value(Some(text("ba")))),
                (2, 12, Get('j'), 13, Value(None)),
                (0, 14, cas(Some("ba"), "c"), 20, Swapped(true)),
                (1, 15, cas(Some("ba"), "d"), 19, Swapped(false)),
                (2, 21, Get('k'), 22, Value(Some(text("c")))),
            ],
        ),
        (
            false,
            vec![
                (0, 0, Append('k', text("a")), 1, Done),
                (1, 2, Append('k', text("b")), 3, Done),
                (2, 4, Get('k'), 5, Value(Some(text("b")))),
            ],
        ),
        (
            false,
            vec![
                (0, 0, Put('j', text("a")), 1, Done),
                (0, 0, cas(None, "c"), 5, Swapped(true)),
                (1, 0, cas(None, "d"), 6, Swapped(true)),
            ],
        ),
    ];
    for (expected, rows) in examples {
        let history = history(&rows);
        assert_eq!(is_linearizable(&Kv::new(), &history), expected, "{history:?}");
    }
}

#[test]
fn a_lock_is_not_held_twice() {
    use LockInput::{Acquire, Release};
    use LockOutput::{Granted, Refused};
    let examples = [
        (
            true,
            vec![
                (1, 0, Acquire(1), 1, Granted),
                (2, 0, Acquire(2), 5, Granted),
                (1, 2, Release(1), 4, Granted),
            ],
        ),
        (
            false,
            vec![
                (1, 0, Acquire(1), 1, Granted),
                (2, 0, Acquire(2), 3, Granted),
                (1, 4, Release(1), 5, Granted),
            ],
        ),
        (false, vec![(1, 0, Acquire(1), 1, Granted), (2, 2, Release(2), 3, Granted)]),
        (
            true,
            vec![
                (1, 0, Acquire(1), 1, Granted),
                (2, 2, Release(2), 3, Refused),
                (2, 4, Acquire(2), 5, Refused),
            ],
        ),
        (false, vec![(2, 4, Acquire(2), 5, Refused)]),
    ];
    for (expected, rows) in examples {
        let history = history(&rows);
        assert_eq!(is_linearizable(&Lock, &history), expected, "{history:?}");
    }
}
