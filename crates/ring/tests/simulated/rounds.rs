//! The rounds in which such protocols are compared: in each, a member sends one batch of payload at
//! most and receives one at most; what is small takes a round, too, and is free. No clock counts,
//! only rounds; the cores are the real ones.
//!
//! Each of n members has to receive each broadcast but its own: no more than n/(n-1) of them can be
//! complete in a round. One sender can send one.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{AgentId, Instant};
use dx_ring::message::ModelMessage;
use dx_ring::model::Hop;
use dx_ring::{Core, Flow, Lcr, Life, Output, RingConfig, RingMessage, RingModel};

/// A round: members tick in every other one.
const ROUND: Duration = Duration::from_millis(10);
/// A message is a batch.
const SIZE: usize = dx_ring::batch::MAX_BATCH;
/// Those in which the first view is made, and in which a load settles.
const BEFORE: u64 = 100;

/// Which broadcast.
type Name = (AgentId, u64);

struct Rounds {
    cores: BTreeMap<AgentId, Core>,
    round: u64,
    flying: Vec<(AgentId, AgentId, RingMessage)>,
    /// What only says that a link is free is there at once.
    free: Vec<(AgentId, AgentId, RingMessage)>,
    paced: Vec<AgentId>,
    made: BTreeMap<AgentId, u64>,
    /// In which round a broadcast left its origin.
    left: BTreeMap<Name, u64>,
    /// At how many members it was delivered, and when last.
    delivered: BTreeMap<Name, (usize, u64)>,
}

impl Rounds {
    /// A ring of so many members, that have their first view.
    fn new(count: u64, model: fn() -> Box<dyn RingModel>) -> Self {
        let config = RingConfig::new((1..=count).map(AgentId).collect());
        let core = |id: AgentId| {
            (id, Core::new(config.clone(), id, Life { node: 1, restarts: 0 }, false, model()))
        };
        let cores = config.members.clone().into_iter().map(core).collect();
        let mut rounds = Self {
            cores,
            round: 0,
            flying: Vec::new(),
            free: Vec::new(),
            paced: Vec::new(),
            made: BTreeMap::new(),
            left: BTreeMap::new(),
            delivered: BTreeMap::new(),
        };
        for id in config.members {
            rounds.tell(id, Core::start);
        }
        rounds.go(BEFORE, 0);
        assert!(rounds.cores.values().all(|core| core.view().is_some()), "they have a view");
        rounds
    }

    /// So many rounds, in which the first `senders` members always have something to send.
    fn go(&mut self, rounds: u64, senders: usize) {
        for _ in 0..rounds {
            self.round += 1;
            self.deliver_all();
            for id in self.cores.keys().copied().take(senders).collect::<Vec<_>>() {
                while self.broadcast(id) {}
            }
            while !self.free.is_empty() {
                for (from, to, message) in std::mem::take(&mut self.free) {
                    self.tell(to, |core, now| core.message(from, message, now));
                }
            }
        }
    }

    fn deliver_all(&mut self) {
        let arriving = std::mem::take(&mut self.flying);
        let payload = || arriving.iter().filter(|(.., message)| is_payload(message));
        for id in self.cores.keys() {
            assert!(payload().filter(|(from, ..)| from == id).count() <= 1, "{id} sends one");
            assert!(payload().filter(|(_, to, _)| to == id).count() <= 1, "{id} receives one");
        }
        for (from, to, message) in arriving {
            self.tell(to, |core, now| core.message(from, message, now));
        }
        for id in std::mem::take(&mut self.paced) {
            self.tell(id, Core::pace);
        }
        if self.round.is_multiple_of(2) {
            for id in self.cores.keys().copied().collect::<Vec<_>>() {
                self.tell(id, Core::tick);
            }
        }
    }

    fn broadcast(&mut self, id: AgentId) -> bool {
        let made = self.made.entry(id).or_default();
        let mut payload = (*made + 1).to_le_bytes().to_vec();
        payload.resize(SIZE, 0);
        let core = self.cores.get_mut(&id).unwrap();
        let is_taken = core.broadcast(payload.into()).is_ok();
        *made += u64::from(is_taken);
        self.tell(id, |_, _| {});
        is_taken
    }

