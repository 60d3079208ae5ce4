//! Total-order broadcast on a ring.

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
pub mod view;

pub use batch::{Batch, BatchId};
pub use config::RingConfig;
pub use core::{Core, Standstill, Traffic};
pub use member::{Member, Replica, Ring};
pub use message::RingMessage;
pub use model::{Flow, RingModel};
pub use output::{Delivery, Output};
pub use own::BroadcastError;
pub use view::{Life, View, ViewId};
