//! Meshes on hosts of a laboratory: cables are cut, hosts vanish, processes are killed and
//! paused. What happens is awaited by events and counters, whatever time it takes.
//!
//! Where the machine has no laboratory, a test says `skipped` and why.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "mesh/fragile.rs"]
#[allow(dead_code, reason = "the laboratory has cables of its own")]
mod fragile;
#[path = "conformance/subject.rs"]
#[allow(dead_code, reason = "the conformance suite uses the rest")]
mod subject;

#[path = "lab/hosts.rs"]
mod hosts;
#[path = "lab/program.rs"]
mod program;

#[path = "lab/cables.rs"]
mod cables;
#[path = "lab/firewall.rs"]
mod firewall;
#[path = "lab/processes.rs"]
mod processes;

/// Makes a test of each rule for each transport that crosses a cable.
macro_rules! over_each_transport {
    ($($rule:ident),* $(,)?) => {
        $crate::over_each_transport!(@one tcp: $($rule),*);
        $crate::over_each_transport!(@one tls: $($rule),*);
        $crate::over_each_transport!(@one quic: $($rule),*);
    };
    (@one $transport:ident: $($rule:ident),*) => {
        mod $transport {
            $(
                #[tokio::test]
                async fn $rule() {
                    super::$rule(stringify!($transport)).await;
                }
            )*
        }
    };
}
use over_each_transport;
