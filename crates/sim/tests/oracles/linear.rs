//! The checker against brute force and against stateright's, on random small histories.

use std::fmt::Debug;

use dx_sim::history::{End, History, Operation, OperationId};
use dx_sim::linear::{
    Kv, KvInput, KvOutput, Lock, LockInput, LockOutput, Queue, QueueInput, QueueOutput, Register,
    RegisterInput, RegisterOutput, Specification, Verdict, check,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// A random history: which client goes on next, what it asks for, and what it is answered: what is
/// right now, what was right when it asked, or something else.
#[derive(Clone, Debug)]
struct Turn<I, O> {
    client: u32,
    input: I,
    how: How<O>,
}

#[derive(Clone, Debug)]
enum How<O> {
    RightNow,
    RightAtTheCall,
    Other(O),
    GiveUp,
}

const CLIENTS: u32 = 3;

fn turns<I: Debug + Clone + 'static, O: Debug + Clone + 'static>(
    input: impl Strategy<Value = I> + 'static,
    output: impl Strategy<Value = O> + 'static,
) -> impl Strategy<Value = Vec<Turn<I, O>>> {
    let how = prop_oneof![
        6 => Just(How::RightNow),
        6 => Just(How::RightAtTheCall),
        2 => output.prop_map(How::Other),
        2 => Just(How::GiveUp),
    ];
    let turn =
        (0..CLIENTS, input, how).prop_map(|(client, input, how)| Turn { client, input, how });
    prop::collection::vec(turn, 0..13)
}

/// Plays turns against one copy. A client that gave up calls under another name, as stateright's
/// tester wants it.
fn play<S: Specification>(
    specification: &S,
    turns: Vec<Turn<S::Input, S::Output>>,
) -> History<S::Input, S::Output>
where
    S::Input: Clone,
    S::Output: Clone,
{
    let mut history = History::new();
    let mut state = specification.initial();
    let mut names: Vec<u32> = (0..CLIENTS).collect();
    let mut under_way = vec![None; CLIENTS as usize];
    for (time, turn) in (0..).zip(turns) {
        let client = turn.client as usize;
        match under_way[client].take() {
            None => {
                let call = history.call(names[client], time, turn.input.clone());
                let (after, output) = specification.step(&state, &turn.input);
                if matches!(turn.how, How::RightAtTheCall) {
                    state = after;
                }
                under_way[client] = Some((call, turn.input, output));
            }
            Some((call, input, at_call)) => match turn.how {
                How::RightNow => {
                    let (after, output) = specification.step(&state, &input);
                    state = after;
                    history.answer(call, time, output);
                }
                How::RightAtTheCall => history.answer(call, time, at_call),
                How::Other(output) => history.answer(call, time, output),
                How::GiveUp => names[client] += CLIENTS,
            },
        }
    }
    history
}

/// Every order of every subset that holds all answered operations.
fn has_an_order<S: Specification>(
    specification: &S,
    state: &S::State,
    left: &[&Operation<S::Input, S::Output>],
) -> bool {
    if left.iter().all(|operation| operation.end == End::Open) {
        return true;
    }
    let first_answer = left.iter().filter_map(|operation| operation.returned()).min();
    (0..left.len()).filter(|&next| Some(left[next].called) < first_answer).any(|next| {
        let (after, output) = specification.step(state, &left[next].input);
        let mut rest = left.to_vec();
        rest.remove(next);
        left[next].output().is_none_or(|seen| *seen == output)
            && has_an_order(specification, &after, &rest)
    })
}

/// One of our specifications, as stateright wants it.
#[derive(Clone, Debug)]
struct Single<S: Specification>(S, S::State);

impl<S> SequentialSpec for Single<S>
where
    S: Specification + Clone,
    S::Input: Clone,
    S::Output: Clone,
{
    type Op = S::Input;
    type Ret = S::Output;

    fn invoke(&mut self, op: &S::Input) -> S::Output {
        let (after, output) = self.0.step(&self.1, op);
        self.1 = after;
        output
    }
}

fn stateright_agrees_that<S>(specification: &S, history: &History<S::Input, S::Output>) -> bool
where
    S: Specification + Clone,
    S::Input: Clone + PartialEq,
    S::Output: Clone,
{
    let mut tester =
        LinearizabilityTester::new(Single(specification.clone(), specification.initial()));
    let mut moments = Vec::new();
    for (_, operation) in history.iter() {
        moments.push((operation.called, operation, false));
        moments.extend(operation.returned().map(|at| (at, operation, true)));
    }
    moments.sort_by_key(|(moment, ..)| *moment);
    for (_, operation, is_answer) in moments {
        match operation.output().filter(|_| is_answer) {
            Some(output) => tester.on_return(operation.client, output.clone()).unwrap(),
            None => tester.on_invoke(operation.client, operation.input.clone()).unwrap(),
        };
    }
    tester.is_consistent()
}

/// The order that was found is one: it holds each answered operation once, keeps to the clock, and
/// one copy answers so.
fn assert_is_order<S: Specification>(
    specification: &S,
    history: &History<S::Input, S::Output>,
    order: &[OperationId],
) {
    let mut state = specification.initial();
    let mut latest_call = None;
    for id in order {
        let operation = history.operation(*id);
        assert!(operation.returned().is_none_or(|at| latest_call.is_none_or(|call| call < at)));
        latest_call = latest_call.max(Some(operation.called));
        let (after, output) = specification.step(&state, &operation.input);
        assert!(operation.output().is_none_or(|seen| *seen == output), "{order:?}");
        state = after;
    }
    let mut distinct = order.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), order.len());
    let answered = history.iter().filter(|(_, operation)| operation.returned().is_some());
    assert!(answered.into_iter().all(|(id, _)| order.contains(&id)));
}

