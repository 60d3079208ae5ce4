//! What flow makes of links of 100 Mbit/s. The simulator's links are between two nodes each; a ring
//! uses one to and one from each member for payload, as if it were the machine's.

use std::time::Duration;

use bytes::Bytes;
use dx_agents::{AgentId, AgentSpec, Directory, NodeId, Options, Registry};
use dx_ring::{Delivery, Member, Replica, Ring, RingConfig, View};
use dx_sim::{Delay, Sim, SimConfig};

use super::models::{Make, confirmed, lcr};
use super::recorder::flow;

/// Bytes per second.
const LINK: u64 = 12_500_000;
const SIZE: usize = 8_000;

/// Broadcasts as much as it can, and counts.
struct Flood {
    left: u64,
    /// Bytes delivered, of each origin.
    delivered: Vec<u64>,
    began: Option<u64>,
    ended: u64,
}

impl Flood {
    fn pour(&mut self, ring: &mut Ring<'_>) {
        while self.left > 0 && ring.broadcast(vec![7; SIZE]).is_ok() {
            self.left -= 1;
        }
    }
}

impl Replica for Flood {
    fn deliver(&mut self, delivery: &Delivery, ring: &mut Ring<'_>) {
        self.delivered[delivery.origin.0 as usize] += delivery.payload.len() as u64;
        self.ended = ring.context().now().0;
    }
    fn snapshot(&self) -> Bytes {
        Bytes::new()
    }
    fn restore(&mut self, _: Bytes, _: Option<&View>, _: &mut Ring<'_>) {}
    fn view(&mut self, _seq: u64, _view: &View, ring: &mut Ring<'_>) {
        self.began = Some(ring.context().now().0);
        self.pour(ring);
    }
    fn room(&mut self, ring: &mut Ring<'_>) {
        self.pour(ring);
    }
}

/// A ring of `count` of which `senders` broadcast `messages` each, until all have all.
fn flooded(count: u64, senders: u64, messages: u64) -> Sim {
    flooded_by(flow, count, senders, messages)
}

fn flooded_by(model: Make, count: u64, senders: u64, messages: u64) -> Sim {
    let ring = RingConfig::new((1..=count).map(AgentId).collect());
    let (mailbox, members) = (ring.mailbox(), ring.members.clone());
    let registry = Registry::new().kind("ring-member", move |spec, _| {
        let left = if spec.id.0 <= senders { messages } else { 0 };
        let delivered = vec![0; count as usize + 1];
        let flood = Flood { left, delivered, began: None, ended: 0 };
        Ok(Member::new(ring.clone(), model(), flood))
    });
    let spec = |id: AgentId| AgentSpec {
        id,
        kind: "ring-member".to_owned(),
        node: NodeId(id.0 as u32),
        attr: serde_json::Value::Null,
        options: Options { mailbox, ..Options::default() },
    };
    let mut config = SimConfig::seeded(1);
    config.network.bandwidth = LINK;
    config.network.delay = Delay::Between(Duration::from_micros(50), Duration::from_micros(60));
    let directory = Directory::new(members.into_iter().map(spec));
    let mut sim = Sim::new(config, directory, registry).unwrap();
    let all = senders * messages * SIZE as u64;
    sim.run_until("all is delivered", Duration::from_mins(10), |sim| {
        let members = sim.agents_of::<Member<Flood>>();
        members.filter(|(_, it)| it.replica().delivered.iter().sum::<u64>() == all).count() as u64
            == count
    })
    .unwrap();
    sim
}

/// Bytes per second that all members delivered, as a part of a link's.
fn rate(sim: &Sim) -> f64 {
    let floods: Vec<_> = sim.agents_of::<Member<Flood>>().map(|(_, it)| it.replica()).collect();
    let bytes: u64 = floods[0].delivered.iter().sum();
    let began = floods.iter().filter_map(|it| it.began).min().unwrap();
    let ended = floods.iter().map(|it| it.ended).max().unwrap();
    bytes as f64 / ((ended - began) as f64 / 1e9) / LINK as f64
}

#[test]
fn one_sender_gets_the_whole_of_a_link_at_any_n() {
    for count in [2, 3, 5, 8, 16] {
        let rate = rate(&flooded(count, 1, 2_000));
        println!("n = {count}, one sender: {rate:.3} of a link");
        assert!(rate > 0.88, "{count}: {rate}"); // targets: 11 of 12.5 MB/s
    }
}

#[test]
fn all_senders_together_get_more_than_a_link() {
    for count in [2, 3, 5, 8] {
        let rate = rate(&flooded(count, count, 1_000));
        let best = count as f64 / (count - 1) as f64;
        println!("n = {count}, all send: {rate:.3} of a link, {:.3} of n/(n-1)", rate / best);
        assert!(rate > 0.9 * best, "{count}: {rate}");
    }
}

#[test]
fn control_traffic_stays_below_two_hundredths_of_the_payload_at_every_n() {
    for count in [2, 3, 5, 8, 16, 32, 64] {
        let sim = flooded(count, 1, 1_000);
        // Of the member that says most, beside what it and the others passed on.
        let traffic = sim.agents_of::<Member<Flood>>().map(|(_, it)| it.core().unwrap().traffic());
        let (control, payload) = traffic.fold((0, 0), |(control, payload), it| {
            (it.control.max(control), it.payload.max(payload))
        });
        let part = control as f64 / payload as f64;
        println!("n = {count}: {control} bytes of control, {payload} of payload, {part:.4}");
        assert!(part < 0.02, "{count}: {part}");
    }
}

/// Of confirmed, each copy has a link of its own here: on one that they share it is n - 1 times less.
#[test]
fn lcr_gets_as_much_of_links_and_no_load_drives_a_model_into_another_view() {
    for count in [2, 3, 5] {
        let best = count as f64 / (count - 1) as f64;
        for (name, model, least) in [("lcr", lcr as Make, 0.9), ("confirmed", confirmed, 0.4)] {
            for (senders, best) in [(1, 1.0), (count, best)] {
                let sim = flooded_by(model, count, senders, 1_000);
                let rate = rate(&sim);
                println!("{name}, n = {count}, {senders} send: {rate:.3} of a link");
                assert!(rate > least * best, "{name}, {count}: {rate}");
                for (_, member) in sim.agents_of::<Member<Flood>>() {
                    assert!(member.core().unwrap().view().unwrap().is_founding, "{name}, {count}");
                }
            }
        }
    }
}
