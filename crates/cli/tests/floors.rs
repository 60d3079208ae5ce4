//! A floor with other settings than dx's would measure the settings.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::fs;
use std::path::Path;

/// Floors, and where dx keeps the constants that they repeat.
const PAIRS: [(&str, &[&str]); 2] = [
    ("cli/src/bench/floor/socket.rs", &["transport/src/transport/socket.rs"]),
    (
        "cli/src/bench/floor/quic.rs",
        &["transport/src/transport/quic/config.rs", "transport/src/transport/quic/endpoint.rs"],
    ),
];

fn source(file: &str) -> String {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(crates.join(file)).unwrap()
}

/// Lines like `const NAME: u32 = 1;`, without what makes them visible.
fn constants(source: &str) -> Vec<&str> {
    let lines = source.lines().map(|line| line.trim_start_matches("pub "));
    lines.filter(|line| line.starts_with("const ")).collect()
}

#[test]
fn floors_repeat_the_settings_of_dx() {
    for (floor, originals) in PAIRS {
        let floor_source = source(floor);
        let shared: String = originals.iter().map(|file| source(file)).collect();
        let originals = constants(&shared);
        let own = ["const READ_CHUNKS"];
        for line in constants(&floor_source) {
            let is_own = own.iter().any(|name| line.starts_with(name));
            assert!(is_own || originals.contains(&line), "{floor}: dx has no `{line}`");
        }
    }
}
