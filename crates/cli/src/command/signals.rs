//! Being told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ready when Ctrl-C (true) or a polite `kill` (false) asks this process to stop. Signals count
/// from the call on, which is to be within a runtime.
pub fn told_to_stop() -> impl Future<Output = bool> {
    let mut interrupt = listen(SignalKind::interrupt());
    let mut terminate = listen(SignalKind::terminate());
    async move {
        tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => false,
        }
    }
}

/// Ready when Ctrl-C is pressed (again).
pub async fn interrupted() {
    listen(SignalKind::interrupt()).recv().await;
}

fn listen(kind: SignalKind) -> Signal {
    signal(kind).expect("these can be listened to")
}

/// Ctrl-C, and what else asks to stop, pressed again and again. None is missed from the beginning
/// on.
pub struct Presses {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Presses {
    /// Listens from now on.
    pub fn listen() -> Self {
        Self {
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
            hang_up: listen(SignalKind::hangup()),
        }
    }

    /// Ready with each press.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
