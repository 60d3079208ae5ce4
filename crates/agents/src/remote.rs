//! What two nodes owe each other, as pure state machines: for every driver that reaches other nodes.

pub mod asks;
pub mod course;
pub mod credit;
pub mod outbox;
pub mod parcel;
pub mod run;
pub mod watches;
pub mod wire;
