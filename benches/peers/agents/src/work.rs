//! What all actors do, whoever runs them: the same as dx's agents in `dx bench agents`.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use dx::bench::agents::arena::{Parcel, Threads};
use dx::bench::agents::spawn::Cost;
use dx::bench::agents::{stream, token};
use dx::bench::cpu;
use dx::bench::end::End;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

/// How the one that checks tells that all is done, or what was wrong.
#[derive(Clone)]
pub struct Report(Arc<Mutex<Option<oneshot::Sender<Result<(), String>>>>>);

/// Where a report arrives.
pub struct Verdict(oneshot::Receiver<Result<(), String>>);

impl Report {
    pub fn new() -> (Self, Verdict) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), Verdict(receiver))
    }

    pub fn done(&self) {
        self.tell(Ok(()));
    }

    pub fn wrong(&self, seen: u64, due: u64) {
        self.tell(Err(format!("message {seen} came where {due} was due")));
    }

    fn tell(&self, what: Result<(), String>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Whoever does not wait any more has failed for another reason.
            let _ = sender.send(what);
        }
    }
}

impl Verdict {
    pub async fn wait(self) -> anyhow::Result<()> {
        self.0.await.context("the actors have gone")?.map_err(|wrong| anyhow!(wrong))
    }
}

/// A stream of messages: from how many, how many each, and how far ahead of the one that counts.
#[derive(Clone, Copy)]
pub struct Plan {
    pub sources: u64,
    pub each: u64,
    pub window: u64,
}

impl Plan {
    pub fn new(threads: Threads, sources: u64, count: u64) -> Self {
        let window = stream::window(threads, sources);
        Self { sources, each: count.div_ceil(sources), window }
    }
}

/// One that sends as much as it is granted.
pub struct Source {
    index: u64,
    next: u64,
    each: u64,
}

impl Source {
    pub fn new(index: u64, plan: Plan) -> Self {
        Self { index, next: 0, each: plan.each }
    }

    /// What may be sent now.
    pub fn granted(&mut self, count: u64) -> impl Iterator<Item = Parcel> + use<> {
        let numbers: Range<u64> = self.next..self.each.min(self.next + count);
        self.next = numbers.end;
        let index = self.index;
        numbers.map(move |number| Parcel::new(index, number))
    }
}

/// The one that counts, checks and grants.
pub struct Sink {
    seen: Vec<u64>,
    plan: Plan,
    open: u64,
    report: Report,
}

impl Sink {
    pub fn new(plan: Plan, report: Report) -> Self {
        Self { seen: vec![0; plan.sources as usize], plan, open: plan.sources, report }
    }

    /// Counts a message. Returns what its source is granted, if anything.
    pub fn take(&mut self, parcel: Parcel) -> Option<u64> {
        let half = self.plan.window / 2;
        let seen = &mut self.seen[parcel.source as usize];
        if parcel != Parcel::new(parcel.source, *seen) {
            self.report.wrong(parcel.number, *seen);
            return None;
        }
        *seen += 1;
        if *seen == self.plan.each {
            self.open -= 1;
            if self.open == 0 {
                self.report.done();
            }
            return None;
        }
        seen.is_multiple_of(half).then_some(half)
    }
}

/// One of the ring around which the token goes.
pub struct Member {
    last: Option<u64>,
    report: Report,
}

impl Member {
    pub fn new(report: Report) -> Self {
        Self { last: None, report }
    }

    /// The token that goes on, if it does.
    pub fn take(&mut self, token: Parcel) -> Option<Parcel> {
        let left = token.number;
        let due = self.last.map_or(left, |last| last - token::AGENTS);
        if left != due {
            self.report.wrong(left, due);
            return None;
        }
        self.last = Some(left);
        let next = left.checked_sub(1).map(|left| Parcel { number: left, ..token });
        if next.is_none() {
            self.report.done();
        }
        next
    }
}

/// The answer to a question.
pub fn answer(question: Parcel) -> Parcel {
    Parcel::new(question.source + 1, question.number)
}

/// The one that asks: a question, its answer, the next question.
pub struct Asking {
    next: u64,
    count: u64,
    began: Instant,
}

impl Asking {
    /// It begins now.
    pub fn new(count: u64) -> Self {
        Self { next: 0, count, began: Instant::now() }
    }

    /// The question to be asked, if there is one more.
    pub fn question(&self) -> Option<Parcel> {
        (self.next < self.count).then(|| Parcel::new(0, self.next))
    }

