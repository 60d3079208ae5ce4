//! Leaving without losing.

use std::time::Duration;

use dx_transport::lane::Lane;
use dx_transport::mesh::{DownReason, PeerEvent, SendError};
use dx_transport::session::CloseCode;

use super::subject::{Subject, event, expect, peer, soon, start};

const ENOUGH: Duration = Duration::from_mins(1);

fn len(number: u64) -> usize {
    if number.is_multiple_of(10) { 100_000 } else { 200 }
}

pub async fn a_drain_delivers_what_was_accepted(subject: &Subject) {
    let (one, two) = subject.pair().await;
    let sender = peer(&one, 2);
    let mut accepted = 0;
    while sender
        .try_send_bytes(Lane::DATA, super::subject::message(accepted, len(accepted)))
        .is_ok()
    {
        accepted += 1;
    }
    assert!(accepted > 50);
    let (report, ()) =
        tokio::join!(soon(one.drain(ENOUGH)), expect(&two, Lane::DATA, 0..accepted, len));
    assert!(report.is_complete(), "{report:?}");
    assert!(matches!(sender.try_send(Lane::DATA, b"late"), Err(SendError::Closed)));
}

pub async fn a_drained_peer_is_down_at_once(subject: &Subject) {
    let (one, two) = subject.pair().await;
    soon(one.drain(ENOUGH)).await;
    let reason = event(&two, |event| match event {
        PeerEvent::Down { reason, .. } => Some(reason),
        PeerEvent::Lost { .. } => panic!("a drain lost something: {event:?}"),
        _ => None,
    });
    assert!(matches!(reason.await, DownReason::Closed { code: CloseCode::Drained, .. }));
    // Its place is free: it comes back in another life.
    let one = start(subject.config(1, 2)).await;
    super::subject::introduce(&one, &two);
    super::subject::up(&two, 1).await;
}
