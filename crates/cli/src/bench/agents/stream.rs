//! Agents that tell, and the one that counts what it is told.
//!
//! A source sends as much as it was granted. The sink grants the next half of the window when it
//! has counted half a window of that source, so that a source is never idle and never refused.

use std::time::{Duration, Instant};

use dx_agents::{Agent, AgentId, Context, MailboxBounds, Placement, Spawn};

use crate::bench::agents::arena::{Arena, Parcel, Threads, Verdict};

/// Messages that a source may be ahead of the sink.
#[must_use]
pub fn window(threads: Threads, sources: u64) -> u64 {
    let window = match threads {
        // A guess: what stays in the first-level caches.
        Threads::One => 256,
        // A guess: enough that a thread that is woken finds work for a while.
        Threads::Two => 4096,
    };
    window / sources
}

/// Has `sources` agents send `count` messages together to one, which runs as `sink`. Returns how
/// long it took until the last was counted.
///
/// # Errors
/// If a message was lost, doubled or out of order.
pub async fn measure(
    threads: Threads,
    sources: u64,
    sink: Placement,
    count: u64,
) -> anyhow::Result<Duration> {
    let arena = Arena::start(if sink == Placement::Pool { threads } else { Threads::One })?;
    let window = window(threads, sources);
    let (each, half, port) = (count.div_ceil(sources), window / 2, arena.port.id());
    let make = move || Sink { seen: vec![0; sources as usize], each, half, open: sources, port };
    let room = MailboxBounds { messages: (window * sources) as usize, ..MailboxBounds::default() };
    let sink = arena.spawn(&Spawn::new("sink", make).placement(sink).mailbox(room));
    let sources: Vec<AgentId> = (0..sources)
        .map(|source| {
            let make = move || Source { index: source, to: sink, next: 0, each };
            arena.spawn(&Spawn::new("source", make))
        })
        .collect();
    let began = Instant::now();
    for source in sources {
        arena.send(source, Parcel::new(0, window))?;
    }
    arena.verdict().await?;
    let took = began.elapsed();
    arena.end()?;
    Ok(took)
}

struct Source {
    index: u64,
    to: AgentId,
    next: u64,
    each: u64,
}

impl Agent for Source {
    type Message = Parcel;

    fn message(&mut self, _: AgentId, grant: Parcel, cx: &mut Context) {
        let end = self.each.min(self.next + grant.number);
        for number in self.next..end {
            cx.send(self.to, Parcel::new(self.index, number));
        }
        self.next = end;
    }
}

struct Sink {
    seen: Vec<u64>,
    each: u64,
    half: u64,
    /// Sources that have not sent all.
    open: u64,
    port: AgentId,
}

impl Agent for Sink {
    type Message = Parcel;

    fn message(&mut self, from: AgentId, parcel: Parcel, cx: &mut Context) {
        let seen = &mut self.seen[parcel.source as usize];
        if parcel != Parcel::new(parcel.source, *seen) {
            cx.send(self.port, Verdict::wrong(parcel.number, *seen));
            return cx.stop();
        }
        *seen += 1;
        if *seen == self.each {
            self.open -= 1;
            if self.open == 0 {
                cx.send(self.port, Verdict(Ok(())));
            }
        } else if seen.is_multiple_of(self.half) {
            cx.send(from, Parcel::new(0, self.half));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_message_of_every_source_is_counted() {
        for threads in Threads::ALL {
            for (sources, count) in [(1, 1), (1, 10_000), (8, 10_001)] {
                measure(threads, sources, Placement::Pool, count).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_message_out_of_order_is_an_error() {
        let arena = Arena::start(Threads::One).unwrap();
        let port = arena.port.id();
        let make = move || Sink { seen: vec![0], each: 9, half: 4, open: 1, port };
        let sink = arena.spawn(&Spawn::new("sink", make));
        arena.send(sink, Parcel::new(0, 0)).unwrap();
        arena.send(sink, Parcel::new(0, 2)).unwrap();
        let error = arena.verdict().await.unwrap_err();
        assert_eq!(error.to_string(), "message 2 came where 1 was due");
    }
}
