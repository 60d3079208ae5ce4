//! `dx` with one more kind of agents. All of `dx` is there; `up` starts nodes that know the kind, and
//! `sim run` breaks their world in many ways and demands what the kind promises:
//!
//!     cargo run -- up counter.toml
//!     cargo run -- sim run counter.toml

use std::process::ExitCode;

use dx::console::{called, say};
use dx::kinds::Text;
use dx_agents::{Agent, AgentId, Context};

/// The attributes of a counter. A cluster file that has others is refused, with the place.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Attr {
    /// It speaks up at each multiple of this.
    every: u64,
}

/// Counts what it is sent.
struct Counter {
    attr: Attr,
    count: u64,
}

impl Agent for Counter {
    type Message = Text;

    fn message(&mut self, from: AgentId, _message: Text, cx: &mut Context) {
        self.count += 1;
        if self.count.is_multiple_of(self.attr.every) {
            say(cx, format!("{} messages; the last one from agent {}", self.count, called(from)));
        }
    }
}

fn main() -> ExitCode {
    dx::Program::new()
        .kind("counter", |attr, _me, _directory| Ok(Counter { attr, count: 0 }))
        .progress("when all is mended, counters count again", |sim| {
            sim.agents_of::<Counter>().map(|(id, counter)| (id, counter.count)).collect()
        })
        .run()
}
