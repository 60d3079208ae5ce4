//! The transport bench's figures as charts.
use crate::bench::plot::Chart;
use crate::bench::report::Entry;

/// The charts.
pub fn of(_entries: &[Entry]) -> Vec<Chart> {
    Vec::new()
}
