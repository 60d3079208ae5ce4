//! The questions to other nodes that are open: an answer to anything else was made up, or is late.

use std::collections::VecDeque;

use dx_transport::id::NodeId;
use rustc_hash::FxHashMap;

use crate::id::{AgentId, AskId, ReplyTo};

/// Questions that may be open at once, or may have ended without an answer and are not known to
/// have. Beyond that the oldest are given up: their agents hear so.
pub const MAX_ASKS: usize = 65_536;

/// See the module.
#[derive(Debug, Default)]
pub struct Asks {
    open: FxHashMap<ReplyTo, NodeId>,
    /// All of `open`, oldest first, and some that were answered.
    order: VecDeque<ReplyTo>,
}

impl Asks {
    /// A question leaves for `node`. Returns the one that is given up for it, if any.
    #[must_use]
    pub fn ask(&mut self, agent: AgentId, ask: AskId, node: NodeId) -> Option<ReplyTo> {
        let question = ReplyTo { agent, ask };
        let given_up = if self.open.len() < MAX_ASKS { None } else { self.oldest() };
        self.open.insert(question, node);
        self.order.push_back(question);
        if self.order.len() > 2 * self.open.len() + MIN_ANSWERED {
            self.order.retain(|question| self.open.contains_key(question));
        }
        given_up
    }

    /// An answer came; false if nobody waits for it. It may come from another node than was asked:
    /// questions can be forwarded.
    #[must_use]
    pub fn answer(&mut self, question: ReplyTo) -> bool {
        self.open.remove(&question).is_some()
    }

    /// Takes out all questions to `node`, oldest first.
    #[must_use]
    pub fn fail(&mut self, node: NodeId) -> Vec<ReplyTo> {
        let failed = |question: &&ReplyTo| self.open.get(question) == Some(&node);
        let failed: Vec<ReplyTo> = self.order.iter().filter(failed).copied().collect();
        for question in &failed {
            self.open.remove(question);
        }
        failed
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn oldest(&mut self) -> Option<ReplyTo> {
        loop {
            let question = self.order.pop_front()?;
            if self.open.remove(&question).is_some() {
                return Some(question);
            }
        }
    }
}

/// Answered questions that are left in the order before it is cleaned up.
const MIN_ANSWERED: usize = 64;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn question(number: u64) -> ReplyTo {
        ReplyTo { agent: AgentId(1), ask: AskId(NonZeroU64::new(number).unwrap()) }
    }

    fn ask(asks: &mut Asks, number: u64, node: u32) -> Option<ReplyTo> {
        let ReplyTo { agent, ask } = question(number);
        asks.ask(agent, ask, NodeId(node))
    }

    #[test]
    fn a_question_is_answered_once() {
        let mut asks = Asks::default();
        assert_eq!(ask(&mut asks, 1, 2), None);
        assert!(!asks.answer(question(2)));
        assert!(asks.answer(question(1)));
        assert!(!asks.answer(question(1)));
    }

    #[test]
    fn questions_fail_with_their_node_and_in_their_order() {
        let mut asks = Asks::default();
        for number in 1..=6 {
            assert_eq!(ask(&mut asks, number, 2 + u32::from(number % 2 == 0)), None);
        }
        assert!(asks.answer(question(3)));
        assert_eq!(asks.fail(NodeId(2)), [question(1), question(5)]);
        assert_eq!(asks.len(), 3);
    }

    #[test]
    fn beyond_the_bound_the_oldest_is_given_up() {
        let mut asks = Asks::default();
        for number in 1..=MAX_ASKS as u64 {
            assert_eq!(ask(&mut asks, number, 2), None);
        }
        assert!(asks.answer(question(1)));
        assert_eq!(ask(&mut asks, 70_000, 2), None);
        assert_eq!(ask(&mut asks, 70_001, 2), Some(question(2)));
        assert_eq!(asks.len(), MAX_ASKS);
    }

    #[test]
    fn answered_questions_take_no_memory() {
        let mut asks = Asks::default();
        for number in 1..=10_000 {
            assert_eq!(ask(&mut asks, number, 2), None);
            assert!(asks.answer(question(number)));
        }
        assert!(asks.order.len() <= MIN_ANSWERED + 2);
    }
}
