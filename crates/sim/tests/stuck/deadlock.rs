//! Three who lend each other what they have, and ask for what they need first.

use std::time::Duration;

use dx_agents::id::ReplyTo;
use dx_agents::{
    Agent, AgentId, Answer, AskError, AskId, Context, Directory, Message, NodeId, Registry,
};
use dx_sim::stuck::{Hindrance, Verdict, Wait};
use dx_sim::{Sim, SimConfig};
use serde::{Deserialize, Serialize};

use crate::kinds::{self, SECOND, Word, diaries, spec};

#[derive(Serialize, Deserialize)]
enum Lend {
    Please,
    Here,
}

impl Message for Lend {
    const NAME: &'static str = "lend";
}

/// Asks the next one, and lends what it has when it has been lent to: or, if it is kind, at once.
struct Lender {
    next: Option<AgentId>,
    is_kind: bool,
    borrower: Option<ReplyTo>,
    has_all: bool,
}

impl Agent for Lender {
    type Message = Lend;

    fn start(&mut self, cx: &mut Context) {
        match self.next {
            Some(next) => drop(cx.ask(next, Lend::Please, Duration::MAX)),
            None => self.has_all = true,
        }
    }

    fn message(&mut self, _: AgentId, _: Lend, cx: &mut Context) {
        let Some(borrower) = cx.asked() else { return };
        if self.is_kind || self.has_all {
            cx.reply(borrower, Lend::Here);
        } else {
            self.borrower = Some(borrower);
        }
    }

    fn reply(&mut self, _: AskId, answer: Result<Answer, AskError>, cx: &mut Context) {
        self.has_all = answer.is_ok();
        if let Some(borrower) = self.borrower.take() {
            cx.reply(borrower, Lend::Here);
        }
    }
}

/// Agents 1 to 3, each on a node and in need of the next one's; one of them may be kind.
fn lenders(seed: u64, kind: u64, nodes: [u32; 3]) -> Sim {
    let registry = Registry::new().kind("lender", move |spec, _| {
        let next = Some(AgentId(spec.id.0 % 3 + 1));
        Ok(Lender { next, is_kind: spec.id.0 == kind, borrower: None, has_all: false })
    });
    let agents = (1..).zip(nodes).map(|(id, node)| spec(id, "lender", node));
    Sim::new(SimConfig::seeded(seed), Directory::new(agents), registry).unwrap()
}

fn all_have_all(sim: &mut Sim) -> Result<(), dx_sim::Failure> {
    sim.run_until("all have what they need", 10 * SECOND, |sim| {
        sim.agents_of::<Lender>().filter(|(_, it)| it.has_all).count() == 3
    })
}

#[test]
fn questions_in_a_circle_are_a_deadlock_that_names_them() {
    for nodes in [[1, 2, 3], [1, 1, 1]] {
        for seed in 0..20 {
            let failure = all_have_all(&mut lenders(seed, 0, nodes)).unwrap_err();
            let circle = "deadlock: a1 waits for an answer of a2, \
                          a2 waits for an answer of a3, \
                          a3 waits for an answer of a1";
            assert!(failure.text.contains(circle), "{failure}");
            assert!(failure.text.contains("for ever"), "{failure}");
            assert!(failure.text.contains("nothing is due any more"), "{failure}");
        }
    }
}

#[test]
fn where_one_gives_first_there_is_no_deadlock() {
    for seed in 0..20 {
        let mut sim = lenders(seed, 1 + seed % 3, [1, 2, 3]);
        all_have_all(&mut sim).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(sim.stuck().deadlocks.is_empty());
    }
}

#[test]
fn a_node_that_stands_still_is_named_and_is_no_deadlock() {
    let mut sim = lenders(1, 1, [1, 2, 3]);
    sim.run_until("they are up", SECOND, |sim| (1..=3).all(|node| sim.is_up(NodeId(node))))
        .unwrap();
    sim.pause_node(NodeId(1), 60 * SECOND);
    all_have_all(&mut sim).unwrap_err();
    let stuck = sim.stuck();
    assert!(stuck.deadlocks.is_empty(), "{stuck}");
    let still = Wait::Node(NodeId(1), Hindrance::StandsStill);
    assert!(stuck.waits.contains(&still), "{stuck}");
    assert!(matches!(stuck.verdict, Verdict::Idle { next: Some(_), .. }), "{stuck}");
    sim.run_for(60 * SECOND).unwrap();
    all_have_all(&mut sim).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn what_is_in_the_way_is_said() {
    let mut sim = kinds::world(SimConfig::seeded(1), diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    let never = |sim: &mut Sim| sim.run_until("it comes", SECOND, |_| false).unwrap_err().text;
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(1), Word::Watch(AgentId(2))).unwrap();
    assert!(never(&mut sim).contains("a1 watches a2"));
    sim.cut(NodeId(1), NodeId(2));
    sim.send(port, AgentId(2), Word::Number(1)).unwrap();
    let text = never(&mut sim);
    assert!(text.contains("the way from n1 to n2 is cut with 1 messages on it"), "{text}");
    sim.mend_all();
    sim.hold_all();
    sim.send(port, AgentId(2), Word::Number(1)).unwrap();
    let text = never(&mut sim);
    assert!(text.contains("is held by the test"), "{text}");
    sim.crash_node(NodeId(2));
    assert!(never(&mut sim).contains("n2 is down"));
}

#[test]
fn an_agent_that_cannot_take_its_messages_is_named() {
    let mut sim = kinds::world(SimConfig::seeded(1), diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    sim.pause_node(NodeId(2), 600 * SECOND);
    let port = sim.port_on(NodeId(2));
    (0..2000).for_each(|at| _ = sim.send(port, AgentId(2), Word::Number(at)));
    let failure = sim.run_until("it hears them", SECOND, |_| false).unwrap_err();
    let mailbox = "messages wait for a2, which stands still; 1 senders wait for room there";
    assert!(failure.text.contains(mailbox), "{failure}");
}
