//! The deterministic world: the same agents, on virtual time, one thread, and a network and disks
//! that fail on purpose. The same seed is the same run.
