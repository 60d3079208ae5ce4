//! Total-order broadcast: what any member of a ring broadcasts, all deliver, in one order, whatever
//! dies.
//!
//! ```text
//! Replica      yours: hears every broadcast in its place, may broadcast, has a snapshot
//!   Member     the agent around it
//!     Core     pure: views by majorities, what they carry over, who joins, what is delivered
//!       RingModel   how messages get round and get their places: flow, lcr, confirmed
//! ```
//!
//! What it is not: durable. Members remember in memory, and a majority must live on; one that
//! restarts is another member, and gets its state from the others.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use dx_agents::message::{Encoded, tag};
//! use dx_agents::{AgentId, Directory, Lane, Message, Registry};
//! use dx_ring::{Delivery, Flow, Member, Replica, Ring, RingConfig, RingMessage, View};
//! use dx_sim::{Sim, SimConfig};
//! use serde::{Deserialize, Serialize};
//!
//! /// A map that is the same at all members. What is put travels as one message.
//! #[derive(Default, Serialize, Deserialize)]
//! struct Map(BTreeMap<String, String>);
//! impl Message for Map { const NAME: &'static str = "map"; }
//!
//! fn open(value: Bytes) -> Map {
//!     Encoded { tag: tag(Map::NAME), lane: Lane::Normal, value, body: Bytes::new() }
//!         .decode().expect("members put nothing else")
//! }
//!
//! impl Replica for Map {
//!     fn request(&mut self, _from: AgentId, request: Bytes, ring: &mut Ring<'_>) {
//!         let _refused = ring.broadcast(request); // a client that hears nothing asks again
//!     }
//!     fn deliver(&mut self, delivery: &Delivery, _ring: &mut Ring<'_>) {
//!         self.0.append(&mut open(delivery.payload.clone()).0);
//!     }
//!     fn snapshot(&self) -> Bytes { Encoded::of(self).expect("it is no larger than a message").value }
//!     fn restore(&mut self, snapshot: Bytes, _: Option<&View>, _: &mut Ring<'_>) { *self = open(snapshot); }
//! }
//!
//! let agents = (1..=3).map(|id| format!(r#"{{ "id": {id}, "kind": "map", "node": {id} }}"#));
//! let agents = format!("[{}]", agents.collect::<Vec<_>>().join(","));
//! let directory = Directory::new(serde_json::from_str::<Vec<_>>(&agents)?);
//! let registry = Registry::new().kind("map", |_spec, directory| {
//!     let config = RingConfig::new(directory.by_kind("map").to_vec());
//!     Ok(Member::new(config, Box::new(Flow::default()), Map::default()))
//! });
//! let mut sim = Sim::new(SimConfig::default(), directory, registry)?; // or a node: see dx_agents
//! let client = sim.port();
//! sim.run_for(Duration::from_secs(1))?;
//! let put = Map(BTreeMap::from([("colour".into(), "red".into())]));
//! sim.send(client, AgentId(2), RingMessage::Request(Encoded::of(&put)?.value))?;
//! sim.run_until("all know", Duration::from_secs(1), |sim| {
//!     sim.agents_of::<Member<Map>>().all(|(_, member)| member.replica().0.contains_key("colour"))
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! Start with [`Replica`] and [`Ring`]; to add a model, with [`RingModel`]. [`run`] is the workload
//! of `dx ring`.

pub mod batch;
mod config;
pub mod core;
pub mod log;
pub mod marks;
mod member;
pub mod message;
pub mod model;
mod output;
pub mod own;
pub mod run;
pub mod view;

pub use batch::{Batch, BatchId};
pub use config::RingConfig;
pub use core::{Core, Standstill, Traffic};
pub use member::{Member, Replica, Ring};
pub use message::RingMessage;
pub use model::{Confirmed, Flow, Lcr, RingModel};
pub use output::{Delivery, Output};
pub use own::BroadcastError;
pub use view::{Life, View, ViewId};
