//! Two hosts far apart, over a network that loses packets. A lost packet holds up everything on
//! a TCP connection, but only its own lane over QUIC.

use std::time::Duration;

use anyhow::Context;

use crate::bench::laboratory::{Hosts, Network};
use crate::bench::latency::{Distribution, PERCENTILES};
use crate::bench::mesh::{Gauge, Pair};
use crate::bench::report::{Params, Reason, Unit};
use crate::bench::scenario::Run;
use crate::bench::scenario::control::{self, Bulk};
use crate::bench::subject::Window;
use crate::bench::transport::TransportName;

/// Half of the round trip of 50 ms, and the loss that the lanes share out or not.
const NETWORK: Network = Network { delay: Duration::from_millis(25), loss: 0.01 };

/// Bytes of a bulk message.
const BULK_BYTES: usize = 64 << 10;

/// quinn's congestion control.
const QUINN: &str = "cubic";

/// Without `--quick`, so many times the usual window: it takes many round trips to show.
const LONGER: u32 = 10;

const NO_LABORATORY: &str = "this build has no network laboratory; as root: \
    `cargo run --release -p dx --example dx-lab -- bench --scenario shaped`";

/// Runs it over every transport that has a network.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let Some(laboratory) = run.options.laboratory else {
        return run.gap(Params::new(), Reason::Skipped(NO_LABORATORY.to_owned()));
    };
    let mut transports = run.options.transports.clone();
    transports.retain(|transport| *transport != TransportName::Memory);
    let mut window = run.options.window(run.name, transports.len() * 2);
    if !run.options.effort.quick {
        window.measure *= LONGER;
    }
    for transport in transports {
        run.output.progress.begin(format!("shaped, {transport}"));
        let params = Params::new().with("transport", transport.name().into());
        match (laboratory.hosts)(NETWORK) {
            Err(reason) => run.gap(params, Reason::Skipped(format!("{reason:#}")))?,
            Ok(hosts) => {
                if let Err(error) = over(run, &params, transport, hosts, window).await {
                    run.failed(params, &error)?;
                }
            }
        }
        run.output.progress.advance();
    }
    Ok(())
}

async fn over(
    run: &mut Run<'_>,
    params: &Params,
    transport: TransportName,
    hosts: Hosts,
    window: Window,
) -> anyhow::Result<()> {
    let Hosts { ends, congestion_control, network } = hosts;
    let control = if transport == TransportName::Quic { QUINN } else { &congestion_control };
    let params = params.clone().with("congestion", control.into());
    let gauge = Gauge::default();
    let pair = Pair::start_probed(transport, ends, &gauge).await?;
    let alone = control::pings(&pair, &gauge, window).await.context("without bulk")?;
    let bulk = Bulk::start(&pair, BULK_BYTES);
    let beside = control::pings(&pair, &gauge, window).await.context("beside bulk")?;
    // What is still under way would take this network half a minute.
    drop((bulk, pair));
    drop(network);
    for (bulk, latency) in [("idle", &alone.latency), ("saturated", &beside.latency)] {
        report(run, &params.clone().with("bulk", bulk.into()), latency)?;
    }
    let params = params.clone().with("bulk", "saturated".into());
    run.report(&params, ("bulk", Unit::MegabytesPerSecond), Some(beside.bulk), None)
}

fn report(run: &mut Run<'_>, params: &Params, latency: &Distribution) -> anyhow::Result<()> {
    for (metric, quantile) in PERCENTILES {
        let value = latency.percentile_us(quantile);
        run.report(params, (metric, Unit::Microseconds), value, None)?;
    }
    Ok(())
}
