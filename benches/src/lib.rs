//! Micro-benches of session and codec: `cargo bench -p dx-benches`.
