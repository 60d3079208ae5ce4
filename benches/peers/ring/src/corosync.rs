//! A corosync on each host, with a generator beside it.
//!
//! The generator is cpgbench's loop: it sends until there is no room, and takes what is delivered.
//! Each message says its number, and each member checks that it gets those of each origin in order.

mod daemon;
mod member;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use dx::bench::ring::{Done, Ledger, count};
use dx_lab::Host;

pub use self::daemon::{Setting, version};

use self::daemon::Daemon;
use self::member::Member;
use crate::hosts::Hosts;

/// What a run delivered.
pub struct Outcome {
    /// The count.
    pub done: Done,
    /// How often a member saw another one leave meanwhile.
    pub changes: usize,
}

/// Members that have not all delivered something within this time never will.
const START: Duration = Duration::from_mins(1);

/// The time between two looks whether they have.
const LOOK: Duration = Duration::from_millis(5);

/// What the threads of all members share.
struct Shared {
    ledger: Ledger,
    members: usize,
    senders: usize,
    size: usize,
    changes: AtomicUsize,
}

/// Starts daemons and members, and counts what all of them deliver.
pub async fn measure(
    setting: Setting,
    hosts: &Hosts,
    (senders, size): (usize, usize),
    time: Duration,
) -> anyhow::Result<Outcome> {
    let members = hosts.all().len();
    let daemons = Daemon::start_all(setting, hosts.all())?;
    let ledger = Ledger::new(members);
    let shared = Shared { ledger, members, senders, size, changes: AtomicUsize::new(0) };
    let shared = Arc::new(shared);
    let joined = join_all(&shared, hosts.all());
    let counted = match joined {
        Ok(joined) => run_all(joined, &shared, time).await,
        Err(error) => Err(error),
    };
    daemon::stop_all(&daemons);
    drop(daemons);
    let done = counted?;
    let wrong = shared.ledger.wrong();
    ensure!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    Ok(Outcome { done, changes: shared.changes.load(Ordering::Relaxed) })
}

/// One after the other, before any of them works: see [`Group`](crate::cpg::Group).
fn join_all(shared: &Arc<Shared>, hosts: &[Host]) -> anyhow::Result<Vec<Member>> {
    let join = |(me, host): (usize, &Host)| {
        // The connection to corosync is one of the host.
        host.enter(|| Member::join(me, Arc::clone(shared)))
            .with_context(|| format!("member {}", me + 1))
    };
    (0..).zip(hosts).map(join).collect()
}

/// Each in a thread of its own.
async fn run_all(members: Vec<Member>, shared: &Shared, time: Duration) -> anyhow::Result<Done> {
    let run = |mut member: Member| {
        thread::spawn(move || {
            let done = member.run();
            (member, done)
        })
    };
    let threads: Vec<_> = members.into_iter().map(run).collect();
    let counted = begin_and_count(shared, time).await;
    shared.ledger.stop();
    // None of them leaves while another one still works.
    let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
    for member in ended {
        let (_, done) = member.map_err(|_| anyhow!("a generator panicked"))?;
        done?;
    }
    counted
}

async fn begin_and_count(shared: &Shared, time: Duration) -> anyhow::Result<Done> {
    let end = Instant::now() + START;
    while shared.ledger.count().messages == 0 {
        if Instant::now() > end {
            return Err(anyhow!("not all members delivered something within {START:?}"))
                .context("corosync does not begin");
        }
        ensure!(!shared.ledger.has_stopped(), "a member failed");
        tokio::time::sleep(LOOK).await;
    }
    Ok(count(&shared.ledger, shared.senders, time).await)
}
