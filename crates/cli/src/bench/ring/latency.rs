//! How long a broadcast takes, where links and members have time.

use std::time::Duration;

use tokio::time::sleep;

use super::Run;
use super::circle::{Circle, Kit};
use super::load::Load;
use crate::bench::latency::{Distribution, PERCENTILES};
use crate::bench::report::{Params, Unit};

/// Bytes of a message.
const SIZE: usize = 64;

/// The time between two messages of a member.
const EVERY: Duration = Duration::from_millis(10);

/// Measures it of every ring.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (model, transport, members) in run.rings() {
        let params = Run::params(model, transport, members);
        run.begin(&params);
        let members = usize::from(members);
        let load = Load::Every(EVERY, SIZE);
        let kit = Kit { model, transport, members, senders: members, load };
        match measure(kit, run.options.time()).await {
            Ok((own, last)) => {
                report(run, &params.clone().with("to", "own".into()), &own)?;
                report(run, &params.with("to", "last".into()), &last)?;
            }
            Err(error) => run.failed(params, &error)?,
        }
        run.output.progress.advance();
    }
    Ok(())
}

async fn measure(kit: Kit, time: Duration) -> anyhow::Result<(Distribution, Distribution)> {
    let circle = Circle::start(kit, Vec::new()).await?;
    sleep(time).await;
    let latencies = circle.ledger.latencies();
    circle.end().await?;
    Ok(latencies)
}

fn report(run: &mut Run<'_>, params: &Params, latency: &Distribution) -> anyhow::Result<()> {
    for (metric, quantile) in PERCENTILES {
        run.report(params, (metric, Unit::Microseconds), latency.percentile_us(quantile))?;
    }
    Ok(())
}
