//! What goes wrong, and when.

use crate::sim::Sim;

impl Sim {
    pub(crate) fn fault_due(&mut self) {}
}
