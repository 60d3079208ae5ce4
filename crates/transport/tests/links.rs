//! What every link must do, run unchanged over all transports.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

#[cfg(any(feature = "tls", feature = "quic"))]
#[path = "links/certificates.rs"]
mod certificates;
#[path = "links/fixture.rs"]
mod fixture;

use std::future::poll_fn;
use std::io::{IoSliceMut, Write};
use std::task::{Context, Poll};
#[cfg(feature = "tls")]
use std::time::Duration;

use bytes::Bytes;
use dx_transport::id::NodeId;
use dx_transport::session::SendQueue;
use dx_transport::transport::{BindError, DialError};

use fixture::{End, Fixture, LANES, pattern};

/// Each rule as a test of its own for each transport.
macro_rules! for_all_transports {
    ($($rule:ident)*) => {
        for_all_transports! { @ memory "memory" [$($rule)*] }
        #[cfg(feature = "tcp")]
        for_all_transports! { @ tcp "tcp" [$($rule)*] }
        #[cfg(feature = "tls")]
        for_all_transports! { @ tls "tls" [$($rule)*] }
        #[cfg(feature = "quic")]
        for_all_transports! { @ quic "quic" [$($rule)*] }
    };
    (@ $transport:ident $name:literal [$($rule:ident)*]) => {
        mod $transport {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::$rule(super::Fixture::new($name)).await;
            })*
        }
    };
}

for_all_transports! {
    bytes_arrive_in_order_on_every_channel
    both_directions_flow_at_once
    vectored_writes_keep_their_order
    reads_fill_several_slots
    a_full_link_holds_the_writer_back
    closing_delivers_what_was_written
    closing_delivers_although_the_peer_wrote_unread_bytes
    a_dropped_end_is_seen_by_the_other
    a_stalled_channel_never_holds_up_another
    a_dial_to_nobody_is_refused
    a_taken_endpoint_is_reported
    an_endpoint_is_free_again_when_its_listener_is_gone
    a_listener_tells_where_it_listens
    a_link_knows_its_path
}

async fn a_link_knows_its_path(fixture: Fixture) {
    let (mut dialer, mut acceptor) = fixture.pair().await;
    dialer.write(0, &[1; 64]).await;
    acceptor.read(0, 64).await;
    let stats = dialer.link.stats();
    let knows = stats.rtt_us > 0 && stats.congestion_window > 0;
    assert_eq!(knows, fixture.has_path(), "{stats:?}");
}

async fn bytes_arrive_in_order_on_every_channel(fixture: Fixture) {
    let (mut dialer, mut acceptor) = fixture.pair().await;
    for channel in 0..dialer.link.channels() {
        for length in [1, 17, 70_000, 300_000] {
            let sent = pattern(length, channel);
            let (received, ()) =
                tokio::join!(acceptor.read(channel, length), dialer.write(channel, &sent));
            assert!(received == sent, "{length} bytes on channel {channel}");
        }
    }
}

async fn both_directions_flow_at_once(fixture: Fixture) {
    const LENGTH: usize = 8 * 1024 * 1024;
    let (mut dialer, mut acceptor) = fixture.pair().await;
    let (there, back) = (pattern(LENGTH, 1), pattern(LENGTH, 2));
    let (at_acceptor, at_dialer) =
        tokio::join!(acceptor.exchange(0, &back, LENGTH), dialer.exchange(0, &there, LENGTH));
    assert!(at_acceptor == there && at_dialer == back);
}

async fn vectored_writes_keep_their_order(fixture: Fixture) {
    let (mut dialer, mut acceptor) = fixture.pair().await;
    let sent = pattern(200_000, 3);
    let mut queue = SendQueue::default();
    let mut rest = Bytes::from(sent.clone());
    // More segments than go into one write, of all lengths.
    for length in (1..).take_while(|length| length * length / 2 < 200_000) {
        queue.push(rest.split_to(length.min(rest.len())));
    }
    queue.push(rest);
    assert!(queue.segments() > 500);
    let (received, ()) = tokio::join!(acceptor.read(0, 200_000), dialer.write_queue(0, &mut queue));
    assert!(received == sent);
}

