//! A runtime for one measurement, the message that travels, and the verdict at its end.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use dx_agents::runtime::{Heard, Port, Runtime, RuntimeConfig};
use dx_agents::{Message, Spawn};
use serde::{Deserialize, Serialize};

/// What is told and asked: 64 B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Which of several senders.
    pub source: u64,
    /// Which of its messages; in a grant, how many it may send further.
    pub number: u64,
    /// The rest of the 64 B.
    pub fill: [u64; 6],
}

impl Parcel {
    /// The `number`th of `source`.
    #[must_use]
    pub fn new(source: u64, number: u64) -> Self {
        Self { source, number, fill: [number; 6] }
    }
}

impl Message for Parcel {
    const NAME: &'static str = "bench-parcel";
}

/// What an agent that checks has to say at the end: `Err` is what was wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict(pub Result<(), String>);

impl Message for Verdict {
    const NAME: &'static str = "bench-verdict";
}

impl Verdict {
    /// `seen` came where `expected` was due.
    #[must_use]
    pub fn wrong(seen: u64, expected: u64) -> Self {
        Self(Err(format!("message {seen} came where {expected} was due")))
    }
}

/// How many threads agents are spread over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// They take turns on one.
    One,
    /// Each has one.
    Two,
}

impl Threads {
    /// Both.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one",
            Self::Two => "two",
        })
    }
}

/// Waits for the verdict that comes to `port`.
///
/// # Errors
/// If something was wrong; the error says what.
pub async fn verdict(port: &Port) -> anyhow::Result<()> {
    match port.recv().await {
        Heard::Message(message) => message.open::<Verdict>()?.0.map_err(|wrong| anyhow!(wrong)),
        other => bail!("a verdict was due, and {other:?} came"),
    }
}

/// A runtime and a port to it.
pub struct Arena {
    /// The runtime. Agents go to its threads in turn, in the order in which they are spawned.
    pub runtime: Runtime,
    /// Where verdicts are sent to.
    pub port: Port,
}

/// How long agents may take to stop; they do so at once.
const STOP: Duration = Duration::from_secs(5);

impl Arena {
    /// A runtime with so many threads in its pool.
    ///
    /// # Errors
    /// If the operating system gives no threads.
    pub fn start(threads: Threads) -> anyhow::Result<Self> {
        Self::with(RuntimeConfig { pool: threads.count(), ..RuntimeConfig::default() })
    }

    /// A runtime like this.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn with(config: RuntimeConfig) -> anyhow::Result<Self> {
        let runtime = Runtime::start(config).context("failed to start a runtime")?;
        let port = runtime.port();
        Ok(Self { runtime, port })
    }

    /// Starts an agent.
    pub fn spawn(&self, spawn: &Spawn) -> dx_agents::AgentId {
        self.runtime.spawn(spawn)
    }

    /// Sends a parcel from outside.
    ///
    /// # Errors
    /// If the agent has gone.
    pub fn send(&self, to: dx_agents::AgentId, parcel: Parcel) -> anyhow::Result<()> {
        self.port.send(to, parcel).context("failed to set agents going")
    }

    /// Waits for the verdict.
    ///
    /// # Errors
    /// If something was wrong; the error says what.
    pub async fn verdict(&self) -> anyhow::Result<()> {
        verdict(&self.port).await
    }

    /// Stops all agents, and makes sure that no message went astray.
    ///
    /// # Errors
    /// If one did, or an agent did not stop.
    pub fn end(self) -> anyhow::Result<()> {
        let dead_letters = self.runtime.status().dead_letters;
        let late = self.runtime.stop(STOP);
        ensure!(dead_letters.is_empty(), "messages reached nobody: {dead_letters:?}");
        ensure!(late.is_empty(), "agents did not stop: {late:?}");
        Ok(())
    }
}
