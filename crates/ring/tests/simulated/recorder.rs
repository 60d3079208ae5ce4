//! A replica that broadcasts on its own, and tells the oracle all that it hears.

use std::time::Duration;

use bytes::Bytes;
use dx_agents::{AgentId, AgentSpec, Directory, NodeId, Options, Registry};
use dx_ring::{Delivery, Flow, Member, Replica, Ring, RingConfig, RingModel, View};
use dx_sim::{Choices, Sim, SimConfig};

use super::oracle::{Shared, Who};

/// What a recorder broadcasts.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Messages per life.
    pub messages: u64,
    /// The mean time between two.
    pub every: Duration,
    /// The longest, in bytes; each is of some length up to that.
    pub longest: u64,
}

pub struct Recorder {
    oracle: Shared,
    load: Load,
    who: Option<Who>,
    /// Messages that it delivered.
    pub index: u64,
    pub sent: u64,
    pub views: Vec<View>,
}

impl Recorder {
    pub fn new(oracle: Shared, load: Load) -> Self {
        Self { oracle, load, who: None, index: 0, sent: 0, views: Vec::new() }
    }

    /// Who it is, once it has heard anything.
    pub fn who(&self) -> Option<Who> {
        self.who
    }

    /// Whether it has broadcast all that it is to.
    pub fn is_done(&self) -> bool {
        self.sent == self.load.messages
    }

    fn known(&mut self, ring: &Ring<'_>) -> Who {
        *self.who.get_or_insert((ring.me(), ring.life()))
    }

    fn next(&mut self, ring: &mut Ring<'_>) {
        let pause = ring.context().rng().below(2 * self.load.every.as_nanos() as u64 + 1);
        ring.set_timer(1, Duration::from_nanos(pause));
    }
}

impl Replica for Recorder {
    fn deliver(&mut self, delivery: &Delivery, ring: &mut Ring<'_>) {
        let who = self.known(ring);
        self.index = delivery.index;
        let number = u64::from_le_bytes(delivery.payload[..8].try_into().unwrap());
        let fill = &delivery.payload[8..];
        let is_whole = fill.iter().step_by(997).all(|byte| *byte == (number - 1) as u8);
        assert!(is_whole, "{number} of {} is put together wrongly", delivery.origin);
        self.oracle.lock().unwrap().delivered(who, delivery, number, fill.len() as u64);
    }

    fn snapshot(&self) -> Bytes {
        // Longer than one piece, now and then.
        let mut bytes = self.index.to_le_bytes().to_vec();
        bytes.resize(8 + (self.index % 4) as usize * 200_000, 7);
        bytes.into()
    }

    fn restore(&mut self, snapshot: Bytes, _view: Option<&View>, ring: &mut Ring<'_>) {
        let who = self.known(ring);
        self.index = u64::from_le_bytes(snapshot[..8].try_into().unwrap());
        assert_eq!(snapshot.len(), 8 + (self.index % 4) as usize * 200_000);
        self.oracle.lock().unwrap().restored(who, self.index);
        self.next(ring);
    }

    fn view(&mut self, seq: u64, view: &View, ring: &mut Ring<'_>) {
        let who = self.known(ring);
        self.views.push(view.clone());
        self.oracle.lock().unwrap().view(who, view, seq);
        self.next(ring);
    }

    fn timer(&mut self, _key: u32, ring: &mut Ring<'_>) {
        if self.sent == self.load.messages {
            return;
        }
        let who = self.known(ring);
        let len = ring.context().rng().below(self.load.longest) as usize;
        let mut payload = (self.sent + 1).to_le_bytes().to_vec();
        payload.resize(8 + len, self.sent as u8);
        if ring.broadcast(payload).is_ok() {
            self.sent += 1;
            self.oracle.lock().unwrap().broadcast.insert(who, self.sent);
        }
        self.next(ring);
    }
}

/// A world of `count` members, each on a node of its own.
pub fn world(
    config: SimConfig,
    choices: Choices,
    count: u64,
    load: Load,
    oracle: &Shared,
    model: fn() -> Box<dyn RingModel>,
) -> Sim {
    let oracle = oracle.clone();
    let members: Vec<AgentId> = (1..=count).map(AgentId).collect();
    let ring = RingConfig::new(members.clone());
    let mailbox = ring.mailbox();
    let registry = Registry::new().kind("ring-member", move |_, _| {
        Ok(Member::new(ring.clone(), model(), Recorder::new(oracle.clone(), load)))
    });
    let spec = |id: AgentId| AgentSpec {
        id,
        kind: "ring-member".to_owned(),
        node: NodeId(id.0 as u32),
        attr: serde_json::Value::Null,
        options: Options { mailbox, ..Options::default() },
    };
    Sim::with_choices(config, Directory::new(members.into_iter().map(spec)), registry, choices)
        .unwrap()
}

pub fn flow() -> Box<dyn RingModel> {
    Box::new(Flow::default())
}
