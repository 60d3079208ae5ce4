//! Being told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ready when Ctrl-C (true) or a polite `kill` (false) asks this process to stop. Signals count
/// from the first poll on.
pub async fn told_to_stop() -> bool {
    let mut interrupt = listen(SignalKind::interrupt());
    let mut terminate = listen(SignalKind::terminate());
    tokio::select! {
        _ = interrupt.recv() => true,
        _ = terminate.recv() => false,
    }
}

/// Ready when Ctrl-C is pressed (again).
pub async fn interrupted() {
    listen(SignalKind::interrupt()).recv().await;
}

fn listen(kind: SignalKind) -> Signal {
    signal(kind).expect("these two can be listened to")
}
