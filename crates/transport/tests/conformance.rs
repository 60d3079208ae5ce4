//! The conformance suite over every built-in transport: one set of rules, unchanged.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "conformance/suite.rs"]
mod suite;

use suite::subject::Subject;

suite::conformance!(memory, Subject::named("memory"));
#[cfg(feature = "tcp")]
suite::conformance!(tcp, Subject::named("tcp"));
#[cfg(feature = "tls")]
suite::conformance!(tls, Subject::named("tls"));
#[cfg(feature = "quic")]
suite::conformance!(quic, Subject::named("quic"));

/// QUIC is blocked, TCP takes over, and the conversation goes on where it was.
#[cfg(all(feature = "quic", feature = "tls"))]
#[tokio::test]
async fn a_session_moves_from_quic_to_tls_and_loses_nothing() {
    suite::delivery::a_session_survives_a_change_of_transport(
        &Subject::named("quic"),
        &Subject::named("tls"),
    )
    .await;
}
