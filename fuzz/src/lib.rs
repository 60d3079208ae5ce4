//! What the fuzz targets share: a node under test with its invariants, a peer that may lie, and a disk.

pub mod disk;
pub mod node;
pub mod peer;

use dx_transport::lane::{Delivery, LaneConfig, Overflow};

/// Three lanes that differ in all that matters to a receiver.
#[must_use]
pub fn lanes() -> Vec<LaneConfig> {
    let lane = |max_message, delivery, overflow| LaneConfig {
        delivery,
        overflow,
        queue_bytes: 128 * 1024,
        replay_bytes: 128 * 1024,
        window_bytes: 192 * 1024,
        max_message,
        ..LaneConfig::new("fuzz", 1)
    };
    vec![
        lane(1000, Delivery::Reliable, Overflow::Refuse),
        lane(300_000, Delivery::Reliable, Overflow::EndSession),
        lane(300_000, Delivery::AtMostOnce, Overflow::DropOldest),
    ]
}

/// Text that goes to a terminal or a log must not steer it.
///
/// # Panics
/// If `text` has control characters or is longer than a line may be.
pub fn assert_printable(text: &str) {
    assert!(!text.contains(char::is_control), "control characters in {text:?}");
    assert!(text.len() < 4096, "a text of {} bytes", text.len());
}