async fn reads_fill_several_slots(fixture: Fixture) {
    let (mut dialer, mut acceptor) = fixture.pair().await;
    let sent = pattern(1000, 4);
    dialer.write(0, &sent).await;
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let mut slots = [[0; 100]; 3];
        let [a, b, c] = &mut slots;
        let mut slices = [IoSliceMut::new(a), IoSliceMut::new(b), IoSliceMut::new(c)];
        let count = poll_fn(|cx| acceptor.link.poll_read(cx, 0, &mut slices)).await.unwrap();
        assert!((1..=300).contains(&count));
        received.write_all(&slots.concat()[..count]).unwrap();
    }
    assert!(received == sent);
}

async fn a_full_link_holds_the_writer_back(fixture: Fixture) {
    /// More than any transport may buffer.
    const ENOUGH: usize = 256 * 1024 * 1024;
    let (mut dialer, mut acceptor) = fixture.pair().await;
    let block = Bytes::from(pattern(64 * 1024, 5));
    let mut written = 0;
    let mut queue = SendQueue::default();
    while written < ENOUGH {
        queue.push(block.clone());
        let progress = poll_fn(|cx| {
            Poll::Ready(match dialer.link.poll_write(cx, 0, &mut queue) {
                Poll::Ready(count) => Some(count.unwrap()),
                Poll::Pending => None,
            })
        });
        match progress.await {
            Some(count) => written += count,
            None => break,
        }
    }
    assert!(written < ENOUGH, "nothing held the writer back");
    let total = written + queue.len();
    let (received, ()) = tokio::join!(acceptor.read(0, total), dialer.write_queue(0, &mut queue));
    assert!(received.chunks(block.len()).all(|chunk| chunk == &block[..chunk.len()]));
}

async fn closing_delivers_what_was_written(fixture: Fixture) {
    let (mut dialer, mut acceptor) = fixture.pair().await;
    let sent = pattern(100_000, 6);
    let closed = async {
        dialer.write(0, &sent).await;
        dialer.close().await;
        drop(dialer);
    };
    let read_all = async {
        let received = acceptor.read(0, sent.len()).await;
        assert_eq!(acceptor.read_some(0, 1).await.unwrap(), b"", "the end follows");
        drop(acceptor);
        received
    };
    let (received, ()) = tokio::join!(read_all, closed);
    assert!(received == sent);
}

async fn closing_delivers_although_the_peer_wrote_unread_bytes(fixture: Fixture) {
    let (mut dialer, mut acceptor) = fixture.pair().await;
    acceptor.write(0, &pattern(10_000, 7)).await;
    // More than the peer's kernel has room for: some of it is still here when this end closes.
    let sent = pattern(1_000_000, 8);
    let closed = async {
        dialer.write(0, &sent).await;
        dialer.close().await;
        drop(dialer);
    };
    let read_all = async {
        let received = acceptor.read(0, sent.len()).await;
        drop(acceptor);
        received
    };
    // Closing goes first.
    let ((), received) = tokio::join!(biased; closed, read_all);
    assert!(received == sent);
}

async fn a_dropped_end_is_seen_by_the_other(fixture: Fixture) {
    let (dialer, mut acceptor) = fixture.pair().await;
    // It waits for bytes when that happens.
    let (seen, ()) = tokio::join!(biased; acceptor.read_some(0, 1), async { drop(dialer) });
    assert!(matches!(seen.as_deref(), Ok([]) | Err(_)), "{seen:?}");
    // Sooner or later writing fails, too.
    let block = Bytes::from(pattern(64 * 1024, 9));
    let mut queue = SendQueue::default();
    loop {
        queue.push(block.clone());
        if poll_fn(|cx| acceptor.link.poll_write(cx, 0, &mut queue)).await.is_err() {
            return;
        }
    }
}

async fn a_stalled_channel_never_holds_up_another(fixture: Fixture) {
    let (mut dialer, mut acceptor) = fixture.pair().await;
    let last = dialer.link.channels() - 1;
    if last == 0 {
        return;
    }
    let mut bulk = SendQueue::default();
    let block = Bytes::from(pattern(64 * 1024, 11));
    let mut pending = false;
    while !pending {
        bulk.push(block.clone());
        let write = |cx: &mut Context<'_>| {
            Poll::Ready(dialer.link.poll_write(cx, last, &mut bulk).is_pending())
        };
        pending = poll_fn(write).await;
    }
    for round in 0..100 {
        let ping = pattern(64, round);
        dialer.write(0, &ping).await;
        assert!(acceptor.read(0, 64).await == ping);
        acceptor.write(0, &ping).await;
        assert!(dialer.read(0, 64).await == ping);
    }
}

