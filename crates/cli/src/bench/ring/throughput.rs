//! As much as a ring takes: in the columns of corosync's cpgbench.

use std::time::Duration;

use tokio::time::sleep;

use super::Run;
use super::circle::{Circle, Kit};
use super::ledger::Ledger;
use super::load::{HEAD, Load};
use crate::bench::laboratory::Site;
use crate::bench::report::{Param, Params, Unit};

/// What a ring did in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// Messages that all delivered.
    pub messages: u64,
    /// The time that was measured.
    pub took: Duration,
    /// Jain's index over what each sender got through: 1 is the same for all.
    pub fairness: f64,
}

/// Measures every size of one sender and of all.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (model, transport, members) in run.rings() {
        for size in run.options.sizes.clone() {
            for senders in [1, members] {
                let params = params(Run::params(model, transport, members), senders, size);
                run.begin(&params);
                let (members, senders) = (usize::from(members), usize::from(senders));
                let kit = Kit { model, transport, members, senders, load: Load::Full(size) };
                match measure(kit, Vec::new(), run.options.time()).await {
                    Ok(done) => report(run, &params, &done, size)?,
                    Err(error) => run.failed(params, &error)?,
                }
                run.output.progress.advance();
            }
        }
    }
    Ok(())
}

/// A row's parameters.
pub fn params(ring: Params, senders: u16, size: usize) -> Params {
    let senders = Param::Count(senders.into());
    ring.with("senders", senders).with("bytes/write", Param::Bytes(size as u64))
}

/// The columns of a row.
pub fn report(run: &mut Run<'_>, params: &Params, done: &Done, size: usize) -> anyhow::Result<()> {
    let per_second = done.messages as f64 / done.took.as_secs_f64();
    run.report(params, ("messages", Unit::Count), Some(done.messages as f64))?;
    run.report(params, ("runtime", Unit::Seconds), Some(done.took.as_secs_f64()))?;
    run.report(params, ("TP/s", Unit::MessagesPerSecond), Some(per_second))?;
    let bytes = per_second * size.max(HEAD) as f64;
    run.report(params, ("MB/s", Unit::MegabytesPerSecond), Some(bytes / 1e6))?;
    run.report(params, ("fairness", Unit::Ratio), Some(done.fairness))
}

/// Loads a ring, and counts when it has come up to speed. Without sites, it is on loopback.
///
/// # Errors
/// If it does not begin, or delivers what it should not.
pub async fn measure(kit: Kit, sites: Vec<Site>, time: Duration) -> anyhow::Result<Done> {
    let circle = Circle::start(kit, sites).await?;
    let done = count(&circle.ledger, kit.senders, time).await;
    circle.end().await?;
    Ok(done)
}

/// Lets a loaded ring come up to speed for a quarter of `time`, then counts for all of it.
pub async fn count(ledger: &Ledger, senders: usize, time: Duration) -> Done {
    sleep(time / 4).await;
    let before = ledger.count();
    sleep(time).await;
    let after = ledger.count();
    let got = before.origins.iter().zip(&after.origins).map(|(before, after)| after - before);
    let shares: Vec<f64> = got.take(senders).map(|share| share as f64).collect();
    Done {
        messages: after.messages - before.messages,
        took: after.at - before.at,
        fairness: fairness(&shares),
    }
}

/// Jain's index: the square of the sum over the sum of squares, per share.
fn fairness(shares: &[f64]) -> f64 {
    let (sum, squares) = (shares.iter().sum::<f64>(), shares.iter().map(|x| x * x).sum::<f64>());
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::transport::TransportName;
    use crate::kinds::ring_member::Model;

    #[test]
    fn fairness_is_one_for_all_the_same_and_a_share_for_one_alone() {
        assert!((fairness(&[5.0, 5.0, 5.0]) - 1.0).abs() < 1e-9);
        assert!((fairness(&[7.0, 0.0]) - 0.5).abs() < 1e-9);
        assert!(fairness(&[0.0]).abs() < 1e-9);
    }

    #[tokio::test]
    async fn what_all_deliver_is_counted_and_in_order() {
        for senders in [1, 3] {
            let kit = Kit {
                model: Model::Flow,
                transport: TransportName::Tcp,
                members: 3,
                senders,
                load: Load::Full(64),
            };
            let circle = Circle::start(kit, Vec::new()).await.unwrap();
            let counted = circle.ledger.count();
            assert!(counted.messages > 0);
            circle.end().await.unwrap();
        }
    }
}
