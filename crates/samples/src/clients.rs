//! What clients that are agents have seen, as a history.

use std::collections::BTreeMap;

use dx_agents::{AgentId, Context, Incarnation};
use dx_sim::history::{History, OperationId};

/// What a client asked for in one life, and what it was answered. One operation after the other.
#[derive(Clone, Debug)]
pub struct Diary<I, O> {
    life: Incarnation,
    entries: Vec<(I, Option<O>)>,
}

/// Puts diaries together, looked at after every event.
#[derive(Debug)]
pub struct Historian<I, O> {
    history: History<I, O>,
    lives: BTreeMap<AgentId, Followed>,
    answered: u64,
}

/// How far a client's diary was read.
#[derive(Debug, Default)]
struct Followed {
    life: Option<Incarnation>,
    operations: Vec<OperationId>,
    answered: usize,
}

impl<I, O> Diary<I, O> {
    /// The diary of a life that begins.
    #[must_use]
    pub fn new(cx: &Context) -> Self {
        Self { life: cx.incarnation(), entries: Vec::new() }
    }

    /// Something is asked for.
    pub fn ask(&mut self, input: I) {
        self.entries.push((input, None));
    }

    /// What was asked for last is answered.
    pub fn answer(&mut self, output: O) {
        if let Some((_, answer)) = self.entries.last_mut() {
            *answer = Some(output);
        }
    }
}

impl<I, O> Default for Historian<I, O> {
    fn default() -> Self {
        Self { history: History::new(), lives: BTreeMap::new(), answered: 0 }
    }
}

impl<I: Clone, O: Clone> Historian<I, O> {
    /// Takes down what is new in a client's diary. What a life that has ended was not answered
    /// stays open: it may have happened.
    pub fn read(&mut self, client: AgentId, diary: &Diary<I, O>, now_ns: u64) {
        let followed = self.lives.entry(client).or_default();
        if followed.life != Some(diary.life) {
            *followed = Followed { life: Some(diary.life), ..Followed::default() };
        }
        loop {
            let open = diary.entries.get(followed.answered);
            if followed.answered == followed.operations.len() {
                let Some((input, _)) = open else { break };
                let client = u32::try_from(client.0).expect("samples have few agents");
                followed.operations.push(self.history.call(client, now_ns, input.clone()));
            }
            let Some((_, Some(output))) = open else { break };
            let operation = followed.operations[followed.answered];
            self.history.answer(operation, now_ns, output.clone());
            followed.answered += 1;
            self.answered += 1;
        }
    }

    /// All that was seen.
    #[must_use]
    pub fn history(&self) -> &History<I, O> {
        &self.history
    }

    /// How many operations have their answer.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered
    }
}
