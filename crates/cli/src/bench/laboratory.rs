//! A network with delay and loss, provided from outside.
//!
//! The program as published knows no way to make one: `dx-lab`, which does, is for development
//! only. `examples/dx-lab.rs` is the same program with that laboratory plugged in.

use std::any::Any;
use std::time::Duration;

use crate::bench::end::End;

/// What the network does to packets, each way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// Added to every packet's way.
    pub delay: Duration,
    /// The fraction of packets lost.
    pub loss: f64,
}

/// Two hosts with a network between them.
pub struct Hosts {
    /// A thread on each, with the address at which the other finds it.
    pub ends: (End, End),
    /// What TCP does there about loss: its congestion control.
    pub congestion_control: String,
    /// What holds the network up; dropped last.
    pub network: Box<dyn Any>,
}

/// Makes two hosts. An error is the reason why this machine cannot.
pub type Laboratory = fn(Network) -> anyhow::Result<Hosts>;
