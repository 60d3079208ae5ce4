//! Remote ask: a question to an agent of another node, and its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dx_agents::{Agent, AgentId, Answer, AskError, AskId, Context, Placement, Spawn};

use crate::bench::agents::amount;
use crate::bench::agents::arena::{Parcel, Verdict, verdict};
use crate::bench::agents::ask::Answerer;
use crate::bench::agents::nodes::Nodes;
use crate::bench::agents::run::{Operation, Run};
use crate::bench::latency::Distribution;
use crate::bench::mesh;
use crate::bench::report::{Param, Params, Unit};
use crate::bench::subject::{Load, Window};
use crate::bench::transport::TransportName;

/// The deadline of a question. It is never met: an answer that takes so long is a failure.
const WITHIN: Duration = Duration::from_secs(10);

/// Where both agents run, and how many questions are under way.
pub const ROWS: [(Place, u64); 3] =
    [(Place::Shared, 1), (Place::Own, 1), (Place::Shared, IN_FLIGHT)];

/// Questions under way where they are many.
const IN_FLIGHT: u64 = 64;

/// Questions that are asked at least, however long they take: a median needs some.
const FEWEST: u64 = 100;

/// On whose thread agents run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the one that does the link's I/O, as light agents do.
    Shared,
    /// On one of their own.
    Own,
}

impl Place {
    fn placement(self) -> Placement {
        match self {
            Self::Shared => Placement::Pool,
            Self::Own => Placement::Thread { pin: None },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Own => "own",
        }
    }
}

/// Asks `count` questions, of which `in_flight` are under way. Returns how long it took, and the
/// round trips.
async fn measure(
    nodes: &Nodes,
    (place, in_flight): (Place, u64),
    count: u64,
) -> anyhow::Result<(Duration, Distribution)> {
    let (here, there) = (nodes.here.runtime(), nodes.there.runtime());
    let port = here.port();
    let tell = port.id();
    let placement = place.placement();
    let to = there.spawn(&Spawn::new("answerer", || Answerer).placement(placement));
    let round_trips = Arc::new(Mutex::new(Distribution::new()));
    let shared = Arc::clone(&round_trips);
    let make = move || Asker {
        to,
        asked: 0,
        answered: 0,
        count,
        in_flight,
        began: Instant::now(),
        round_trips: Arc::clone(&shared),
        port: tell,
    };
    let asker = here.spawn(&Spawn::new("asker", make).placement(placement));
    let began = Instant::now();
    port.send(asker, Parcel::new(0, 0))?;
    verdict(&port).await?;
    let took = began.elapsed();
    let round_trips = round_trips.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((took, round_trips))
}

struct Asker {
    to: AgentId,
    asked: u64,
    answered: u64,
    count: u64,
    in_flight: u64,
    /// When the question was asked, if one is under way at a time.
    began: Instant,
    round_trips: Arc<Mutex<Distribution>>,
    port: AgentId,
}

impl Asker {
    fn ask(&mut self, cx: &mut Context) {
        if self.asked < self.count {
            self.began = Instant::now();
            cx.ask(self.to, Parcel::new(0, self.asked), WITHIN);
            self.asked += 1;
        }
    }
}

impl Agent for Asker {
    type Message = Parcel;

    /// It may begin.
    fn message(&mut self, _: AgentId, _: Parcel, cx: &mut Context) {
        (0..self.in_flight).for_each(|_| self.ask(cx));
    }

    fn reply(&mut self, _: AskId, answer: Result<Answer, AskError>, cx: &mut Context) {
        if self.in_flight == 1 {
            let took = self.began.elapsed();
            let mut all = self.round_trips.lock().unwrap_or_else(PoisonError::into_inner);
            all.record_duration(took);
        }
        let answer = answer.map_err(|error| error.to_string());
        let answer = answer.and_then(|a| a.open::<Parcel>().map_err(|error| error.to_string()));
        match answer {
            // One answerer answers in the order in which it was asked.
            Ok(answer) if answer != Parcel::new(1, self.answered) => {
                cx.send(self.port, Verdict::wrong(answer.number, self.answered));
            }
            Ok(_) => {
                self.answered += 1;
                if self.answered == self.count {
                    cx.send(self.port, Verdict(Ok(())));
                }
                self.ask(cx);
            }
            Err(error) => cx.send(self.port, Verdict(Err(error))),
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
    for row in ROWS {
        let params = params.clone().with("thread", row.0.name().into());
        let params = params.with("in flight", Param::Count(row.1));
        if row.1 == 1 {
            one_at_a_time(run, transport, &nodes, row, params).await?;
        } else {
            let operation = Operation { params, metric: ("answers", Unit::PerSecond) };
            let measure = async |count| Ok(measure(&nodes, row, count).await?.0);
            run.measure(&operation, measure, None).await?;
        }
    }
    nodes.end().await
}

/// The median round trip, beside the mesh's own.
async fn one_at_a_time(
    run: &mut Run<'_>,
    transport: TransportName,
    nodes: &Nodes,
    row: (Place, u64),
    params: Params,
) -> anyhow::Result<()> {
    let mut alone = mesh::subject(transport).await?;
    let time = run.options.time();
    let window = Window { warmup: time / 8, measure: time };
    let limit = amount::limit(time);
    let floor = async || {
        let round_trips = alone.round_trips(Load::ClosedLoop, window);
        let round_trips = amount::within(limit, round_trips).await?;
        Ok(round_trips.percentile_us(0.5))
    };
    let mut count = None;
    let value = async || {
        let count = match count {
            Some(count) => count,
            None => {
                let took = async |count| Ok(measure(nodes, row, count).await?.0);
                *count.insert(amount::filling(time, took).await?.max(FEWEST))
            }
        };
        let (_, round_trips) = amount::within(limit, measure(nodes, row, count)).await?;
        Ok(round_trips.percentile_us(0.5))
    };
    let operation = Operation { params, metric: ("p50", Unit::Microseconds) };
    run.in_turn(&operation, value, Some(floor)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_question_has_its_answer_over_every_transport() {
        for transport in
            [TransportName::Memory, TransportName::Tcp, TransportName::Tls, TransportName::Quic]
        {
            let nodes = Nodes::start(transport).await.unwrap();
            for row in ROWS {
                let (_, round_trips) = measure(&nodes, row, 500).await.unwrap();
                assert_eq!(round_trips.count(), if row.1 == 1 { 500 } else { 0 });
            }
            nodes.end().await.unwrap();
        }
    }
}
