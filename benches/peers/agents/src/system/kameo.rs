//! kameo.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use dx::bench::agents::arena::{Parcel, Threads};
use dx::bench::agents::spawn::Cost;
use dx::bench::agents::{fan_in, token};
use kameo::actor::{ActorRef, Spawn};
use kameo::message::{Context, Message};
use kameo::{Actor, mailbox};

use crate::run::Workload;
use crate::work::{self, Asking, Member, Place, Plan, Report, Sink, Source, Tally};

pub async fn measure(workload: Workload, count: u64) -> anyhow::Result<Duration> {
    match workload {
        Workload::Tell => stream(Threads::One, 1, count).await,
        Workload::TellAcross => stream(Threads::Two, 1, count).await,
        Workload::FanIn => stream(Threads::Two, fan_in::SOURCES, count).await,
        Workload::Token => around(count).await,
        Workload::Ask => ask(Threads::One, count).await,
        Workload::AskAcross => ask(Threads::Two, count).await,
        Workload::Spawn => bail!("spawning is measured in a process of its own"),
    }
}

/// Actors that start as what they are given.
macro_rules! starts_as_it_is {
    ($($actor:ty),*) => {$(
        impl Actor for $actor {
            type Args = Self;
            type Error = Infallible;

            async fn on_start(args: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
                Ok(args)
            }
        }
    )*};
}

starts_as_it_is!(SourceActor, SinkActor, MemberActor, Answerer);

/// An actor with a mailbox without a bound, on the thread that calls.
fn start<A: Actor<Args = A>>(actor: A) -> ActorRef<A> {
    A::spawn_with_mailbox(actor, mailbox::unbounded())
}

fn tell<A: Message<M>, M: Send + 'static>(to: &ActorRef<A>, message: M) -> anyhow::Result<()> {
    to.tell(message).try_send().map_err(|_| anyhow!("an actor has gone"))
}

struct SourceActor {
    source: Source,
    sink: Option<ActorRef<SinkActor>>,
}

struct To<A: Actor>(ActorRef<A>);

struct Grant(u64);

impl Message<To<SinkActor>> for SourceActor {
    type Reply = ();

    async fn handle(&mut self, To(sink): To<SinkActor>, _: &mut Context<Self, ()>) {
        self.sink = Some(sink);
    }
}

impl Message<Grant> for SourceActor {
    type Reply = Result<(), String>;

    async fn handle(
        &mut self,
        Grant(count): Grant,
        _: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        let sink = self.sink.as_ref().ok_or("a grant came before the sink")?;
        let mut parcels = self.source.granted(count);
        parcels.try_for_each(|parcel| tell(sink, parcel)).map_err(|error| error.to_string())
    }
}

struct SinkActor {
    sink: Sink,
    sources: Vec<ActorRef<SourceActor>>,
}

impl Message<Parcel> for SinkActor {
    type Reply = Result<(), String>;

    async fn handle(&mut self, parcel: Parcel, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let Some(count) = self.sink.take(parcel) else { return Ok(()) };
        let source = &self.sources[parcel.source as usize];
        tell(source, Grant(count)).map_err(|error| error.to_string())
    }
}

async fn stream(threads: Threads, sources: u64, count: u64) -> anyhow::Result<Duration> {
    let place = Place::new(threads)?;
    let plan = Plan::new(threads, sources, count);
    let (report, verdict) = Report::new();
    let source = move |index| SourceActor { source: Source::new(index, plan), sink: None };
    let spawn = async move { (0..plan.sources).map(|index| start(source(index))).collect() };
    let sources: Vec<ActorRef<SourceActor>> = place.sender().spawn(spawn).join().await;
    let sink = SinkActor { sink: Sink::new(plan, report), sources: sources.clone() };
    let sink = place.receiver().spawn(async move { start(sink) }).join().await;
    for source in &sources {
        tell(source, To(sink.clone()))?;
    }
    let began = Instant::now();
    for source in &sources {
        tell(source, Grant(plan.window))?;
    }
    verdict.wait().await?;
    Ok(began.elapsed())
}

struct MemberActor {
    member: Member,
    next: Option<ActorRef<MemberActor>>,
}

impl Message<To<MemberActor>> for MemberActor {
    type Reply = ();

    async fn handle(&mut self, To(next): To<MemberActor>, _: &mut Context<Self, ()>) {
        self.next = Some(next);
    }
}

impl Message<Parcel> for MemberActor {
    type Reply = Result<(), String>;

    async fn handle(&mut self, token: Parcel, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        match (self.member.take(token), &self.next) {
            (Some(token), Some(next)) => tell(next, token).map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }
}

async fn around(count: u64) -> anyhow::Result<Duration> {
    let place = Place::new(Threads::One)?;
    let (report, verdict) = Report::new();
    let member = move || MemberActor { member: Member::new(report.clone()), next: None };
    let spawn = async move { (0..token::AGENTS).map(|_| start(member())).collect() };
    let members: Vec<ActorRef<MemberActor>> = place.sender().spawn(spawn).join().await;
    for (member, next) in members.iter().zip(members.iter().cycle().skip(1)) {
        tell(member, To(next.clone()))?;
    }
    let began = Instant::now();
    tell(&members[0], Parcel::new(0, count))?;
    verdict.wait().await?;
    Ok(began.elapsed())
}

struct Answerer;

/// A type that kameo knows as a reply already.
type Answer = Result<Parcel, Infallible>;

impl Message<Parcel> for Answerer {
    type Reply = Answer;

    async fn handle(&mut self, question: Parcel, _: &mut Context<Self, Answer>) -> Answer {
        Ok(work::answer(question))
    }
}

async fn ask(threads: Threads, count: u64) -> anyhow::Result<Duration> {
    let place = Place::new(threads)?;
    let answerer = place.receiver().spawn(async { start(Answerer) }).join().await;
    let asking = async move {
        let mut asking = Asking::new(count);
        while let Some(question) = asking.question() {
            let answer = answerer.ask(question).await.map_err(|error| anyhow!("{error}"))?;
            asking.answered(answer)?;
        }
        Ok(asking.took())
    };
    place.sender().spawn(asking).join().await
}

struct Idle(Arc<Tally>);

impl Actor for Idle {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(idle: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        idle.0.one();
        Ok(idle)
    }
}

impl Message<Parcel> for Idle {
    type Reply = ();

    async fn handle(&mut self, _: Parcel, _: &mut Context<Self, ()>) {
        self.0.one();
    }
}

pub async fn spawn(count: u64) -> anyhow::Result<Cost> {
    let place = Place::new(Threads::One)?;
    let spawn = |tally: &Arc<Tally>| Ok(start(Idle(Arc::clone(tally))));
    let told = |actor: &ActorRef<Idle>| tell(actor, Parcel::new(0, 0));
    place.sender().spawn(async move { work::cost(count, spawn, told).await }).join().await
}
