//! The search for an order, depth first, with a memory of what led nowhere.

use std::cmp::Reverse;

use rustc_hash::FxHashSet;

use super::Specification;
use super::done::{Done, Number};
use crate::history::{History, Operation, OperationId};

/// The operations on one key. Those with an answer are a list in the order of time, in which each
/// call and each answer is a place. What was put in order is taken out of it; so what may come next
/// is always what is called before the first answer that is left.
///
/// Open operations are tried last, where nothing else fits: an answer that needs one is found stuck
/// right there, while one that is put too early would be found out much later.
pub(super) struct Search<'a, S: Specification> {
    specification: &'a S,
    calls: Vec<Call<'a, S>>,
    /// By place; [`HEAD`] is before the first and after the last.
    places: Vec<Place>,
    /// The calls without an answer, by their number.
    open: Vec<usize>,
    done: Done,
    answered: usize,
    state: S::State,
    /// What was put in order, with the state before it.
    order: Vec<(usize, S::State)>,
    /// Configurations that were tried: all of them led nowhere, or lead to where we are.
    tried: FxHashSet<(Box<[u64]>, S::State)>,
    /// The longest beginning of an order, if it is to be shown. It is costly to remember.
    furthest: Option<Furthest<S::State>>,
}

struct Call<'a, S: Specification> {
    id: OperationId,
    operation: &'a Operation<S::Input, S::Output>,
    /// The answer, if it is within the part of the history that counts.
    output: Option<&'a S::Output>,
    number: Number,
    /// Where it stands in the list, if it has an answer.
    span: Option<Span>,
    /// The latest open operation before it, if it is open, that asks for the same. As it can come
    /// wherever this one can, it shall come first; else all their orders would be tried.
    twin: Option<Number>,
}

#[derive(Clone, Copy)]
struct Span {
    called: usize,
    returned: usize,
}

#[derive(Clone, Copy)]
struct Place {
    previous: usize,
    next: usize,
    moment: u64,
    /// The operation that is called here; none where one is answered.
    call: Option<usize>,
}

/// What is to be tried next.
#[derive(Clone, Copy)]
enum Candidate {
    /// At this place, or after it.
    Listed(usize),
    /// The open operation with this number or a later one, if it was called before this moment.
    Open { number: usize, until: u64 },
}

/// How a search ended.
pub(super) enum Ending {
    /// With an order.
    Ordered(Vec<OperationId>),
    /// There is no order.
    Stuck,
    /// The budget was used up.
    Exhausted,
}

/// The longest beginning of an order that was found, what the state was after it, and the
/// operations that could come next and do not fit.
pub(super) struct Furthest<T> {
    pub(super) order: Vec<OperationId>,
    pub(super) state: T,
    pub(super) next: Vec<OperationId>,
    answered: usize,
}

impl<'a, S: Specification> Search<'a, S> {
    /// Of `operations` (in the order of their calls), what was recorded up to `until`: later
    /// answers did not come yet.
    pub(super) fn new(
        specification: &'a S,
        history: &'a History<S::Input, S::Output>,
        operations: &[OperationId],
        until: u64,
    ) -> Self {
        let mut calls: Vec<Call<'a, S>> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut answered = 0;
        for &id in operations {
            let operation = history.operation(id);
            if operation.called.order > until {
                break;
            }
            let is_answered = operation.returned().is_some_and(|at| at.order <= until);
            let mut call = Call {
                id,
                operation,
                output: None,
                number: Number::Open(open.len()),
                span: None,
                twin: None,
            };
            if is_answered {
                (call.number, call.output) = (Number::Answered(answered), operation.output());
                answered += 1;
            } else {
                let asks_same = |other: &&usize| calls[**other].operation.input == operation.input;
                call.twin = open.iter().rev().find(asks_same).map(|other| calls[*other].number);
                open.push(calls.len());
            }
            calls.push(call);
        }
        let state = specification.initial();
        Self {
            specification,
            places: places(&mut calls),
            calls,
            done: Done::new(answered, open.len()),
            open,
            answered,
            furthest: None,
            state,
            order: Vec::new(),
            tried: FxHashSet::default(),
        }
    }

    pub(super) fn run(mut self, budget: u64) -> Ending {
        self.search(budget)
    }

    /// The longest beginning of an order that [`run`](Self::run) finds.
    pub(super) fn furthest(mut self, budget: u64) -> Furthest<S::State> {
        self.furthest =
            Some(Furthest { order: vec![], state: self.state.clone(), next: vec![], answered: 0 });
        self.search(budget);
        self.furthest.expect("set above")
    }

    fn search(&mut self, budget: u64) -> Ending {
        let mut steps = 0;
        let mut candidate = self.first();
        while self.done.count() < self.answered {
            if let Some((call, after)) = self.next(candidate) {
                if steps == budget {
                    return Ending::Exhausted;
                }
                steps += 1;
                candidate = match self.fits(call) {
                    Some(state) => {
                        self.put(call, state);
                        self.first()
                    }
                    None => after,
                };
            } else {
                self.remember_furthest();
                match self.take_back() {
                    Some(next) => candidate = next,
                    None => return Ending::Stuck,
                }
            }
        }
        Ending::Ordered(self.order.iter().map(|(call, _)| self.calls[*call].id).collect())
    }