    fn tell(&mut self, id: AgentId, act: impl FnOnce(&mut Core, Instant)) {
        let now = Instant(self.round * ROUND.as_nanos() as u64);
        let core = self.cores.get_mut(&id).unwrap();
        act(core, now);
        core.flush(now);
        while let Some(output) = core.output() {
            match output {
                Output::Send { to, message } => {
                    if let Some(name) = leaves(id, &message) {
                        self.left.insert(name, self.round);
                    }
                    let is_free = matches!(
                        message,
                        RingMessage::Model { message: ModelMessage::Got { .. }, .. }
                    );
                    let all = if is_free { &mut self.free } else { &mut self.flying };
                    all.extend(to.into_iter().map(|to| (id, to, message.clone())));
                }
                Output::Pace(_) => self.paced.push(id),
                Output::Deliver(it) => {
                    let number = u64::from_le_bytes(it.payload[..8].try_into().unwrap());
                    let (count, round) = self.delivered.entry((it.origin, number)).or_default();
                    (*count, *round) = (*count + 1, self.round);
                }
                _ => {}
            }
        }
    }

    /// Broadcasts that were completed from some round on, and their latencies to the last member.
    fn completed(&self, since: u64) -> Vec<u64> {
        let done = self
            .delivered
            .iter()
            .filter(|(_, (count, at))| *count == self.cores.len() && *at > since);
        done.map(|(name, (_, at))| at - self.left[name]).collect()
    }
}

fn is_payload(message: &RingMessage) -> bool {
    matches!(message, RingMessage::Model { message, .. } if message.payload().is_some())
}

/// The broadcast that leaves its origin with this.
fn leaves(from: AgentId, message: &RingMessage) -> Option<Name> {
    let RingMessage::Model { message, .. } = message else { return None };
    message.payload().filter(|it| it.origin == from).map(|it| (from, it.sn))
}

/// A link takes a batch in a round.
fn hop() -> Hop {
    Hop::new(u64::MAX, 1)
}

fn flow() -> Box<dyn RingModel> {
    Box::new(Flow::with_hop(hop()))
}

fn lcr() -> Box<dyn RingModel> {
    Box::new(Lcr::with_hop(hop()))
}

/// Broadcasts per round, and their mean latency in rounds.
fn loaded(count: u64, senders: usize, model: fn() -> Box<dyn RingModel>) -> (f64, f64) {
    let mut rounds = Rounds::new(count, model);
    rounds.go(BEFORE, senders);
    let (since, measured) = (rounds.round, 400);
    rounds.go(measured, senders);
    let latencies = rounds.completed(since);
    let mean = latencies.iter().sum::<u64>() as f64 / latencies.len() as f64;
    (latencies.len() as f64 / measured as f64, mean)
}

#[test]
fn all_senders_together_have_as_many_broadcasts_in_a_round_as_can_be() {
    for (name, model) in [("flow", flow as fn() -> _), ("lcr", lcr)] {
        for count in [2, 3, 5, 8] {
            let (rate, latency) = loaded(count, count as usize, model);
            let best = count as f64 / (count - 1) as f64;
            println!(
                "{name}, n = {count}: {rate:.3} of {best:.3} in a round, latency {latency:.2}"
            );
            assert!((rate / best - 1.0).abs() < 0.01, "{name}, {count}: {rate} of {best}");
        }
    }
}

#[test]
fn one_sender_has_one_broadcast_in_each_round() {
    for (name, model) in [("flow", flow as fn() -> _), ("lcr", lcr)] {
        for count in [2, 3, 5, 8] {
            let (rate, latency) = loaded(count, 1, model);
            println!("{name}, n = {count}: {rate:.3} in a round, latency {latency:.2}");
            assert!((rate - 1.0).abs() < 0.01, "{name}, {count}: {rate}");
        }
    }
}

#[test]
fn a_broadcast_alone_takes_lcr_all_hops_twice() {
    for count in [2, 3, 5, 8] {
        for id in (1..=count).map(AgentId) {
            let mut rounds = Rounds::new(count, lcr);
            let since = rounds.round;
            rounds.broadcast(id);
            rounds.go(4 * count, 0);
            assert_eq!(rounds.completed(since), [2 * count - 2], "of {id} of {count}");
        }
    }
}

#[test]
fn under_full_load_flow_takes_half_the_rounds_of_lcr() {
    let (_, flow) = loaded(8, 8, flow);
    let (_, lcr) = loaded(8, 8, lcr);
    println!("n = 8: flow {flow:.2} rounds, lcr {lcr:.2}");
    assert!((flow / 7.3 - 1.0).abs() < 0.1, "{flow}");
    assert!(lcr >= 14.0);
}
