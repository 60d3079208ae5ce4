//! An agent that leaves the thread of the links, and what it is told meanwhile.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use dx_agents::mesh::Node;
use dx_agents::runtime::SLOW_STEP;
use dx_agents::{Agent, AgentId, Context, Message, Registry, Spawn};
use serde::{Deserialize, Serialize};

use crate::nodes::{HANG, config, spec};

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Order {
    /// Take long.
    Work,
    /// Wait until it may go on.
    Wait,
    /// Spawn another one.
    Spawn,
    /// Tell an agent that it was meant.
    Tell(AgentId),
    Meant,
    /// Answer.
    Answer,
}

impl Message for Order {
    const NAME: &'static str = "test.order";
}

/// What all of them see.
#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Default)]
struct State {
    waits: bool,
    may_go_on: bool,
    spawned: bool,
    /// Who heard that it was meant.
    meant: Vec<AgentId>,
}

impl Seen {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.change.notify_all();
    }

    fn wait(&self, is_so: impl Fn(&State) -> bool) {
        let (state, waited) = self
            .change
            .wait_timeout_while(self.state.lock().unwrap(), HANG, |state| !is_so(state))
            .unwrap();
        drop(state);
        assert!(!waited.timed_out(), "it never came");
    }
}

struct Mover(Arc<Seen>);

impl Agent for Mover {
    type Message = Order;

    fn message(&mut self, _: AgentId, order: Order, cx: &mut Context) {
        match order {
            Order::Work => {
                let began = Instant::now();
                while began.elapsed() < 2 * SLOW_STEP {}
            }
            Order::Wait => {
                self.0.change(|state| state.waits = true);
                self.0.wait(|state| state.may_go_on);
            }
            Order::Spawn => {
                let seen = Arc::clone(&self.0);
                cx.spawn(Spawn::new("mover", move || Mover(Arc::clone(&seen))));
                self.0.change(|state| state.spawned = true);
            }
            Order::Tell(who) => cx.send(who, Order::Meant),
            Order::Answer => {
                if let Some(to) = cx.asked() {
                    cx.reply(to, Order::Answer);
                }
            }
            Order::Meant => self.0.change(|state| state.meant.push(cx.me())),
        }
    }
}

const HOG: AgentId = AgentId(20);
const SLOW: AgentId = AgentId(21);
const RELAY: AgentId = AgentId(22);

/// Has `who` take too long until it leaves, and nothing waits for it.
fn drive_out(node: &Node, who: AgentId) {
    let is_out = || {
        let agents = node.runtime().status().agents;
        agents.iter().any(|agent| agent.id == who && agent.slow_steps >= 3)
    };
    let (port, began) = (node.runtime().port(), Instant::now());
    while !is_out() {
        assert!(began.elapsed() < HANG, "it never left");
        port.send(who, Order::Work).unwrap();
        // It is of the same thread, and has its turn when the one before is over.
        port.ask_blocking(RELAY, Order::Answer, HANG).unwrap();
    }
}

#[test]
fn what_is_for_one_that_moves_is_heard_by_nobody_else() {
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    let kinds = Registry::new().kind("mover", move |_, _| Ok(Mover(Arc::clone(&shared))));
    let specs = [HOG, SLOW, RELAY].map(|id| spec(id.0, "mover"));
    let node = Node::start(config("memory", 2, 1, &specs), &kinds).unwrap();
    let port = node.runtime().port();
    // It keeps the one thread of the pool, so that another one that leaves is long under way.
    drive_out(&node, HOG);
    port.send(HOG, Order::Wait).unwrap();
    seen.wait(|state| state.waits);
    drive_out(&node, SLOW);
    port.send(RELAY, Order::Spawn).unwrap();
    seen.wait(|state| state.spawned);
    port.send(RELAY, Order::Tell(SLOW)).unwrap();
    port.send(RELAY, Order::Tell(RELAY)).unwrap();
    seen.wait(|state| state.meant.contains(&RELAY));
    seen.change(|state| state.may_go_on = true);
    seen.wait(|state| state.meant.len() == 2);
    assert_eq!(seen.state.lock().unwrap().meant, [RELAY, SLOW]);
}
