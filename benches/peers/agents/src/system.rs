//! Who is compared.

mod actix;
mod kameo;
mod ractor;

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use dx::bench::agents::arena::Threads;
use dx::bench::agents::spawn::Cost;
use dx::bench::agents::{ask, fan_in, spawn, tell, token};
use tokio::sync::oneshot;

use crate::run::Workload;

/// A system of actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// dx's agents.
    Dx,
    /// actix.
    Actix,
    /// ractor.
    Ractor,
    /// kameo.
    Kameo,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dx => "dx",
            Self::Actix => "actix",
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
        })
    }
}

impl Name {
    /// How it was measured, where that needs saying.
    pub fn note(self) -> &'static str {
        match self {
            Self::Dx => "mailboxes bounded, flight recorder on, deadlines of asks on; as shipped",
            Self::Actix => "do_send, which knows no bound; one Arbiter a thread",
            Self::Ractor => {
                "default features off; mailboxes have no bound; one current-thread runtime a thread"
            }
            Self::Kameo => {
                "default features off; unbounded mailboxes and try_send; one current-thread \
                 runtime a thread"
            }
        }
    }

    /// Does `workload` so often, from a fresh start. Returns how long it took.
    pub async fn measure(self, workload: Workload, count: u64) -> anyhow::Result<Duration> {
        match self {
            Self::Dx => match workload {
                Workload::Tell => tell::measure(Threads::One, count).await,
                Workload::TellAcross => tell::measure(Threads::Two, count).await,
                Workload::FanIn => fan_in::measure(count).await,
                Workload::Token => token::measure(count).await,
                Workload::Ask => ask::measure(Threads::One, count).await,
                Workload::AskAcross => ask::measure(Threads::Two, count).await,
                Workload::Spawn => anyhow::bail!("spawning is measured in a process of its own"),
            },
            Self::Actix => on_a_thread(move || actix::measure(workload, count)).await,
            Self::Ractor => ractor::measure(workload, count).await,
            Self::Kameo => kameo::measure(workload, count).await,
        }
    }

    /// Starts `count` actors that wait; what each takes.
    pub async fn spawn(self, count: u64) -> anyhow::Result<Cost> {
        match self {
            Self::Dx => spawn::measure(count).await,
            Self::Actix => on_a_thread(move || actix::spawn(count)).await,
            Self::Ractor => ractor::spawn(count).await,
            Self::Kameo => kameo::spawn(count).await,
        }
    }
}

/// Runs what blocks on a thread of its own.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name("sender".to_owned()).spawn(move || {
        // Whoever does not wait any more has failed for another reason.
        let _ = done.send(work());
    })?;
    result.await?
}
