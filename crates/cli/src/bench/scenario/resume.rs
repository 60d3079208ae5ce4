//! Links are reset under load, over and over: what is lost, and how long it takes to go on.
//!
//! The time to resume counts from the reset to the arrival of a message that was handed over
//! after it; whatever waited before that message had to arrive first.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, Peer};
use tokio::sync::watch;

use crate::bench::end::End;
use crate::bench::latency::Distribution;
use crate::bench::mesh::{Gauge, Pair, pair};
use crate::bench::payload::{self, Checked, Checker, Corrupt, Source};
use crate::bench::report::{Params, Unit};
use crate::bench::scenario::Run;
use crate::bench::transport::TransportName;

/// Bytes of a message.
const SIZE: usize = 1024;

/// Resets, if there is time for them.
const RESETS: u64 = 1_000;

/// Time for them, per transport.
const LIMIT: Duration = Duration::from_mins(1);

/// A session that does not resume within this time has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs it over every transport.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let transports = run.options.transports.clone();
    let limit = if run.options.effort.quick {
        run.options.window(run.name, transports.len()).measure
    } else {
        run.options
            .effort
            .duration
            .map_or(LIMIT, |duration| LIMIT.mul_f64(duration.as_secs_f64().min(1.0)))
    };
    for transport in transports {
        run.output.progress.begin(format!("resume, {transport}"));
        let params = Params::new().with("transport", transport.name().into());
        if let Err(error) = over(run, &params, transport, limit).await {
            run.failed(params, &error)?;
        }
        run.output.progress.advance();
    }
    Ok(())
}

async fn over(
    run: &mut Run<'_>,
    params: &Params,
    transport: TransportName,
    limit: Duration,
) -> anyhow::Result<()> {
    let gauge = Gauge::default();
    let pair = Pair::start_probed(transport, End::pair()?, &gauge).await?;
    let enough = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let (progress, received) = watch::channel(0);
    let sending = send_counted(pair.a.peer.clone(), Arc::clone(&enough), Arc::clone(&sent));
    let sender = pair.a.end.spawn(sending);
    let receiver = pair.b.end.spawn(receive(Arc::clone(&pair.b.mesh), progress));

    let began = Instant::now();
    let resumed = resets(&gauge, &sent, received, limit).await?;
    let elapsed = began.elapsed().as_secs_f64();
    enough.store(true, Ordering::Relaxed);
    sender.join().await?;
    let tally = tokio::time::timeout(PATIENCE, receiver.join()).await;
    let tally = tally.context("the last messages never arrived")??;

    let number = |count: u64| Some(count as f64);
    let count = |n: u64| number(n);
    run.report(params, ("resets", Unit::Count), count(resumed.count()), None)?;
    run.report(params, ("lost", Unit::Count), count(tally.lost()), None)?;
    run.report(params, ("duplicated", Unit::Count), count(tally.duplicated), None)?;
    run.report(params, ("reordered", Unit::Count), count(tally.reordered), None)?;
    for (metric, quantile) in [("resume p50", 0.5), ("resume p99", 0.99)] {
        run.report(params, (metric, Unit::Microseconds), resumed.percentile_us(quantile), None)?;
    }
    let rate = number(tally.messages).map(|messages| messages / elapsed);
    run.report(params, ("messages", Unit::MessagesPerSecond), rate, None)
}

/// Resets the link, waits until the session has resumed, and again. Returns the times it took.
async fn resets(
    gauge: &Gauge,
    sent: &AtomicU64,
    mut received: watch::Receiver<u64>,
    limit: Duration,
) -> anyhow::Result<Distribution> {
    let mut times = Distribution::new();
    let began = Instant::now();
    while times.count() < RESETS && began.elapsed() < limit {
        let mark = sent.load(Ordering::Relaxed);
        let reset = Instant::now();
        let broken = gauge.break_links();
        let arrived = received.wait_for(|count| *count > mark);
        let arrived = tokio::time::timeout(PATIENCE, arrived).await;
        arrived.context("a session did not resume after a reset")??;
        if broken > 0 {
            times.record_duration(reset.elapsed());
        }
    }
    Ok(times)
}

async fn send_counted(
    peer: Peer,
    enough: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut source = Source::new(SIZE);
    while !enough.load(Ordering::Relaxed) {
        pair::send(&peer, Lane::DATA, &mut source).await?;
        sent.store(source.sent(), Ordering::Relaxed);
    }
    peer.send(Lane::DATA, &source.end()).await?;
    Ok(())
}

async fn receive(mesh: Arc<Mesh>, progress: watch::Sender<u64>) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    loop {
        for message in &mesh.recv(Lane::DATA).await {
            if tally.add(&message)? == Checked::End {
                return Ok(tally);
            }
        }
        progress.send_replace(tally.messages);
    }
}

/// What became of a stream of messages, where the checker would give up at the first fault.
#[derive(Debug, Default)]
struct Tally {
    messages: u64,
    next: u64,
    missing: HashSet<u64>,
    duplicated: u64,
    reordered: u64,
    /// Messages that were sent; known at the end.
    sent: u64,
}

impl Tally {
    fn add(&mut self, message: &[u8]) -> Result<Checked, Corrupt> {
        let Some(number) = Checker::number(message, SIZE, self.next)? else {
            self.sent = payload::total(message).unwrap_or(self.next);
            return Ok(Checked::End);
        };
        self.messages += 1;
        self.place(number);
        Ok(Checked::Message)
    }

    fn place(&mut self, number: u64) {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
        } else if self.missing.remove(&number) {
            self.reordered += 1;
        } else {
            self.duplicated += 1;
        }
    }

    fn lost(&self) -> u64 {
        self.missing.len() as u64 + self.sent.saturating_sub(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(numbers: &[u64], sent: u64) -> (u64, u64, u64) {
        let mut tally = Tally { sent, ..Tally::default() };
        for number in numbers {
            tally.place(*number);
        }
        (tally.lost(), tally.duplicated, tally.reordered)
    }

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(tally(&[0, 1, 2], 3), (0, 0, 0));
        assert_eq!(tally(&[0, 2], 3), (1, 0, 0));
        assert_eq!(tally(&[0, 1], 3), (1, 0, 0));
        assert_eq!(tally(&[0, 1, 1, 2], 3), (0, 1, 0));
        assert_eq!(tally(&[0, 2, 1], 3), (0, 0, 1));
    }
}