async fn a_dial_to_nobody_is_refused(fixture: Fixture) {
    let endpoint = {
        let listener = fixture.listen().await;
        listener.endpoint()
    };
    let error = fixture.dialer().dial(&endpoint, NodeId(1), LANES).await.err().unwrap();
    assert!(matches!(error, DialError::Refused(_)), "{error}");
    assert!(error.is_refusal());
}

async fn a_taken_endpoint_is_reported(fixture: Fixture) {
    let listener = fixture.listen().await;
    let error = fixture.acceptor().bind(&listener.endpoint()).await.err().unwrap();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
}

async fn an_endpoint_is_free_again_when_its_listener_is_gone(fixture: Fixture) {
    let (dialer, acceptor) = fixture.pair().await;
    drop((dialer, acceptor));
    let endpoint = fixture.listen().await.endpoint();
    fixture.acceptor().bind(&endpoint).await.unwrap();
}

async fn a_listener_tells_where_it_listens(fixture: Fixture) {
    let mut listener = fixture.listen().await;
    let endpoint = listener.endpoint();
    assert!(!endpoint.ends_with(":0"), "{endpoint}");
    let (mut dialer, mut acceptor): (End, End) = fixture.connect(&endpoint, &mut listener).await;
    dialer.write(0, b"hello").await;
    assert_eq!(acceptor.read(0, 5).await, b"hello");
}

#[cfg(feature = "tcp")]
mod hosts {
    use super::*;

    const HOST_TRANSPORTS: &[&str] = &[
        "tcp",
        #[cfg(feature = "tls")]
        "tls",
        #[cfg(feature = "quic")]
        "quic",
    ];

    #[tokio::test]
    async fn a_host_name_is_resolved_and_all_its_addresses_are_tried() {
        for name in HOST_TRANSPORTS {
            let fixture = Fixture::new(name);
            let mut listener = fixture.listen_at("127.0.0.1:0").await;
            // `localhost` may be ::1 first, where nobody listens.
            let endpoint = listener.endpoint().replace("127.0.0.1", "localhost");
            fixture.connect(&endpoint, &mut listener).await;
        }
    }

    #[tokio::test]
    async fn ipv6_works() {
        for name in HOST_TRANSPORTS {
            let fixture = Fixture::new(name);
            let mut listener = fixture.listen_at("[::1]:0").await;
            let endpoint = listener.endpoint();
            assert!(endpoint.starts_with("[::1]:"), "{endpoint}");
            fixture.connect(&endpoint, &mut listener).await;
        }
    }

    #[tokio::test]
    async fn a_bad_endpoint_is_explained() {
        for name in HOST_TRANSPORTS {
            let transport = Fixture::new(name).dialer();
            for endpoint in ["nonsense", "127.0.0.1:99999", "no-such-host.invalid:1"] {
                let error = transport.dial(endpoint, NodeId(1), LANES).await.err().unwrap();
                assert!(matches!(error, DialError::Endpoint { .. }), "{error}");
                let error = transport.bind(endpoint).await.err().unwrap();
                assert!(matches!(error, BindError::Endpoint { .. }), "{error}");
            }
            // A documentation address, which no interface has.
            let error = transport.bind("192.0.2.1:0").await.err().unwrap();
            assert!(matches!(error, BindError::Endpoint { .. }), "{error}");
        }
    }
}

