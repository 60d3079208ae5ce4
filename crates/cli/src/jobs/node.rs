//! How much of a node is in use, and whether that can be believed.

use dx_scheduler::client::NodeView;
use dx_scheduler::processor::Usage;

/// The age from which on a reading is stale, in milliseconds: nodes say it every second, and one
/// and a half of that was the bound of the system whose queries these are.
const STALE: u64 = 1_500;

/// What a node said last of how much of it is in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading<'a> {
    /// A moment ago.
    Fresh(&'a Usage),
    /// So many milliseconds ago.
    Stale(&'a Usage, u64),
    /// Never.
    None,
}

/// What `node` said last, seen at `now`.
#[must_use]
pub fn reading(node: &NodeView, now: u64) -> Reading<'_> {
    match &node.usage {
        None => Reading::None,
        Some((at, usage)) => match now.saturating_sub(*at) {
            0..=STALE => Reading::Fresh(usage),
            age => Reading::Stale(usage, age),
        },
    }
}
