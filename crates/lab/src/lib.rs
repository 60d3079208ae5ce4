//! A network laboratory on one machine, for tests over real sockets.
//!
//! Every host is a network namespace of its own, joined by a veth pair to a
//! router, which is a namespace too. On the way through the router cables are
//! cut, delayed and made lossy; at the host's own port they are made slow.
//!
//! ```text
//!   host a                      router                       host b
//!  +------------+   h2  +---------------------+  h3   +------------+
//!  | eth0       |-------| nft: cut, isolated  |-------| eth0       |
//!  | 10.77.0.2  |  tbf  |   |            ^    |  tbf  | 10.77.0.3  |
//!  | fd77::2    | (rate)|   v   shaper   |    | (rate)| fd77::3    |
//!  +------------+       |  delay, jitter, loss|       +------------+
//!                       +---------------------+
//! ```
//!
//! ```no_run
//! use std::net::{TcpListener, TcpStream};
//! use std::process::Command;
//! use std::time::Duration;
//! use dx_lab::{Lab, Shape, or_skip};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let Some(lab) = or_skip(Lab::new("example")) else { return Ok(()) };
//! let (a, b) = (lab.host("a")?, lab.host("b")?);
//!
//! // Sockets opened inside `enter` belong to that host for as long as they live.
//! let server = b.enter(|| TcpListener::bind("0.0.0.0:7001"))?;
//! let client = a.enter(|| TcpStream::connect((b.address(), 7001)))?;
//!
//! lab.cut(&a, &b)?; // silence, as if the cable were cut
//! lab.heal(&a, &b)?;
//! lab.shape(&a, &b, Shape { delay: Duration::from_millis(25), loss: 0.01, ..Shape::default() })?;
//! b.set_rate(100_000_000)?;
//!
//! let mut program = b.spawn(Command::new("sleep").arg("1000"))?;
//! program.pause()?;
//! program.kill()?;
//! # Ok(()) }
//! ```
//!
//! The namespaces have no names: threads and file descriptors of this process
//! are all that holds them, so the kernel removes them whatever ends the
//! process, and labs in parallel tests cannot collide. Started processes die
//! with the lab; what outlives a killed lab is swept by the next one.
//!
//! The lab needs the rights of root over a network namespace: run the tests as
//! root, or under `unshare -Urn` as anybody. Where a machine cannot do what a
//! test asks for, the answer is [`Unavailable`] and [`or_skip`] says so.
//!
//! It is not a simulator: time is real, and only what a seed decides (the
//! packets that [`Shape`] loses) repeats.
#![cfg(target_os = "linux")]
#![warn(missing_docs)]

mod cables;
mod error;
mod host;
mod lab;
mod namespace;
mod process;
mod shaper;
mod skip;
mod stragglers;
mod sys;
mod tool;

pub use error::{CommandError, LabError, Unavailable};
pub use host::Host;
pub use lab::Lab;
pub use process::{Process, ProcessError};
pub use shaper::{Shape, Traffic};
pub use skip::{REQUIRED, or_skip};
