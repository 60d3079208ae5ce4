//! Remote tell: an agent sends to one of another node.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dx_agents::{Agent, AgentId, Context, MailboxBounds, Message, Refusal, Spawn};
use serde::{Deserialize, Serialize};

use crate::bench::agents::amount;
use crate::bench::agents::arena::{Verdict, verdict};
use crate::bench::agents::nodes::Nodes;
use crate::bench::agents::run::{Operation, Run};
use crate::bench::mesh;
use crate::bench::report::{Params, Unit};
use crate::bench::subject::Window;
use crate::bench::transport::TransportName;

/// Messages that the source may be ahead of the sink when it has got going.
const WINDOW: u64 = 8192;

/// The same at the start: as many as a node may send before it has heard of a mailbox's size.
const FIRST: u64 = 64;

/// The bytes beside the numbers.
const BODY: usize = 48;

/// What the transport sends that carries as much: two numbers and the bytes.
const FLOOR_BYTES: usize = 16 + BODY;

/// Sends `count` messages from node to node. Returns how long it took until the last was counted.
async fn measure(nodes: &Nodes, count: u64) -> anyhow::Result<Duration> {
    let (here, there) = (nodes.here.runtime(), nodes.there.runtime());
    let port = there.port();
    let to = port.id();
    let make = move || Sink { seen: 0, count, granted: FIRST, batch: FIRST / 2, port: to };
    let room = MailboxBounds { messages: 4 * WINDOW as usize, ..MailboxBounds::default() };
    let sink = there.spawn(&Spawn::new("sink", make).mailbox(room));
    let make = move || Source { to: sink, next: 0, count, port: to };
    let source = here.spawn(&Spawn::new("source", make));
    let began = Instant::now();
    here.port().send(source, Note::new(FIRST))?;
    verdict(&port).await?;
    Ok(began.elapsed())
}

/// What is sent: two numbers, and bytes that are not copied.
#[derive(Serialize, Deserialize)]
struct Note {
    /// Which it is; of a grant, how many may be sent further.
    number: u64,
    twice: u64,
    #[serde(skip)]
    body: Bytes,
}

impl Message for Note {
    const NAME: &'static str = "bench-note";

    fn body(&self) -> Bytes {
        self.body.clone()
    }

    fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }
}

impl Note {
    fn new(number: u64) -> Self {
        Self { number, twice: number * 2, body: Bytes::from_static(&[7; BODY]) }
    }

    fn is(&self, number: u64) -> bool {
        (self.number, self.twice) == (number, number * 2) && self.body == [7; BODY][..]
    }
}

struct Source {
    to: AgentId,
    next: u64,
    count: u64,
    port: AgentId,
}

impl Agent for Source {
    type Message = Note;

    fn message(&mut self, _: AgentId, grant: Note, cx: &mut Context) {
        let end = self.count.min(self.next + grant.number);
        (self.next..end).for_each(|number| cx.send(self.to, Note::new(number)));
        self.next = end;
    }

    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        let wrong = format!("{} messages were refused: {}", refusal.count, refusal.why);
        cx.send(self.port, Verdict(Err(wrong)));
    }
}

struct Sink {
    seen: u64,
    count: u64,
    /// Messages that the source may have sent in all.
    granted: u64,
    /// When no more than this is on its way the next grant is due. It doubles, since what a node
    /// may send to an agent grows as well.
    batch: u64,
    port: AgentId,
}

impl Agent for Sink {
    type Message = Note;

    fn message(&mut self, from: AgentId, note: Note, cx: &mut Context) {
        if !note.is(self.seen) {
            cx.send(self.port, Verdict::wrong(note.number, self.seen));
            return cx.stop();
        }
        self.seen += 1;
        if self.seen == self.count {
            cx.send(self.port, Verdict(Ok(())));
            // The source has said all that it had to say.
            cx.stop();
        } else if self.granted - self.seen == self.batch {
            let on_its_way = self.batch;
            self.batch = (WINDOW / 2).min(self.batch * 2);
            let grant = 2 * self.batch - on_its_way;
            self.granted += grant;
            cx.send(from, Note::new(grant));
        }
    }
}

/// Measures it over every transport, in turn with the transport alone.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for transport in run.options.transports.clone() {
        let params = Params::new().with("transport", transport.name().into());
        if let Err(error) = over(run, transport, &params).await {
            run.failed(params, &error)?;
        }
    }
    Ok(())
}

async fn over(run: &mut Run<'_>, transport: TransportName, params: &Params) -> anyhow::Result<()> {
    let nodes = Nodes::start(transport).await?;
    let mut alone = mesh::subject(transport).await?;
    let time = run.options.time();
    let window = Window { warmup: time / 8, measure: time };
    let floor = async || {
        let flow = alone.one_way(FLOOR_BYTES, window);
        let flow = amount::within(amount::limit(time), flow).await?;
        Ok(Some(flow.messages_per_second()))
    };
    let operation =
        Operation { params: params.clone(), metric: ("messages", Unit::MessagesPerSecond) };
    let mut count = None;
    let value = async || {
        let measure = async |count| measure(&nodes, count).await;
        operation.once(time, &mut count, measure).await.map(Some)
    };
    run.in_turn(&operation, value, Some(floor)).await?;
    nodes.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_message_arrives_over_every_transport() {
        for transport in
            [TransportName::Memory, TransportName::Tcp, TransportName::Tls, TransportName::Quic]
        {
            let nodes = Nodes::start(transport).await.unwrap();
            for count in [1, FIRST, 50_000] {
                measure(&nodes, count).await.unwrap();
            }
            nodes.end().await.unwrap();
        }
    }
}