/// Our verdict on a history of one key, after checking it against the others'.
fn judge<S>(specification: &S, history: &History<S::Input, S::Output>) -> bool
where
    S: Specification + Clone,
    S::Input: Clone + PartialEq,
    S::Output: Clone,
{
    let operations: Vec<_> = history.iter().map(|(_, operation)| operation).collect();
    let expected = has_an_order(specification, &specification.initial(), &operations);
    assert_eq!(stateright_agrees_that(specification, history), expected, "stateright");
    match check(specification, history, 1_000_000) {
        Verdict::Linearizable(orders) => {
            assert!(expected, "there is no order, but one was found");
            for order in orders {
                assert_is_order(specification, history, &order);
            }
        }
        Verdict::Violated(why) => {
            assert!(!expected, "there is an order, but none was found:\n{why}");
            assert_is_the_first_wrong_answer(specification, history, why.culprit);
        }
        Verdict::Undecided { .. } => panic!("undecided"),
    }
    expected
}

/// Up to the culprit's answer there is no order; up to just before it there is.
fn assert_is_the_first_wrong_answer<S: Specification>(
    specification: &S,
    history: &History<S::Input, S::Output>,
    culprit: OperationId,
) where
    S::Input: Clone,
    S::Output: Clone,
{
    let until = history.operation(culprit).returned().unwrap();
    let cut = |includes_it: bool| -> Vec<Operation<S::Input, S::Output>> {
        let called = history.iter().filter(|(_, operation)| operation.called < until);
        let cut = called.map(|(_, operation)| {
            let is_answered =
                operation.returned().is_some_and(|at| at < until || includes_it && at == until);
            let end = if is_answered { operation.end.clone() } else { End::Open };
            let (client, called) = (operation.client, operation.called);
            Operation { client, input: operation.input.clone(), called, end }
        });
        cut.collect()
    };
    for includes_it in [false, true] {
        let operations = cut(includes_it);
        let operations: Vec<_> = operations.iter().collect();
        let has = has_an_order(specification, &specification.initial(), &operations);
        assert_eq!(has, !includes_it);
    }
}

fn registers() -> impl Strategy<Value = Vec<Turn<RegisterInput<u8>, RegisterOutput<u8>>>> {
    let input = prop_oneof![Just(RegisterInput::Read), (0_u8..3).prop_map(RegisterInput::Write)];
    let value = (0_u8..3).prop_map(RegisterOutput::Value);
    turns(input, prop_oneof![Just(RegisterOutput::Written), value])
}

