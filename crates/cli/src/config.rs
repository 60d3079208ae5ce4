//! Configuration: from files, variables and options to a [`Cluster`] that cannot be wrong.
//!
//! ```text
//! sources -> trees -> checked against the schema -> merged -> resolved
//!            parse     check                          layers    resolve
//! ```
//!
//! Later layers win, key by key: built-in defaults, `/etc/dx/dx.toml`, the user's `dx.toml`,
//! cluster files in the order given, `DX_*` variables, `--set`, options of their own. Each value
//! keeps the place that it was read from, all the way; errors and `dx config show` point there.
//!
//! [`file::File`] is the one description of what can be written: its types are the schema, the
//! defaults and the documentation.

mod check;
pub mod cluster;
pub mod documented;
pub mod file;
pub mod forms;
pub mod gather;
pub mod job_file;
pub mod kind;
mod layers;
mod load;
pub(crate) mod nearest;
mod parse;
pub mod place;
pub mod problem;
mod resolve;
pub mod rules;
pub mod schema;
mod secret;
pub mod settings;
pub mod show;
pub mod tree;
pub mod units;

pub use cluster::{Cluster, NodeSpec};
pub use gather::{Request, gather};
pub use kind::Kinds;
pub use load::{Loaded, load};
pub use place::{Layer, Source};
pub use problem::Report;
