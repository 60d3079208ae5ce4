//! Rings in the deterministic world, and what must hold there whatever goes wrong.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stdout, reason = "it says what it took")]

#[path = "simulated/calm.rs"]
mod calm;
#[path = "simulated/faults.rs"]
mod faults;
#[path = "simulated/founding.rs"]
mod founding;
#[path = "simulated/models.rs"]
mod models;
#[path = "simulated/naive.rs"]
mod naive;
#[path = "simulated/oracle.rs"]
mod oracle;
#[path = "simulated/recorder.rs"]
mod recorder;
#[path = "simulated/rounds.rs"]
mod rounds;
#[path = "simulated/runs.rs"]
mod runs;
#[path = "simulated/small.rs"]
mod small;
#[path = "simulated/throughput.rs"]
mod throughput;
