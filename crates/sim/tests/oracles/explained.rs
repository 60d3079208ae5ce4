//! What a check says beside yes and no.

use dx_sim::history::History;
use dx_sim::linear::{
    Kv, KvInput, KvOutput, Register, RegisterInput, RegisterOutput, Specification, Verdict, check,
};

use crate::published::is_linearizable;

const REGISTER: Register<u32> = Register { initial: 0 };

#[test]
fn an_open_write_may_have_happened_at_any_time_or_never() {
    for seen in [[0, 0, 0], [0, 0, 7], [0, 7, 7], [7, 7, 7]] {
        let mut history = History::new();
        history.call(0, 0, RegisterInput::Write(7));
        for (at, value) in (1..).zip(seen) {
            let read = history.call(1, at, RegisterInput::Read);
            history.answer(read, at, RegisterOutput::Value(value));
        }
        assert!(is_linearizable(&REGISTER, &history), "{seen:?}");
    }
}

#[test]
fn an_open_write_happens_once_and_not_before_its_call() {
    for (seen, called_after) in [([7, 0, 0], 0), ([0, 7, 0], 0), ([7, 7, 7], 1)] {
        let mut history = History::new();
        for (index, value) in seen.into_iter().enumerate() {
            if index == called_after {
                history.call(0, 0, RegisterInput::Write(7));
            }
            let read = history.call(1, 0, RegisterInput::Read);
            history.answer(read, 0, RegisterOutput::Value(value));
        }
        assert!(!is_linearizable(&REGISTER, &history), "{seen:?}");
    }
}

#[test]
fn what_never_happened_explains_nothing() {
    let mut history = History::new();
    let write = history.call(0, 0, RegisterInput::Write(7));
    history.never(write);
    let read = history.call(1, 1, RegisterInput::Read);
    history.answer(read, 2, RegisterOutput::Value(7));
    assert!(!is_linearizable(&REGISTER, &history));
}

#[test]
fn one_instant_has_an_order_too() {
    let mut history = History::new();
    let write = history.call(0, 5, RegisterInput::Write(7));
    history.answer(write, 5, RegisterOutput::Written);
    let read = history.call(0, 5, RegisterInput::Read);
    history.answer(read, 5, RegisterOutput::Value(0));
    assert!(!is_linearizable(&REGISTER, &history));
}

/// Many writes at once, and a read of what none of them wrote: every order has to be tried.
fn hard(writers: u32) -> History<KvInput<u8>, KvOutput> {
    let mut history = History::new();
    let appends: Vec<_> = (0..writers)
        .map(|client| history.call(client, 0, KvInput::Append(1, client.to_string())))
        .collect();
    for append in appends {
        history.answer(append, 1, KvOutput::Done);
    }
    let read = history.call(writers, 2, KvInput::Get(1));
    history.answer(read, 3, KvOutput::Value(Some("none".to_owned())));
    history
}

#[test]
fn a_search_beyond_its_budget_is_undecided() {
    let verdict = check(&Kv::new(), &hard(12), 10_000);
    assert_eq!(verdict, Verdict::Undecided { keys: vec!["1".to_owned()] });
    assert!(!is_linearizable(&Kv::new(), &hard(4)));
}

#[test]
fn a_write_of_what_is_there_may_have_to_come_later() {
    let mut history = History::new();
    let first = history.call(1, 0, RegisterInput::Write(0));
    let other = history.call(2, 1, RegisterInput::Write(5));
    history.answer(other, 2, RegisterOutput::Written);
    let read = history.call(2, 3, RegisterInput::Read);
    history.answer(read, 4, RegisterOutput::Value(0));
    history.answer(first, 5, RegisterOutput::Written);
    assert!(is_linearizable(&REGISTER, &history));
}

#[test]
#[should_panic(expected = "only reads, and it changes the state")]
fn a_specification_whose_reads_write_is_told() {
    struct Wrong;
    impl Specification for Wrong {
        type State = u32;
        type Input = ();
        type Output = u32;
        type Key = ();

        fn initial(&self) -> u32 {
            0
        }

        fn key(&self, (): &()) {}

        fn step(&self, state: &u32, (): &()) -> (u32, u32) {
            (state + 1, *state)
        }

        fn is_read(&self, (): &()) -> bool {
            true
        }
    }
    let mut history = History::new();
    let call = history.call(0, 0, ());
    history.answer(call, 0, 0);
    let _ = check(&Wrong, &history, 10);
}

