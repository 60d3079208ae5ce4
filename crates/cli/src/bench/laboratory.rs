//! A network with delay and loss, provided from outside.
//!
//! The program as published knows no way to make one: `dx-lab`, which does, is for development
//! only. `examples/dx-lab.rs` is the same program with that laboratory plugged in.

use std::any::Any;
use std::net::IpAddr;
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

/// One of many hosts, each with a link of its own.
pub struct Site {
    /// Where the others reach it.
    pub address: IpAddr,
    /// Does something there: sockets and threads that it makes belong to the host.
    pub enter: Box<dyn Fn(Job<'_>) + Send + Sync>,
}

/// What is done on a host.
pub type Job<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Makes networks. An error is the reason why this machine cannot.
#[derive(Clone, Copy, Debug)]
pub struct Laboratory {
    /// Two hosts, with a network between them.
    pub hosts: fn(Network) -> anyhow::Result<Hosts>,
    /// So many hosts at one switch, with links of so many bits per second.
    pub sites: fn(usize, u64) -> anyhow::Result<Vec<Site>>,
}
