//! One-way throughput by message size.

use crate::bench::floor;
use crate::bench::mesh;
use crate::bench::report::{Param, Params, Unit};
use crate::bench::scenario::{Run, median};
use crate::bench::subject::{Flow, Window};
use crate::bench::transport::TransportName;

/// Message sizes in bytes: what fits a register, a cache line, an event, a page, a frame, a file.
const SIZES: [usize; 7] = [8, 64, 256, 1 << 10, 4 << 10, 64 << 10, 1 << 20];

/// Runs it over every transport.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let transports = run.options.transports.clone();
    let per_size = if run.options.floor { 2 } else { 1 } * run.options.rounds();
    let window = run.options.window(run.name, transports.len() * SIZES.len() * per_size);
    run.output.progress.expect((transports.len() * SIZES.len()) as u64);
    for transport in transports {
        let params = Params::new().with("transport", transport.name().into());
        if let Err(error) = over(run, transport, window).await {
            run.skip(params, &error)?;
        }
        if run.options.floor && transport == TransportName::Quic {
            default_quinn(run, window).await?;
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
        for _ in 0..run.options.rounds() {
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

/// quinn as it comes, for the sizes that tell tuning from overhead.
async fn default_quinn(run: &mut Run<'_>, window: Window) -> anyhow::Result<()> {
    let mut subject = floor::quinn_by_default()?;
    for size in [64 << 10, 1 << 20] {
        run.output.progress.begin(format!("throughput, quinn by default, {size} B"));
        let mut flows = Vec::new();
        for _ in 0..run.options.rounds() {
            flows.push(subject.one_way(size, window).await?);
        }
        report(run, "quinn default", size, &flows, &[])?;
    }
    Ok(())
}

/// What a flow amounts to.
type Quantity = (&'static str, Unit, fn(&Flow) -> f64);

const QUANTITIES: [Quantity; 4] = [
    ("messages", Unit::MessagesPerSecond, Flow::messages_per_second),
    ("rate", Unit::MegabytesPerSecond, Flow::megabytes_per_second),
    ("CPU per GB", Unit::Seconds, Flow::cpu_per_gigabyte),
    ("CPU per M messages", Unit::Seconds, Flow::cpu_per_million),
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
    for (metric, unit, quantity) in QUANTITIES {
        let middle = |flows: &[Flow]| median(flows.iter().map(quantity).collect());
        run.report(&params, (metric, unit), middle(flows), middle(floors))?;
    }
    Ok(())
}
