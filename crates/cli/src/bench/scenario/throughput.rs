//! One-way throughput by message size.

use std::ops::RangeInclusive;

use crate::bench::course::median;
use crate::bench::floor;
use crate::bench::mesh;
use crate::bench::report::{Param, Params, Unit};
use crate::bench::scenario::Run;
use crate::bench::subject::{Flow, Window};
use crate::bench::transport::TransportName;

/// Message sizes in bytes: what fits a register, a cache line, an event, a page, a frame, a file.
pub(super) const SIZES: [usize; 7] = [8, 64, 256, 1 << 10, 4 << 10, 64 << 10, 1 << 20];

/// Sizes for which the settings of sockets and of quinn matter.
const UNTOUCHED_SIZES: [usize; 2] = [64 << 10, 1 << 20];

/// Runs it over every transport.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let transports = run.options.transports.clone();
    let per_transport =
        if run.options.floor { 2 * SIZES.len() + UNTOUCHED_SIZES.len() } else { SIZES.len() };
    let measurements = transports.len() * per_transport * run.options.effort.rounds();
    let window = run.options.window(run.name, measurements);
    for transport in transports {
        let params = Params::new().with("transport", transport.name().into());
        if let Err(error) = over(run, transport, window).await {
            run.failed(params, &error)?;
        }
        if run.options.floor {
            untouched(run, transport, window).await?;
        }
    }
    Ok(())
}

async fn over(run: &mut Run<'_>, transport: TransportName, window: Window) -> anyhow::Result<()> {
    let mut subject = mesh::subject(transport).await?;
    let mut floor = if run.options.floor { floor::of(transport)? } else { None };
    for size in SIZES {
        run.output.progress.begin(format!("throughput, {transport}, {size} B"));
        let (mut flows, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..run.options.effort.rounds() {
            flows.push(subject.one_way(size, window).await?);
            if let Some(floor) = &mut floor {
                floors.push(floor.one_way(size, window).await?);
            }
        }
        report(run, transport.name(), size, &flows, &floors)?;
        run.output.progress.advance();
    }
    Ok(())
}

/// The floor with the settings that the kernel and quinn come with.
async fn untouched(
    run: &mut Run<'_>,
    transport: TransportName,
    window: Window,
) -> anyhow::Result<()> {
    let Some(mut floor) = floor::untouched(transport)? else { return Ok(()) };
    for size in UNTOUCHED_SIZES {
        run.output.progress.begin(format!("throughput, {transport} floor, {size} B"));
        let mut flows = Vec::new();
        for _ in 0..run.options.effort.rounds() {
            flows.push(floor.one_way(size, window).await?);
        }
        report(run, &format!("raw {transport}, untuned"), size, &flows, &[])?;
    }
    Ok(())
}

/// What a flow amounts to, and the message sizes for which that says something.
struct Quantity {
    metric: &'static str,
    unit: Unit,
    sizes: RangeInclusive<usize>,
    of: fn(&Flow) -> f64,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity {
        metric: "messages",
        unit: Unit::MessagesPerSecond,
        sizes: 0..=usize::MAX,
        of: Flow::messages_per_second,
    },
    Quantity {
        metric: "rate",
        unit: Unit::MegabytesPerSecond,
        sizes: 0..=usize::MAX,
        of: Flow::megabytes_per_second,
    },
    Quantity {
        metric: "CPU per M messages",
        unit: Unit::Seconds,
        sizes: 0..=1024,
        of: Flow::cpu_per_million,
    },
    Quantity {
        metric: "CPU per GB",
        unit: Unit::Seconds,
        sizes: 1024..=usize::MAX,
        of: Flow::cpu_per_gigabyte,
    },
];

fn report(
    run: &mut Run<'_>,
    transport: &str,
    size: usize,
    flows: &[Flow],
    floors: &[Flow],
) -> anyhow::Result<()> {
    let params =
        Params::new().with("transport", transport.into()).with("size", Param::Bytes(size as u64));
    for Quantity { metric, unit, sizes, of } in QUANTITIES {
        if sizes.contains(&size) {
            let middle = |flows: &[Flow]| median(flows.iter().map(of).collect());
            run.report(&params, (metric, unit), middle(flows), middle(floors))?;
        }
    }
    Ok(())
}
