//! Token: one message travels around a ring of agents.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dx_agents::{Agent, AgentId, Context, Message, Spawn};
use serde::{Deserialize, Serialize};

use crate::bench::agents::arena::{Arena, Threads, Verdict};
use crate::bench::agents::floor;
use crate::bench::agents::run::{Operation, Run};
use crate::bench::report::{Param, Params, Unit};

/// Agents in the ring.
pub const AGENTS: u64 = 1000;

/// Has a token take `count` hops. Returns how long it took.
///
/// # Errors
/// If an agent sees another token than is due.
pub async fn measure(count: u64) -> anyhow::Result<Duration> {
    let arena = Arena::start(Threads::One)?;
    let port = arena.port.id();
    let make = move || Member { next: port, last: None, port };
    let members: Vec<AgentId> =
        (0..AGENTS).map(|_| arena.spawn(&Spawn::new("member", make))).collect();
    for (member, next) in members.iter().zip(members.iter().cycle().skip(1)) {
        arena.port.send(*member, Round::Next(*next))?;
    }
    let began = Instant::now();
    arena.port.send(members[0], Round::Token { left: count, fill: [count; 6] })?;
    arena.verdict().await?;
    let took = began.elapsed();
    arena.end()?;
    Ok(took)
}

/// What goes around: 64 B.
#[derive(Serialize, Deserialize)]
enum Round {
    /// Who is next.
    Next(AgentId),
    /// The token, and the hops that it has before it.
    Token { left: u64, fill: [u64; 6] },
}

impl Message for Round {
    const NAME: &'static str = "bench-round";
}

struct Member {
    next: AgentId,
    /// What the token had before it when it was here.
    last: Option<u64>,
    port: AgentId,
}

impl Agent for Member {
    type Message = Round;

    fn message(&mut self, _: AgentId, round: Round, cx: &mut Context) {
        let (left, fill) = match round {
            Round::Next(next) => return self.next = next,
            Round::Token { left, fill } => (left, fill),
        };
        let due = self.last.map_or(left, |last| last - AGENTS);
        if left != due {
            return cx.send(self.port, Verdict::wrong(left, due));
        }
        self.last = Some(left);
        match left.checked_sub(1) {
            Some(left) => cx.send(self.next, Round::Token { left, fill }),
            None => cx.send(self.port, Verdict(Ok(()))),
        }
    }
}

/// Measures it.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let params = Params::new().with("agents", Param::Count(AGENTS));
    let operation = Operation { params, metric: ("hops", Unit::PerSecond) };
    let floor: floor::Floor = Arc::new(|count| Ok(floor::queue_around(count)));
    run.measure(&operation, async |count| measure(count).await, Some(floor)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_token_takes_every_hop() {
        for count in [0, 1, AGENTS, 3 * AGENTS + 7] {
            measure(count).await.unwrap();
        }
    }

    #[test]
    fn a_token_has_64_bytes() {
        assert_eq!(size_of::<Round>(), 64);
    }
}
