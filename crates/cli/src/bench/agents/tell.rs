//! Tell: one agent sends to another.

use std::sync::Arc;
use std::time::Duration;

use dx_agents::Placement;

use crate::bench::agents::arena::Threads;
use crate::bench::agents::run::{Operation, Run};
use crate::bench::agents::{floor, stream};
use crate::bench::report::{Params, Unit};

/// Sends `count` messages. Returns how long it took until the last was counted.
///
/// # Errors
/// If a message was lost, doubled or out of order.
pub async fn measure(threads: Threads, count: u64) -> anyhow::Result<Duration> {
    stream::measure(threads, 1, Placement::Pool, count).await
}

/// Measures it on one thread and across two.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for threads in Threads::ALL {
        let floor: floor::Floor = match threads {
            Threads::One => Arc::new(|count| Ok(floor::queue(count))),
            Threads::Two => Arc::new(floor::channel),
        };
        let params = Params::new().with("threads", threads.to_string().as_str().into());
        let operation = Operation { params, metric: ("messages", Unit::MessagesPerSecond) };
        run.measure(&operation, async |count| measure(threads, count).await, Some(floor)).await?;
    }
    Ok(())
}
