//! Ask: a question, its answer, the next question.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dx_agents::{Agent, AgentId, Answer, AskError, AskId, Context, Spawn};

use crate::bench::agents::arena::{Arena, Parcel, Threads, Verdict};
use crate::bench::agents::floor;
use crate::bench::agents::run::{Operation, Run};
use crate::bench::report::{Params, Unit};

/// The deadline of a question. It is never met: an answer that takes so long is a failure.
const WITHIN: Duration = Duration::from_secs(10);

/// Asks `count` questions, one after the other. Returns how long it took.
///
/// # Errors
/// If a question has no answer or another's.
pub async fn measure(threads: Threads, count: u64) -> anyhow::Result<Duration> {
    let arena = Arena::start(threads)?;
    let port = arena.port.id();
    let to = arena.spawn(&Spawn::new("answerer", || Answerer));
    let make = move || Asker { to, next: 0, count, port };
    let asker = arena.spawn(&Spawn::new("asker", make));
    let began = Instant::now();
    arena.send(asker, Parcel::new(0, 0))?;
    arena.verdict().await?;
    let took = began.elapsed();
    arena.end()?;
    Ok(took)
}

struct Asker {
    to: AgentId,
    next: u64,
    count: u64,
    port: AgentId,
}

impl Agent for Asker {
    type Message = Parcel;

    /// It may begin.
    fn message(&mut self, _: AgentId, _: Parcel, cx: &mut Context) {
        cx.ask(self.to, Parcel::new(0, self.next), WITHIN);
    }

    fn reply(&mut self, _: AskId, answer: Result<Answer, AskError>, cx: &mut Context) {
        let answer = answer.map_err(|error| error.to_string());
        let answer = answer.and_then(|a| a.open::<Parcel>().map_err(|error| error.to_string()));
        let verdict = match answer {
            Ok(answer) if answer != Parcel::new(1, self.next) => {
                Verdict::wrong(answer.number, self.next)
            }
            Ok(_) if self.next + 1 == self.count => Verdict(Ok(())),
            Ok(_) => {
                self.next += 1;
                cx.ask(self.to, Parcel::new(0, self.next), WITHIN);
                return;
            }
            Err(error) => Verdict(Err(error)),
        };
        cx.send(self.port, verdict);
    }
}

/// Answers each question with its number.
pub struct Answerer;

impl Agent for Answerer {
    type Message = Parcel;

    fn message(&mut self, _: AgentId, question: Parcel, cx: &mut Context) {
        if let Some(to) = cx.asked() {
            cx.reply(to, Parcel::new(question.source + 1, question.number));
        }
    }
}

/// Measures it on one thread and across two.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for threads in Threads::ALL {
        let floor: Option<floor::Floor> = match threads {
            // Less than a function call is no floor.
            Threads::One => None,
            Threads::Two => Some(Arc::new(floor::ping_pong)),
        };
        let params = Params::new().with("threads", threads.to_string().as_str().into());
        let operation = Operation { params, metric: ("round trip", Unit::Microseconds) };
        run.measure(&operation, async |count| measure(threads, count).await, floor).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_question_has_its_answer() {
        for threads in Threads::ALL {
            for count in [1, 5000] {
                measure(threads, count).await.unwrap();
            }
        }
    }
}
