//! Fan-in: many agents send to one.

use std::time::Duration;

use dx_agents::Placement;

use crate::bench::agents::arena::Threads;
use crate::bench::agents::run::{Operation, Run};
use crate::bench::agents::stream;
use crate::bench::report::{Param, Params, Unit};

/// Agents that send.
pub const SOURCES: u64 = 8;

/// Has [`SOURCES`] agents of one thread send `count` messages together to one on a thread of its
/// own. Returns how long it took until the last was counted.
///
/// # Errors
/// If a message was lost, doubled or out of order.
pub async fn measure(count: u64) -> anyhow::Result<Duration> {
    stream::measure(Threads::Two, SOURCES, Placement::Thread { pin: None }, count).await
}

/// Measures it.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let params = Params::new().with("senders", Param::Count(SOURCES));
    let operation = Operation { params, metric: ("messages", Unit::MessagesPerSecond) };
    run.measure(&operation, async |count| measure(count).await, None).await?;
    Ok(())
}