/// How much may lie ahead of a control message where all lanes share one stream.
#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn little_lies_ahead_of_a_control_message() {
    const MOST: usize = 512 * 1024;
    const GROWTH: usize = 64 * 1024 * 1024;
    for name in ["memory", "tcp", "tls"] {
        let (mut dialer, mut acceptor) = Fixture::new(name).pair().await;
        // A kernel that grows buffers by itself has the occasion.
        let bulk = vec![0; GROWTH];
        let (_, ()) = tokio::join!(acceptor.read(0, GROWTH), dialer.write(0, &bulk));
        let block = Bytes::from(pattern(64 * 1024, 12));
        let mut queue = SendQueue::default();
        let mut ahead = 0;
        loop {
            queue.push(block.clone());
            let write = poll_fn(|cx| dialer.link.poll_write(cx, 0, &mut queue));
            // The clock is paused: it jumps once nothing can happen any more.
            match tokio::time::timeout(Duration::from_secs(1), write).await {
                Ok(written) => ahead += written.unwrap(),
                Err(_) => break,
            }
        }
        assert!((64 * 1024..=MOST).contains(&ahead), "{name}: {ahead} bytes");
        drop(acceptor);
    }
}

#[cfg(feature = "quic")]
mod over_quic {
    use super::*;

    use crate::fixture::ACCEPTOR;

    #[tokio::test]
    async fn datagrams_arrive() {
        let (mut dialer, mut acceptor) = Fixture::new("quic").pair().await;
        let most = dialer.link.max_datagram().unwrap();
        assert!(most > 1000, "{most}");
        for length in [0, 1, most] {
            let sent = Bytes::from(pattern(length, length));
            dialer.link.send_datagram(sent.clone()).unwrap();
            let received = poll_fn(|cx| acceptor.link.poll_datagram(cx)).await.unwrap();
            assert!(received == sent, "{length} bytes");
        }
        let too_large = dialer.link.send_datagram(Bytes::from(vec![0; most + 1]));
        assert_eq!(too_large.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }

    /// On one thread nothing is sent before both are written.
    #[tokio::test]
    async fn control_overtakes_bulk_that_was_written_before() {
        let (mut dialer, mut acceptor) = Fixture::new("quic").pair().await;
        let mut queue = SendQueue::default();
        queue.push(Bytes::from(vec![0; 16 * 1024 * 1024]));
        let most = queue.len();
        // As much as the peer allows on one stream.
        let fill = |cx: &mut Context<'_>| {
            while !queue.is_empty() && dialer.link.poll_write(cx, LANES - 1, &mut queue).is_ready()
            {
            }
            Poll::Ready(())
        };
        poll_fn(fill).await;
        let bulk = most - queue.len();
        dialer.write(0, b"control").await;
        assert_eq!(acceptor.read(0, 7).await, b"control");
        let mut arrived = 0;
        let mut buffer = vec![0; 65_536];
        poll_fn(|cx| {
            let mut slots = [IoSliceMut::new(&mut buffer)];
            while let Poll::Ready(count) = acceptor.link.poll_read(cx, LANES - 1, &mut slots) {
                arrived += count.unwrap();
            }
            Poll::Ready(())
        })
        .await;
        assert!(arrived < bulk / 2, "{arrived} of {bulk} bytes came first");
    }

    #[tokio::test]
    async fn what_was_delivered_can_be_read_after_the_link_has_ended() {
        let (mut dialer, mut acceptor) = Fixture::new("quic").pair().await;
        let sent = pattern(20_000, 10);
        dialer.write(LANES - 1, &sent).await;
        dialer.close().await;
        drop(dialer);
        // Channels that were never used end, too; so the end has arrived.
        assert_eq!(acceptor.read_some(0, 1).await.unwrap(), b"");
        assert!(acceptor.read(LANES - 1, sent.len()).await == sent);
        assert_eq!(acceptor.read_some(LANES - 1, 1).await.unwrap(), b"");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_host_is_given_up() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let endpoint = silent.local_addr().unwrap().to_string();
        let error = Fixture::new("quic").dialer().dial(&endpoint, ACCEPTOR, LANES).await;
        let error = error.err().unwrap();
        assert!(matches!(error, DialError::Timeout(_)), "{error}");
        assert!(!error.is_refusal());
    }

    #[test]
    fn a_transport_outlives_the_runtime_it_was_first_used_on() {
        let fixture = Fixture::new("quic");
        for _ in 0..2 {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let (mut dialer, mut acceptor) = fixture.pair().await;
                dialer.write(0, b"hello").await;
                assert_eq!(acceptor.read(0, 5).await, b"hello");
            });
        }
    }
}
