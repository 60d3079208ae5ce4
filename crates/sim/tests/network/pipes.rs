use std::time::Duration;

use bytes::Bytes;
use dx_agents::{Agent, AgentId, Context, Directory, Lane, Message, NodeId, Registry};
use dx_sim::{Choices, Failure, Network, PipeTally, Pipes, Scenario, Sim, SimConfig};
use dx_transport::linking::Dialing;
use serde::{Deserialize, Serialize};

use crate::kinds::{SECOND, Word, diaries, diary, spec, world};
use crate::seeded;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

/// Two nodes, whose connections are `pipes` while the first says numbers to the second. They are
/// so few that all may wait for as long as any link may be gone.
fn tormented(seed: u64, pipes: Pipes) -> Sim {
    let config = seeded(seed);
    let network = Network { pipes, ..config.network };
    let mut sim = world(SimConfig { network, ..config }, diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    let port = sim.port_on(ONE);
    sim.send(port, AgentId(1), Word::Watch(AgentId(2))).unwrap();
    for _ in 0..200 {
        sim.send(port, AgentId(1), Word::Flood(AgentId(2), 2)).unwrap();
        sim.run_for(SECOND / 20).unwrap();
    }
    sim.heal();
    sim.run_for(60 * SECOND).unwrap();
    let numbers: Vec<u64> = diary(&sim, 2).numbers.iter().map(|(_, number)| *number).collect();
    let expected: Vec<u64> = (0..200).flat_map(|_| 0..2).collect();
    assert!(numbers == expected, "seed {seed}: {} of {} arrived", numbers.len(), expected.len());
    assert_eq!(sim.tally().lost, 0);
    sim
}

/// What happened to connections in 10 runs, none of which lost anything.
fn happened(pipes: Pipes) -> PipeTally {
    let mut all = PipeTally::default();
    for seed in 0..10 {
        let tally = tormented(seed, pipes).pipes();
        all.with_channels += tally.with_channels;
        all.resumed += tally.resumed;
        all.silent += tally.silent;
        all.replaced += tally.replaced;
        all.torn += tally.torn;
        all.stalled += tally.stalled;
        all.resets += tally.resets;
        all.half_opens += tally.half_opens;
        all.lost_bytes += tally.lost_bytes;
        all.replayed_frames += tally.replayed_frames;
    }
    all
}

#[test]
fn writes_are_torn_and_nothing_is_lost() {
    let tally = happened(Pipes { tears: 0.5, ..Pipes::default() });
    assert!(tally.torn > 500 && tally.resumed == 0, "{tally:?}");
}

#[test]
fn connections_stand_still_and_nothing_is_lost() {
    let tally = happened(Pipes { stalls: 0.1, ..Pipes::default() });
    assert!(tally.stalled > 50, "{tally:?}");
}

#[test]
fn connections_break_at_any_byte_and_what_is_missing_is_sent_again() {
    let tally = happened(Pipes { resets: 0.05, ..Pipes::default() });
    assert!(tally.resets > 50 && tally.resumed > 50, "{tally:?}");
    assert!(tally.lost_bytes > 1000 && tally.replayed_frames > 20, "{tally:?}");
}

#[test]
fn connections_die_at_one_end_and_are_given_up_for_others() {
    let tally = happened(Pipes { half_opens: 0.02, ..Pipes::default() });
    assert!(tally.half_opens > 10 && tally.resumed > 5, "{tally:?}");
    assert!(tally.silent + tally.replaced > 5, "{tally:?}");
}

#[test]
fn links_have_one_channel_or_one_for_each_lane_and_change_in_mid_conversation() {
    let tally = happened(Pipes { channels: 0.5, resets: 0.05, tears: 0.5, ..Pipes::default() });
    assert!(tally.with_channels > 20 && tally.resumed > 40, "{tally:?}");
}

#[test]
fn a_link_that_dies_in_one_direction_is_replaced_and_nobody_is_told() {
    for (from, to) in [(ONE, TWO), (TWO, ONE)] {
        let mut sim = tormented(1, Pipes::default());
        sim.half_open_links(from, to);
        let port = sim.port_on(ONE);
        sim.send(port, AgentId(1), Word::Flood(AgentId(2), 9)).unwrap();
        sim.run_for(10 * SECOND).unwrap();
        assert_eq!(diary(&sim, 2).numbers.len(), 400 + 9);
        assert!(diary(&sim, 1).downs.is_empty(), "another link took its place in time");
        assert!(sim.pipes().replaced > 0, "{:?}", sim.pipes());
    }
}

#[test]
fn of_two_nodes_that_dial_each_other_at_once_one_gives_way() {
    let mut ties = 0;
    for seed in 0..30 {
        let config = seeded(seed);
        let dialing = Dialing { grace: Duration::ZERO, ..config.network.dialing };
        let network = Network { dialing, ..config.network };
        let mut sim = world(SimConfig { network, ..config }, diaries(&[1, 2]));
        sim.run_for(SECOND).unwrap();
        for (node, from, to) in [(ONE, 1, 2), (TWO, 2, 1)] {
            let port = sim.port_on(node);
            sim.send(port, AgentId(from), Word::Flood(AgentId(to), 50)).unwrap();
        }
        sim.run_for(5 * SECOND).unwrap();
        assert_eq!([1, 2].map(|id| diary(&sim, id).numbers.len()), [50, 50], "seed {seed}");
        ties += sim.pipes().turned_away + sim.pipes().replaced;
    }
    assert!(ties > 10, "only {ties} ties");
}

/// A message that may be larger than what a connection holds.
#[derive(Serialize, Deserialize)]
struct Block {
    number: u64,
    len: u64,
    lane: Lane,
    #[serde(skip)]
    body: Bytes,
}

impl Message for Block {
    const NAME: &'static str = "block";

    fn lane(&self) -> Lane {
        self.lane
    }

    fn body(&self) -> Bytes {
        self.body.clone()
    }

    fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }
}

