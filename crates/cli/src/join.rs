//! How a machine that has nothing becomes a node of a cluster.
//!
//! ```text
//! the machine that joins                         the machine of the cluster
//! Invitation::open, prints a Token  -- people -->  read_token
//! Invitation::wait  <========= TLS 1.3 =========>  enrol
//! ```
//!
//! The [`Token`] says where the waiting node is, by which key to recognise it, and the secret by
//! which it recognises its caller. The private key of the node is made where it waits and never
//! leaves. `docs/design/0005-joining.md` says why it is done so.

mod enrol;
mod gate;
mod invitation;
mod message;
mod prompt;
mod proof;
mod tls;
mod token;
mod wire;

pub use enrol::{EnrolError, Enrolment, enrol};
pub use invitation::{Bounds, Invitation, InviteError, Joined, WaitError};
pub use message::Refusal;
pub use prompt::{PromptError, read_token};
pub use token::{InvalidToken, Token};