/// Else 2^40 sets of them would be tried.
#[test]
fn equal_open_operations_are_tried_in_one_order_only() {
    let mut history = History::new();
    for client in 0..40 {
        history.call(client, 0, KvInput::Append(1, "x".to_owned()));
    }
    for (text, is_right) in [("xxx", true), ("xxxxx", true), ("y", false)] {
        let read = history.call(99, 1, KvInput::Get(1));
        history.answer(read, 1, KvOutput::Value(Some(text.to_owned())));
        assert_eq!(is_linearizable(&Kv::new(), &history), is_right, "{text}");
    }
}

/// Clients that time out all the time, on one key: what is open stays so to the end.
#[test]
fn many_open_operations_cost_little_where_answers_tell_what_happened() {
    let mut history = History::new();
    for value in 0..2000_u32 {
        history.call(0, 0, RegisterInput::Write(value));
        if value % 3 != 0 {
            let read = history.call(1, 0, RegisterInput::Read);
            history.answer(read, 0, RegisterOutput::Value(value));
        }
    }
    let verdict = check(&REGISTER, &history, 10_000_000);
    assert!(matches!(verdict, Verdict::Linearizable(_)), "{verdict:?}");
}

#[test]
fn a_violation_outweighs_what_is_undecided() {
    let mut history = hard(12);
    let read = history.call(0, 9, KvInput::Get(2));
    history.answer(read, 9, KvOutput::Value(Some("never written".to_owned())));
    let Verdict::Violated(why) = check(&Kv::new(), &history, 10_000) else {
        panic!("no violation")
    };
    assert_eq!(why.key, "2");
}

#[test]
fn an_empty_history_is_linearizable() {
    assert_eq!(check(&REGISTER, &History::new(), 0), Verdict::Linearizable(vec![]));
}

/// A drawing changes on purpose only.
#[test]
fn a_counterexample_is_drawn_up_to_the_answer_that_cannot_be() {
    let mut history = History::new();
    let write = |value: u32| KvInput::Put("seat", value.to_string());
    let first = history.call(0, 10, write(1));
    let second = history.call(1, 20, write(2));
    history.answer(first, 30, KvOutput::Done);
    history.call(3, 35, KvInput::Append("seat", "!".to_owned()));
    let read = history.call(2, 40, KvInput::Get("seat"));
    history.answer(second, 50, KvOutput::Done);
    history.answer(read, 60, KvOutput::Value(Some("2".to_owned())));
    let stale = history.call(2, 70, KvInput::Get("seat"));
    let other = history.call(0, 75, KvInput::Get("row"));
    history.answer(other, 76, KvOutput::Value(None));
    history.answer(stale, 80, KvOutput::Value(Some("1".to_owned())));
    let later = history.call(0, 90, KvInput::Get("seat"));
    history.answer(later, 95, KvOutput::Value(Some("2".to_owned())));

    let Verdict::Violated(why) = check(&Kv::new(), &history, 10_000) else {
        panic!("no violation")
    };
    assert_eq!(why.culprit, stale);
    assert_eq!(why.order, [first, second, read]);
    assert_eq!(why.to_string(), DRAWING.trim_matches('\n'));
}

const DRAWING: &str = r#"
not linearizable: no order of the operations on "seat" explains the answers
  10 ns  client 0   [---]               #1    Put("seat", "1") -> Done
  20 ns  client 1     [-------]         #2    Put("seat", "2") -> Done
  35 ns  client 3         [-----------~       Append("seat", "!") -> ?
  40 ns  client 2           [---]       #3    Get("seat") -> Value(Some("2"))
  70 ns  client 2                 [-]         Get("seat") -> Value(Some("1"))  <-- the last answer
#1 to #3: the longest order that fits; then the state is Some("2")
  next, Get("seat") of client 2 would be Value(Some("2")), not Value(Some("1"))
without the last answer, Get("seat") -> Value(Some("1")), there would be an order
"#;

#[test]
fn a_long_history_is_drawn_from_its_end() {
    let mut history = History::new();
    for at in 0..1000 {
        let write = history.call(0, at, RegisterInput::Write(1));
        history.answer(write, at, RegisterOutput::Written);
    }
    let read = history.call(1, 1000, RegisterInput::Read);
    history.answer(read, 1000, RegisterOutput::Value(0));
    let Verdict::Violated(why) = check(&REGISTER, &history, 100_000) else {
        panic!("no violation")
    };
    let text = why.to_string();
    assert!(text.lines().count() < 25, "{text}");
    assert!(text.contains("985 earlier operations are not shown"), "{text}");
    assert!(text.contains("Read of client 1 would be Value(1), not Value(0)"), "{text}");
}
