//! Order, once, and whole.

use std::sync::atomic::{AtomicBool, Ordering};

use dx_transport::lane::Lane;
use dx_transport::mesh::PeerEvent;

use super::subject::{Subject, event, events, expect, introduce, peer, send, soon, start, up};

const LANES: [Lane; 3] = [Lane::CONTROL, Lane::DATA, Lane::BULK];

fn mixed(number: u64) -> usize {
    match number % 17 {
        0 => 70_000 + number as usize,
        1 | 2 => 5_000,
        _ => 8 + (number as usize * 7) % 900,
    }
}

pub async fn messages_arrive_whole_and_in_order_on_every_lane(subject: &Subject) {
    let (one, two) = subject.pair().await;
    let (one, two) = (&one, &two);
    let both_ways = LANES.map(|lane| async move {
        tokio::join!(
            send(one, 2, lane, 0..500, mixed),
            send(two, 1, lane, 0..500, mixed),
            expect(one, lane, 0..500, mixed),
            expect(two, lane, 0..500, mixed),
        );
    });
    let [control, data, bulk] = both_ways;
    tokio::join!(control, data, bulk);
}

/// Messages flow in both directions on two lanes while every link is broken as soon as messages
/// have come over it.
pub async fn a_thousand_broken_links_under_load_lose_and_repeat_nothing(subject: &Subject) {
    const BREAKS: u64 = 1000;
    let (config, cables) = subject.fragile(1);
    let one = start(eager(config)).await;
    let two = start(eager(subject.config(2, 1))).await;
    introduce(&one, &two);
    up(&one, 2).await;
    up(&two, 1).await;

    let is_over = AtomicBool::new(false);
    let breaker = async {
        let mut heard = 0;
        for broken in 0..BREAKS {
            soon(reconnects_beyond(&one, broken)).await;
            heard = soon(progress_beyond(&one, &two, heard)).await;
            cables.break_all();
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let flow = async |from: &dx_transport::mesh::Mesh, to: u32, lane: Lane| {
        let mut sent = 0;
        while !is_over.load(Ordering::Relaxed) {
            send(from, to, lane, sent..sent + 10, mixed).await;
            sent += 10;
            tokio::task::yield_now().await;
        }
        let peer = peer(from, to);
        peer.send_bytes(lane, bytes::Bytes::new()).await.unwrap();
        sent
    };
    let drain = async |at: &dx_transport::mesh::Mesh, lane: Lane| {
        let mut next = 0;
        loop {
            for message in &soon(at.recv(lane)).await {
                if message.is_empty() {
                    return next;
                }
                assert_eq!(*message, *super::subject::message(next, mixed(next)), "message {next}");
                next += 1;
            }
        }
    };
    let ((), sent_data, sent_bulk, sent_back, data, bulk, back) = tokio::join!(
        breaker,
        flow(&one, 2, Lane::DATA),
        flow(&one, 2, Lane::BULK),
        flow(&two, 1, Lane::DATA),
        drain(&two, Lane::DATA),
        drain(&two, Lane::BULK),
        drain(&one, Lane::DATA),
    );
    assert_eq!((data, bulk, back), (sent_data, sent_bulk, sent_back));
    assert!(data > BREAKS, "{data} messages are no load");
    let status = peer(&one, 2).status();
    assert!(status.reconnects >= BREAKS, "{} reconnects", status.reconnects);
    assert_eq!(status.sessions, 1, "the session was not the same all along");
    for mesh in [&one, &two] {
        let lost = events(mesh).into_iter().find(|event| matches!(event, PeerEvent::Lost { .. }));
        assert!(lost.is_none(), "{lost:?}");
    }
}

/// Redials at once, so that a thousand breaks do not take an hour.
fn eager(config: dx_transport::mesh::MeshConfig) -> dx_transport::mesh::MeshConfig {
    let dialing = dx_transport::mesh::Dialing {
        backoff_min: std::time::Duration::from_micros(100),
        backoff_max: std::time::Duration::from_millis(1),
        grace: std::time::Duration::from_millis(1),
        ..dx_transport::mesh::Dialing::default()
    };
    let bounds = dx_transport::mesh::Bounds {
        connections_per_second: 1_000_000,
        connection_burst: 1_000_000,
        ..dx_transport::mesh::Bounds::default()
    };
    config.dialing(dialing).bounds(bounds)
}

/// Waits until there is a link again after `broken` of them: what was under way when one broke
/// still counts as progress, and must not count as the next break.
async fn reconnects_beyond(one: &dx_transport::mesh::Mesh, broken: u64) {
    while peer(one, 2).status().reconnects < broken {
        tokio::task::yield_now().await;
    }
}

/// Waits until both nodes together have received more than `heard` bytes; returns how many.
async fn progress_beyond(
    one: &dx_transport::mesh::Mesh,
    two: &dx_transport::mesh::Mesh,
    heard: u64,
) -> u64 {
    loop {
        let received = |mesh, node| peer(mesh, node).received(Lane::DATA).bytes;
        let now = received(one, 2) + received(two, 1);
        if now > heard {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

/// While 64 MiB are under way, pings go back and forth, and each comes before the large message.
pub async fn a_message_of_64_mib_lets_pings_pass(subject: &Subject) {
    const LARGE: usize = 64 << 20;
    let (one, two) = subject.pair().await;
    let sender = peer(&one, 2);
    sender.send_bytes(Lane::BULK, super::subject::message(1, LARGE)).await.unwrap();
    let pings = async {
        let mut count = 0;
        while peer(&two, 1).received(Lane::BULK).messages == 0 {
            sender.send(Lane::CONTROL, b"ping").await.unwrap();
            let ping = soon(two.recv(Lane::CONTROL)).await;
            assert_eq!(ping.count(), 1);
            count += 1;
        }
        count
    };
    let (pings, ()) = tokio::join!(pings, expect(&two, Lane::BULK, 1..2, |_| LARGE));
    assert!(pings > 3, "only {pings} pings passed");
}

/// The first transport's links all break and it lets nobody connect any more.
pub async fn a_session_survives_a_change_of_transport(first: &Subject, second: &Subject) {
    let (config, cables) = first.fragile(1);
    let credentials = super::subject::credentials(1);
    let one = start(config.transport(second.transport(&credentials))).await;
    let credentials = super::subject::credentials(2);
    let both = first.config_with(2, 1, credentials.clone());
    let both = both.transport(second.transport(&credentials)).listen(second.address());
    let two = start(both).await;
    one.add_peer(two.node(), two.endpoints().to_vec()).unwrap();
    two.add_peer(one.node(), Vec::new()).unwrap();
    let name = transport_of(&one).await;
    assert_eq!(name, first.name);
    up(&two, 1).await;

    send(&one, 2, Lane::DATA, 0..300, mixed).await;
    cables.forbid();
    cables.break_all();
    tokio::join!(
        send(&one, 2, Lane::DATA, 300..600, mixed),
        expect(&two, Lane::DATA, 0..600, mixed)
    );
    let status = peer(&one, 2).status();
    assert_eq!((status.transport, status.sessions), (Some(second.name), 1));
}

async fn transport_of(mesh: &dx_transport::mesh::Mesh) -> &'static str {
    event(mesh, |event| match event {
        PeerEvent::Up { transport, .. } => Some(transport),
        _ => None,
    })
    .await
}