fn maps() -> impl Strategy<Value = Vec<Turn<KvInput<()>, KvOutput>>> {
    let text = || prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
    let input = prop_oneof![
        2 => Just(KvInput::Get(())),
        1 => text().prop_map(|text| KvInput::Put((), text)),
        2 => text().prop_map(|text| KvInput::Append((), text)),
        2 => (prop::option::of(text()), text())
            .prop_map(|(expected, new)| KvInput::Cas { key: (), expected, new }),
    ];
    let output = prop_oneof![
        prop::option::of(text()).prop_map(KvOutput::Value),
        any::<bool>().prop_map(KvOutput::Swapped),
    ];
    turns(input, output)
}

fn queues() -> impl Strategy<Value = Vec<Turn<QueueInput<u8>, QueueOutput<u8>>>> {
    let input = prop_oneof![Just(QueueInput::Dequeue), (0_u8..3).prop_map(QueueInput::Enqueue)];
    turns(input, prop::option::of(0_u8..3).prop_map(QueueOutput::Dequeued))
}

fn locks() -> impl Strategy<Value = Vec<Turn<LockInput, LockOutput>>> {
    let input = (any::<bool>(), 0_u32..2).prop_map(|(is_acquire, who)| {
        if is_acquire { LockInput::Acquire(who) } else { LockInput::Release(who) }
    });
    turns(input, prop_oneof![Just(LockOutput::Granted), Just(LockOutput::Refused)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn registers_are_judged_as_by_brute_force_and_by_stateright(turns in registers()) {
        let register = Register { initial: 0 };
        judge(&register, &play(&register, turns));
    }

    #[test]
    fn maps_are_judged_as_by_brute_force_and_by_stateright(turns in maps()) {
        judge(&Kv::new(), &play(&Kv::new(), turns));
    }

    #[test]
    fn queues_are_judged_as_by_brute_force_and_by_stateright(turns in queues()) {
        judge(&Queue::new(), &play(&Queue::new(), turns));
    }

    #[test]
    fn locks_are_judged_as_by_brute_force_and_by_stateright(turns in locks()) {
        judge(&Lock, &play(&Lock, turns));
    }
}

/// Two keys as one object, so that nothing is taken apart.
#[derive(Clone, Debug)]
struct Whole;

impl Specification for Whole {
    type State = [Option<String>; 2];
    type Input = KvInput<usize>;
    type Output = KvOutput;
    type Key = ();

    fn initial(&self) -> Self::State {
        Self::State::default()
    }

    fn key(&self, _: &Self::Input) {}

    fn step(&self, state: &Self::State, input: &Self::Input) -> (Self::State, KvOutput) {
        let kv = Kv::new();
        let (mut after, key) = (state.clone(), kv.key(input));
        let (value, output) = kv.step(&state[key], input);
        after[key] = value;
        (after, output)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn keys_apart_are_judged_as_all_together(
        turns in turns(
            (0_usize..2, 0_u8..3).prop_map(|(key, what)| match what {
                0 => KvInput::Get(key),
                1 => KvInput::Put(key, "a".to_owned()),
                _ => KvInput::Append(key, "b".to_owned()),
            }),
            prop::option::of(Just("a".to_owned())).prop_map(KvOutput::Value),
        )
    ) {
        let history = play(&Whole, turns);
        let expected = judge(&Whole, &history);
        let verdict = check(&Kv::new(), &history, 1_000_000);
        prop_assert_eq!(matches!(verdict, Verdict::Linearizable(_)), expected);
    }
}

/// Else the comparisons above would say nothing.
#[test]
fn random_histories_are_of_both_sorts() {
    fn wrong<S, T>(specification: &S, strategy: &T) -> usize
    where
        S: Specification + Clone,
        S::Input: Clone + PartialEq,
        S::Output: Clone,
        T: Strategy<Value = Vec<Turn<S::Input, S::Output>>>,
    {
        let mut runner = TestRunner::deterministic();
        let turns = (0..500).map(|_| strategy.new_tree(&mut runner).unwrap().current());
        turns.filter(|turns| !judge(specification, &play(specification, turns.clone()))).count()
    }
    let wrong = [
        wrong(&Register { initial: 0 }, &registers()),
        wrong(&Kv::new(), &maps()),
        wrong(&Queue::new(), &queues()),
        wrong(&Lock, &locks()),
    ];
    assert!(wrong.iter().all(|wrong| (50..450).contains(wrong)), "{wrong:?} of 500");
}
