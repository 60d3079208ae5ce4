//! Round trips of small messages: one at a time, and at fixed rates.

use std::time::Duration;

use crate::bench::floor;
use crate::bench::latency::{Distribution, PERCENTILES};
use crate::bench::mesh;
use crate::bench::report::{Param, Params, Unit};
use crate::bench::scenario::Run;
use crate::bench::subject::{Load, Window};
use crate::bench::transport::TransportName;

/// From idle to what a busy service does.
pub(super) const LOADS: [Load; 4] =
    [Load::ClosedLoop, Load::PerSecond(1_000), Load::PerSecond(10_000), Load::PerSecond(50_000)];

/// Samples in all rounds together that a p99.9 takes: ten above it.
const SAMPLES: u32 = 10_000;

/// Runs it over every transport.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let transports = run.options.transports.clone();
    let per_load = if run.options.floor { 2 } else { 1 } * run.options.effort.rounds();
    let window = run.options.window(run.name, transports.len() * LOADS.len() * per_load);
    for transport in transports {
        if let Err(error) = over(run, transport, window).await {
            run.failed(Params::new().with("transport", transport.name().into()), &error)?;
        }
    }
    Ok(())
}

async fn over(run: &mut Run<'_>, transport: TransportName, window: Window) -> anyhow::Result<()> {
    let mut subject = mesh::subject(transport).await?;
    let mut floor = if run.options.floor { floor::of(transport)? } else { None };
    for load in LOADS {
        run.output.progress.begin(format!("round-trip, {transport}, {}", name(load)));
        let window = long_enough(run, load, window);
        let (mut own, mut floors) = (Distribution::new(), None::<Distribution>);
        for _ in 0..run.options.effort.rounds() {
            own.merge(&subject.round_trips(load, window).await?);
            if let Some(floor) = &mut floor {
                let round = floor.round_trips(load, window).await?;
                floors.get_or_insert_default().merge(&round);
            }
        }
        report(run, transport, load, &own, floors.as_ref())?;
        run.output.progress.advance();
    }
    Ok(())
}

/// A low rate takes longer to give enough samples; only a quick run does without.
fn long_enough(run: &Run<'_>, load: Load, window: Window) -> Window {
    let (Load::PerSecond(rate), false) = (load, run.options.effort.quick) else { return window };
    let rounds = u32::try_from(run.options.effort.rounds()).unwrap_or(u32::MAX);
    let per_round = f64::from(SAMPLES / rounds + 1) / f64::from(rate);
    Window { measure: window.measure.max(Duration::from_secs_f64(per_round)), ..window }
}

fn name(load: Load) -> &'static str {
    match load {
        Load::ClosedLoop => "closed loop",
        Load::PerSecond(_) => "open loop",
    }
}

fn report(
    run: &mut Run<'_>,
    transport: TransportName,
    load: Load,
    own: &Distribution,
    floor: Option<&Distribution>,
) -> anyhow::Result<()> {
    let mut params =
        Params::new().with("transport", transport.name().into()).with("load", name(load).into());
    if let Load::PerSecond(rate) = load {
        params = params.with("rate", Param::PerSecond(rate.into()));
    }
    for (metric, quantile) in PERCENTILES {
        let floor = floor.and_then(|floor| floor.percentile_us(quantile));
        run.report(&params, (metric, Unit::Microseconds), own.percentile_us(quantile), floor)?;
    }
    Ok(())
}
