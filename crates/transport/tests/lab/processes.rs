//! Processes that are killed, and paused for longer or shorter than detectors wait.

use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{DownReason, Mesh};

use crate::hosts::{
    LostRange, NEVER, SOON, address, assert_unharmed, config, down, restarted, start, two_hosts,
    until, up_over,
};
use crate::over_each_transport;
use crate::program::{Program, report};
use crate::subject::{events, expect, message, send, soon, up};

over_each_transport!(
    a_node_that_is_killed_under_load_is_restarted_and_repeats_nothing,
    a_paused_node_is_down_for_those_who_noticed_and_holds_its_stall_against_nobody,
);

/// Messages that have come back before the next thing happens.
const ENOUGH: u64 = 5_000;
/// Messages that are under way at any time: fewer than the peer has credit for.
const UNDER_WAY: u64 = 500;

fn small(_: u64) -> usize {
    200
}

/// Numbered messages to node 2, which sends them back.
struct Load<'a> {
    mesh: &'a Mesh,
    sent: u64,
}

impl Load<'_> {
    async fn send(&mut self, count: u64) {
        send(self.mesh, 2, Lane::DATA, self.sent..self.sent + count, small).await;
        self.sent += count;
    }

    /// Sends one for each that comes back from node 2's `life`th incarnation, until they are
    /// [`ENOUGH`]. They come one after the other: returns the first, and the one after the last.
    async fn run(&mut self, life: u64) -> (u64, u64) {
        self.send(UNDER_WAY).await;
        let mut range: Option<(u64, u64)> = None;
        while range.is_none_or(|(first, next)| next - first < ENOUGH) {
            let batch = soon(self.mesh.recv(Lane::DATA)).await;
            if range.is_none() && batch.incarnation().0 < life {
                // What the life before sent back, and nobody has taken.
                continue;
            }
            assert_eq!(batch.incarnation().0, life, "a message of another life");
            for echo in &batch {
                let number = u64::from_le_bytes(echo[..8].try_into().unwrap());
                let (_, next) = range.get_or_insert((number, number));
                assert_eq!(number, *next, "in life {life}");
                assert_eq!(*echo, *message(number, small(number)));
                *next += 1;
            }
            self.send(batch.count()).await;
        }
        range.unwrap()
    }
}

async fn a_node_that_is_killed_under_load_is_restarted_and_repeats_nothing(
    transport: &'static str,
) {
    let Some((_lab, hosts)) = two_hosts("killed") else { return };
    let one = start(&hosts[0], config(transport, 1, 1, NEVER));
    let to_two = one.add_peer(NodeId(2), vec![address(transport, &hosts[1])]).unwrap();
    let lane = || to_two.status().lanes[Lane::DATA.index()].clone();
    let peers = vec![(1, address(transport, &hosts[0]).to_string())];
    let program = Program::new(transport, NEVER, peers);
    let mut process = program.start(&hosts[1], 1);
    assert_eq!(up_over(&one, 2).await, (false, transport));

    let mut load = Load { mesh: &one, sent: 0 };
    let (first, _) = load.run(1).await;
    assert_eq!(first, 0);
    // Paused first, it certainly does not acknowledge what is sent last.
    process.pause().unwrap();
    let before = load.sent;
    load.send(UNDER_WAY).await;
    until(|| lane().sent_messages > before).await;
    process.kill().unwrap();
    if transport != "quic" {
        // The kernel of the peer's host says at once that nobody is there.
        assert_eq!(down(&one, 2).await, DownReason::Refused);
    }
    let _process = program.start(&hosts[1], 2);
    let (lives, lost) = restarted(&one, 2).await;
    assert_eq!(lives, (1, 2));
    let [LostRange { from, to }] = lost[..] else { panic!("{lost:?}") };
    assert!(from < to && before < to, "{from} to {to} of {before}");
    let (first, _) = load.run(2).await;
    assert_eq!(first, to, "a lost message came, or more is missing");
    assert_eq!((to_two.status().sessions, lane().lost_messages), (2, to - from));
}

/// Node 2 stands still for longer than its own detector waits and than node 3's does, and for
/// less than node 1's.
async fn a_paused_node_is_down_for_those_who_noticed_and_holds_its_stall_against_nobody(
    transport: &'static str,
) {
    let Some((lab, hosts)) = two_hosts("paused") else { return };
    let third = lab.host("three").unwrap();
    let one = start(&hosts[0], config(transport, 1, 1, NEVER));
    let three = start(&third, config(transport, 3, 1, SOON * 3));
    for mesh in [&one, &three] {
        mesh.add_peer(NodeId(2), vec![address(transport, &hosts[1])]).unwrap();
    }
    let peers = [(1, &hosts[0]), (3, &third)];
    let peers = peers.map(|(node, host)| (node, address(transport, host).to_string()));
    let program = Program::new(transport, SOON * 2, peers.to_vec());
    let mut process = program.start(&hosts[1], 1);
    up(&one, 2).await;
    up(&three, 2).await;
    tokio::join!(send(&one, 2, Lane::DATA, 0..100, small), expect(&one, Lane::DATA, 0..100, small));

    // Node 1 says nothing meanwhile: node 2 has no reason but its own stall to go on trusting it.
    process.pause().unwrap();
    send(&three, 2, Lane::DATA, 0..100, small).await;
    assert_eq!(down(&three, 2).await, DownReason::Silent);
    process.resume().unwrap();

    assert_eq!(up_over(&three, 2).await, (true, transport));
    expect(&three, Lane::DATA, 0..100, small).await;
    tokio::join!(
        send(&one, 2, Lane::DATA, 100..200, small),
        expect(&one, Lane::DATA, 100..200, small)
    );
    let seen = report(&one).await;
    assert!(!seen.downs.contains(&1), "{seen:?}");
    assert!(seen.stalled_us > 1_000_000, "{seen:?}");
    let told = events(&one);
    assert!(told.is_empty(), "{told:?}");
    assert_unharmed(&one, 2);
    assert_unharmed(&three, 2);
    process.kill().unwrap();
}