    fn first(&self) -> Candidate {
        Candidate::Listed(self.places[HEAD].next)
    }

    /// The operation that is to be tried, and what is to be tried after it.
    fn next(&self, candidate: Candidate) -> Option<(usize, Candidate)> {
        let (first, until) = match candidate {
            Candidate::Open { number, until } => (number, until),
            Candidate::Listed(place) => match self.places[place] {
                Place { call: Some(call), next, .. } => {
                    return Some((call, Candidate::Listed(next)));
                }
                Place { moment, .. } => (0, moment),
            },
        };
        let number = (first..self.open.len()).find(|number| {
            let twin = self.calls[self.open[*number]].twin;
            !self.done.contains(Number::Open(*number))
                && twin.is_none_or(|twin| self.done.contains(twin))
        })?;
        let call = self.open[number];
        let is_called = self.calls[call].operation.called.order < until;
        is_called.then_some((call, Candidate::Open { number: number + 1, until }))
    }

    /// The state after `call`, if it may come next and this was not tried before.
    fn fits(&mut self, call: usize) -> Option<S::State> {
        let Call { operation, output, number, .. } = self.calls[call];
        let (after, answer) = self.specification.step(&self.state, &operation.input);
        assert!(
            after == self.state || !self.specification.is_read(&operation.input),
            "the specification says that {:?} only reads, and it changes the state",
            operation.input
        );
        let is_right = match output {
            Some(output) => *output == answer,
            None => after != self.state,
        };
        if !is_right {
            return None;
        }
        self.done.insert(number);
        let is_new = self.tried.insert((self.done.image(), after.clone()));
        self.done.remove(number);
        is_new.then_some(after)
    }

    /// Puts `call` next.
    fn put(&mut self, call: usize, after: S::State) {
        let before = std::mem::replace(&mut self.state, after);
        self.order.push((call, before));
        let Call { number, span, .. } = self.calls[call];
        self.done.insert(number);
        if let Some(Span { called, returned }) = span {
            self.unlink(called);
            self.unlink(returned);
        }
    }

    /// Undoes what was put last, and gives what was not tried instead of it.
    ///
    /// There is no use in trying anything instead of an operation that only reads: in every order in
    /// which it comes later it may as well come here.
    fn take_back(&mut self) -> Option<Candidate> {
        loop {
            let (call, before) = self.order.pop()?;
            self.state = before;
            let Call { number, span, operation, .. } = self.calls[call];
            self.done.remove(number);
            let instead = if let Some(Span { called, returned }) = span {
                self.relink(returned);
                self.relink(called);
                Candidate::Listed(self.places[called].next)
            } else {
                let later = self.open.partition_point(|open| *open <= call);
                Candidate::Open { number: later, until: self.first_answer() }
            };
            if !self.specification.is_read(&operation.input) {
                return Some(instead);
            }
        }
    }

    /// The moment of the first answer that is left.
    fn first_answer(&self) -> u64 {
        let mut place = self.places[HEAD].next;
        while self.places[place].call.is_some() {
            place = self.places[place].next;
        }
        self.places[place].moment
    }

    fn unlink(&mut self, place: usize) {
        let Place { previous, next, .. } = self.places[place];
        self.places[previous].next = next;
        self.places[next].previous = previous;
    }

    /// Exactly the last that was unlinked (Knuth's dancing links).
    fn relink(&mut self, place: usize) {
        let Place { previous, next, .. } = self.places[place];
        self.places[previous].next = place;
        self.places[next].previous = place;
    }

    /// The more answers it explains the better, and by the fewer open operations.
    fn remember_furthest(&mut self) {
        let Some(known) = &self.furthest else { return };
        let weight = |answered, order: usize| (answered, Reverse(order));
        let here = weight(self.done.count(), self.order.len());
        if weight(known.answered, known.order.len()) >= here && !known.next.is_empty() {
            return;
        }
        let mut next = Vec::new();
        let mut place = self.places[HEAD].next;
        while let Some(call) = self.places[place].call {
            next.push(self.calls[call].id);
            place = self.places[place].next;
        }
        self.furthest = Some(Furthest {
            order: self.order.iter().map(|(call, _)| self.calls[*call].id).collect(),
            state: self.state.clone(),
            next,
            answered: self.done.count(),
        });
    }
}

/// The list of the moments of all operations with an answer, and in each where it stands.
fn places<S: Specification>(calls: &mut [Call<'_, S>]) -> Vec<Place> {
    let mut moments = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        if let (Some(_), Some(returned)) = (call.output, call.operation.returned()) {
            moments.push((call.operation.called.order, true, index));
            moments.push((returned.order, false, index));
        }
    }
    moments.sort_unstable();
    let count = moments.len() + 1;
    let head = Place { previous: count - 1, next: 1 % count, moment: u64::MAX, call: None };
    let mut places = vec![head];
    for (index, &(moment, is_call, of)) in moments.iter().enumerate() {
        let place = index + 1;
        match &mut calls[of].span {
            Some(span) => span.returned = place,
            span @ None => *span = Some(Span { called: place, returned: place }),
        }
        let call = is_call.then_some(of);
        places.push(Place { previous: index, next: (place + 1) % count, moment, call });
    }
    places
}

const HEAD: usize = 0;