    /// Its answer.
    pub fn answered(&mut self, answer: Parcel) -> anyhow::Result<()> {
        let due = self.next;
        ensure!(answer == Parcel::new(1, due), "{} came, {due} was due", answer.number);
        self.next += 1;
        Ok(())
    }

    /// How long it took so far.
    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Counts starts and messages of idle actors.
pub struct Tally {
    heard: AtomicU64,
    count: u64,
    phases: mpsc::UnboundedSender<()>,
}

impl Tally {
    /// Counts one; tells when all have been heard.
    pub fn one(&self) {
        let heard = self.heard.fetch_add(1, Ordering::Relaxed) + 1;
        if heard.is_multiple_of(self.count) {
            // Whoever does not wait any more has failed for another reason.
            let _ = self.phases.send(());
        }
    }
}

/// Actors that are spawned or sent to before they get a turn, as in dx's bench.
const STEP: u64 = 1000;

/// Starts `count` actors on this thread, then sends each a message; what that takes.
pub async fn cost<R>(
    count: u64,
    mut spawn: impl FnMut(&Arc<Tally>) -> anyhow::Result<R>,
    mut tell: impl FnMut(&R) -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    let (sender, mut phases) = mpsc::unbounded_channel();
    let tally = Arc::new(Tally { heard: AtomicU64::new(0), count, phases: sender });
    let mut actors: Vec<R> = Vec::with_capacity(count as usize);
    let before = resident()?;
    let began = Instant::now();
    for number in 1..=count {
        actors.push(spawn(&tally)?);
        if number.is_multiple_of(STEP) {
            yield_now().await;
        }
    }
    phases.recv().await.context("the actors have gone")?;
    let took = began.elapsed();
    let idle = resident()? - before;
    for (number, actor) in (1..).zip(&actors) {
        tell(actor)?;
        if u64::is_multiple_of(number, STEP) {
            yield_now().await;
        }
    }
    phases.recv().await.context("the actors have gone")?;
    let used = resident()? - before;
    // The list of actors is none of theirs.
    let each = |bytes: f64| bytes / count as f64 - size_of::<R>() as f64;
    Ok(Cost { spawn_us: took.as_secs_f64() * 1e6 / count as f64, bytes: [each(idle), each(used)] })
}

fn resident() -> anyhow::Result<f64> {
    let bytes = cpu::resident_bytes().context("the system does not tell what is resident")?;
    Ok(bytes as f64)
}

/// Threads with a current-thread tokio runtime each: one for those who send and ask, and one for
/// those who receive and answer, unless they share it.
pub struct Place {
    sender: End,
    receiver: Option<End>,
}

impl Place {
    pub fn new(threads: Threads) -> anyhow::Result<Self> {
        let sender = End::start("sender")?;
        let receiver = match threads {
            Threads::One => None,
            Threads::Two => Some(End::start("receiver")?),
        };
        Ok(Self { sender, receiver })
    }

    pub fn sender(&self) -> &End {
        &self.sender
    }

    pub fn receiver(&self) -> &End {
        self.receiver.as_ref().unwrap_or(&self.sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { sources: 2, each: 5, window: 4 }
    }

    #[test]
    fn a_source_sends_what_it_was_granted_and_no_more_than_it_has() {
        let mut source = Source::new(1, plan());
        let numbers = |parcels: Vec<Parcel>| parcels.iter().map(|p| p.number).collect::<Vec<_>>();
        assert_eq!(numbers(source.granted(4).collect()), [0, 1, 2, 3]);
        assert_eq!(numbers(source.granted(4).collect()), [4]);
    }

    #[tokio::test]
    async fn a_sink_grants_at_half_a_window_and_reports_when_it_has_all() {
        let (report, verdict) = Report::new();
        let mut sink = Sink::new(plan(), report);
        let grants = |source| (0..5).map(move |number| Parcel::new(source, number));
        let of = |sink: &mut Sink, source| grants(source).map(|p| sink.take(p)).collect::<Vec<_>>();
        let expected = [None, Some(2), None, Some(2), None];
        assert_eq!(of(&mut sink, 0), expected);
        assert_eq!(of(&mut sink, 1), expected);
        verdict.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_missing_message_is_reported() {
        let (report, verdict) = Report::new();
        let mut sink = Sink::new(plan(), report);
        sink.take(Parcel::new(0, 1));
        let wrong = verdict.wait().await.unwrap_err().to_string();
        assert_eq!(wrong, "message 1 came where 0 was due");
    }
}
