use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Directory, Instant, Message, Registry, TimerKey};
use dx_sim::{Choices, Delay, Failure, Scenario, Sim, SimConfig};
use serde::{Deserialize, Serialize};

pub const LOCK: AgentId = AgentId(1);
/// Who has the lock has it for so long.
pub const LEASE: Duration = Duration::from_millis(100);

/// What clients and the lock say to each other; the number says which request is meant.
#[derive(Serialize, Deserialize)]
pub enum Say {
    Acquire(u32),
    Granted(u32),
}

impl Message for Say {
    const NAME: &'static str = "say";
}

/// The lock. It is free when the last lease is over.
#[derive(Default)]
pub struct Lock {
    free_at: Instant,
}

impl Agent for Lock {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        // Perhaps it was granted just before a crash: nobody knows any more.
        self.free_at = cx.now() + LEASE;
    }

    fn message(&mut self, from: AgentId, say: Say, cx: &mut Context) {
        let Say::Acquire(number) = say else { return };
        if cx.now() >= self.free_at {
            self.free_at = cx.now() + LEASE;
            cx.send(from, Say::Granted(number));
        }
    }
}

/// Someone who wants the lock once, and asks until it is granted.
#[derive(Default)]
pub struct Client {
    number: u32,
    until: Instant,
}

impl Agent for Client {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        self.timer(TimerKey(0), cx);
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        self.number += 1;
        cx.send(LOCK, Say::Acquire(self.number));
        let pause = 30 + cx.rng().below(60);
        cx.set_timer(key, Duration::from_millis(pause));
    }

    fn message(&mut self, _: AgentId, say: Say, cx: &mut Context) {
        if let Say::Granted(_) = say {
            self.until = cx.now() + LEASE;
            cx.cancel(TimerKey(0));
        }
    }
}

/// A client of the lock, whatever it is made of.
pub trait Holder: Agent + Default {
    /// Whether it thinks so.
    fn holds(&self, now: Instant) -> bool;
    fn had_it(&self) -> bool;
}

impl Holder for Client {
    fn holds(&self, now: Instant) -> bool {
        now < self.until
    }

    fn had_it(&self) -> bool {
        self.until > Instant::default()
    }
}

fn world<C: Holder>(seed: u64, choices: Choices) -> Sim {
    let agents = r#"[
        { "id": 1, "kind": "lock", "node": 1 },
        { "id": 2, "kind": "client", "node": 2 },
        { "id": 3, "kind": "client", "node": 3 }
    ]"#;
    let agents: Vec<_> = serde_json::from_str(agents).expect("it is a cluster's agents");
    let registry = Registry::new()
        .kind("lock", |_, _| Ok(Lock::default()))
        .kind("client", |_, _| Ok(C::default()));
    let mut config = SimConfig::seeded(seed);
    config.network.delay = Delay::Between(Duration::from_millis(1), Duration::from_millis(30));
    Sim::with_choices(config, Directory::new(agents), registry, choices).expect("it is known")
}

fn play<C: Holder>(sim: &mut Sim) -> Result<(), Failure> {
    sim.always("at most one holds the lock", |sim| {
        let clients = sim.agents_of::<C>();
        let holders: Vec<AgentId> =
            clients.filter(|(_, client)| client.holds(sim.now())).map(|(id, _)| id).collect();
        if let [one, other] = holders[..] { Err(format!("{one} and {other} do")) } else { Ok(()) }
    });
    sim.run_until("everybody gets the lock", Duration::from_secs(10), |sim| {
        sim.agents_of::<C>().filter(|(_, client)| client.had_it()).count() == 2
    })
}

pub type LockScenario = Scenario<fn(u64, Choices) -> Sim, fn(&mut Sim) -> Result<(), Failure>>;

pub fn scenario<C: Holder>() -> LockScenario {
    Scenario { make: world::<C>, play: play::<C> }
}
