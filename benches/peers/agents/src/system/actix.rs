//! actix. What is in here blocks its thread, which is the first of the system's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, MessageResult, System};
use anyhow::bail;
use dx::bench::agents::arena::{Parcel, Threads};
use dx::bench::agents::spawn::Cost;
use dx::bench::agents::{fan_in, token};

use crate::run::Workload;
use crate::work::{self, Asking, Member, Plan, Report, Sink, Source, Tally};

pub fn measure(workload: Workload, count: u64) -> anyhow::Result<Duration> {
    System::new().block_on(async {
        match workload {
            Workload::Tell => stream(Threads::One, 1, count).await,
            Workload::TellAcross => stream(Threads::Two, 1, count).await,
            Workload::FanIn => stream(Threads::Two, fan_in::SOURCES, count).await,
            Workload::Token => around(count).await,
            Workload::Ask => ask(Threads::One, count).await,
            Workload::AskAcross => ask(Threads::Two, count).await,
            Workload::Spawn => bail!("spawning is measured in a process of its own"),
        }
    })
}

/// The second thread, if there is one: an arbiter, ended and waited for when it is dropped.
struct Receiver(Option<Arbiter>);

impl Receiver {
    fn new(threads: Threads) -> Self {
        Self(match threads {
            Threads::One => None,
            Threads::Two => Some(Arbiter::new()),
        })
    }

    fn start<A: Actor<Context = Context<A>> + Send>(&self, actor: A) -> Addr<A> {
        match &self.0 {
            None => actor.start(),
            Some(arbiter) => A::start_in_arbiter(&arbiter.handle(), |_| actor),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(arbiter) = self.0.take() {
            arbiter.stop();
            // A panic of it has been printed, and the verdict has failed.
            let _ = arbiter.join();
        }
    }
}

/// A message without an answer.
struct Tell(Parcel);

impl Message for Tell {
    type Result = ();
}

/// Where messages go.
struct To<A: Actor>(Addr<A>);

impl<A: Actor> Message for To<A> {
    type Result = ();
}

struct Grant(u64);

impl Message for Grant {
    type Result = ();
}

struct SourceActor {
    source: Source,
    sink: Option<Addr<SinkActor>>,
}

impl Actor for SourceActor {
    type Context = Context<Self>;
}

impl Handler<To<SinkActor>> for SourceActor {
    type Result = ();

    fn handle(&mut self, To(sink): To<SinkActor>, _: &mut Context<Self>) {
        self.sink = Some(sink);
    }
}

impl Handler<Grant> for SourceActor {
    type Result = ();

    fn handle(&mut self, Grant(count): Grant, _: &mut Context<Self>) {
        if let Some(sink) = &self.sink {
            self.source.granted(count).for_each(|parcel| sink.do_send(Tell(parcel)));
        }
    }
}

struct SinkActor {
    sink: Sink,
    sources: Vec<Addr<SourceActor>>,
}

impl Actor for SinkActor {
    type Context = Context<Self>;
}

impl Handler<Tell> for SinkActor {
    type Result = ();

    fn handle(&mut self, Tell(parcel): Tell, _: &mut Context<Self>) {
        if let Some(count) = self.sink.take(parcel) {
            self.sources[parcel.source as usize].do_send(Grant(count));
        }
    }
}

async fn stream(threads: Threads, sources: u64, count: u64) -> anyhow::Result<Duration> {
    let receiver = Receiver::new(threads);
    let plan = Plan::new(threads, sources, count);
    let (report, verdict) = Report::new();
    let source = |index| SourceActor { source: Source::new(index, plan), sink: None }.start();
    let sources: Vec<Addr<SourceActor>> = (0..plan.sources).map(source).collect();
    let sink = SinkActor { sink: Sink::new(plan, report), sources: sources.clone() };
    let sink = receiver.start(sink);
    for source in &sources {
        source.send(To(sink.clone())).await?;
    }
    let began = Instant::now();
    for source in &sources {
        source.do_send(Grant(plan.window));
    }
    verdict.wait().await?;
    Ok(began.elapsed())
}

struct MemberActor {
    member: Member,
    next: Option<Addr<MemberActor>>,
}

impl Actor for MemberActor {
    type Context = Context<Self>;
}

impl Handler<To<MemberActor>> for MemberActor {
    type Result = ();

    fn handle(&mut self, To(next): To<MemberActor>, _: &mut Context<Self>) {
        self.next = Some(next);
    }
}

impl Handler<Tell> for MemberActor {
    type Result = ();

    fn handle(&mut self, Tell(token): Tell, _: &mut Context<Self>) {
        if let (Some(token), Some(next)) = (self.member.take(token), &self.next) {
            next.do_send(Tell(token));
        }
    }
}

async fn around(count: u64) -> anyhow::Result<Duration> {
    let (report, verdict) = Report::new();
    let member = |_| MemberActor { member: Member::new(report.clone()), next: None }.start();
    let members: Vec<Addr<MemberActor>> = (0..token::AGENTS).map(member).collect();
    for (member, next) in members.iter().zip(members.iter().cycle().skip(1)) {
        member.send(To(next.clone())).await?;
    }
    let began = Instant::now();
    members[0].do_send(Tell(Parcel::new(0, count)));
    verdict.wait().await?;
    Ok(began.elapsed())
}

struct Question(Parcel);

impl Message for Question {
    type Result = Parcel;
}

struct Answerer;

impl Actor for Answerer {
    type Context = Context<Self>;
}

impl Handler<Question> for Answerer {
    type Result = MessageResult<Question>;

    fn handle(&mut self, Question(question): Question, _: &mut Context<Self>) -> Self::Result {
        MessageResult(work::answer(question))
    }
}

async fn ask(threads: Threads, count: u64) -> anyhow::Result<Duration> {
    let receiver = Receiver::new(threads);
    let answerer = receiver.start(Answerer);
    let mut asking = Asking::new(count);
    while let Some(question) = asking.question() {
        asking.answered(answerer.send(Question(question)).await?)?;
    }
    Ok(asking.took())
}

struct Idle(Arc<Tally>);

impl Actor for Idle {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        self.0.one();
    }
}

impl Handler<Tell> for Idle {
    type Result = ();

    fn handle(&mut self, _: Tell, _: &mut Context<Self>) {
        self.0.one();
    }
}

pub fn spawn(count: u64) -> anyhow::Result<Cost> {
    let spawn = |tally: &Arc<Tally>| Ok(Idle(Arc::clone(tally)).start());
    let tell = |actor: &Addr<Idle>| {
        actor.do_send(Tell(Parcel::new(0, 0)));
        Ok(())
    };
    System::new().block_on(work::cost(count, spawn, tell))
}