impl Block {
    fn new(number: u64) -> Self {
        let len = (number * 7919) % 300_000;
        let lane = Lane::ALL[(number % 3) as usize];
        let pattern: Vec<u8> = (0..251).collect();
        let body = Bytes::from(pattern.repeat(len as usize / 251 + 2));
        let start = (number % 251) as usize;
        Self { number, len, lane, body: body.slice(start..start + len as usize) }
    }
}

/// Notes blocks, by lane, and whether they are as they were sent.
#[derive(Default)]
struct Store {
    numbers: [Vec<u64>; 3],
    spoilt: u64,
}

impl Agent for Store {
    type Message = Block;

    fn message(&mut self, _: AgentId, block: Block, _: &mut Context) {
        let is_whole = block.body == Block::new(block.number).body;
        self.spoilt += u64::from(!is_whole);
        self.numbers[block.lane as usize].push(block.number);
    }
}

const BLOCKS: u64 = 40;

pub fn store(seed: u64, choices: Choices) -> Sim {
    let registry = Registry::new().kind("store", |_, _| Ok(Store::default()));
    let directory = Directory::new(vec![spec(1, "store", 1)]);
    Sim::with_choices(seeded(seed), directory, registry, choices).unwrap()
}

pub fn fill(sim: &mut Sim) -> Result<(), Failure> {
    sim.run_for(SECOND)?;
    sim.set_pipes(Pipes {
        tears: 0.5,
        resets: 0.03,
        stalls: 0.02,
        channels: 0.5,
        ..Pipes::default()
    });
    let port = sim.port();
    for number in 0..BLOCKS {
        // What waits is bounded: the port looks again a little later.
        while sim.send(port, AgentId(1), Block::new(number)).is_err() {
            sim.run_for(SECOND / 100)?;
        }
    }
    sim.run_for(SECOND)?;
    sim.set_pipes(Pipes::default());
    sim.run_until("all blocks are there", 60 * SECOND, |sim| {
        let store: &Store = sim.agent(AgentId(1)).unwrap();
        store.numbers.iter().map(Vec::len).sum::<usize>() as u64 == BLOCKS
    })?;
    let store: &Store = sim.agent(AgentId(1)).unwrap();
    assert_eq!(store.spoilt, 0);
    assert!(store.numbers.iter().all(|numbers| numbers.is_sorted()));
    Ok(())
}

#[test]
fn messages_larger_than_frames_arrive_whole_over_connections_that_break_anywhere() {
    let scenario = Scenario { make: store, play: fill };
    scenario.explore(0..10).expect_none();
    scenario.determined(0..2).unwrap();
    let mut replayed = 0;
    for seed in 0..5 {
        replayed += scenario.run(seed, Choices::seeded(seed)).0.pipes().replayed_frames;
    }
    assert!(replayed > 10, "only {replayed} frames were sent again");
}

#[test]
fn a_session_that_ends_without_a_word_is_followed_by_one_and_not_by_many() {
    for seed in 0..40 {
        let mut sim = tormented(seed, Pipes::default());
        let before = sim.pipes();
        let port = sim.port_on(ONE);
        sim.send(port, AgentId(1), Word::Flood(AgentId(2), 9)).unwrap();
        sim.lose_session(ONE, TWO);
        sim.run_for(5 * SECOND).unwrap();
        let after = sim.pipes();
        assert!(after.dialed <= before.dialed + 3, "seed {seed}: {after:?}");
        let ended = diary(&sim, 1).downs.len();
        assert!((1..=2).contains(&ended), "seed {seed}: {ended} sessions ended");
        let heard = diary(&sim, 2).numbers.len();
        sim.send(port, AgentId(1), Word::Flood(AgentId(2), 9)).unwrap();
        sim.run_for(SECOND).unwrap();
        assert_eq!(diary(&sim, 2).numbers.len(), heard + 9, "seed {seed}");
    }
}
