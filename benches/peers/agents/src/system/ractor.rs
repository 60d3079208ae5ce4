//! ractor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use dx::bench::agents::arena::{Parcel, Threads};
use dx::bench::agents::spawn::Cost;
use dx::bench::agents::{fan_in, token};
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, ActorRuntime, RpcReplyPort};

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

/// The result of a handler.
type Handled = Result<(), ActorProcessingErr>;

enum ToSource {
    Sink(ActorRef<Parcel>),
    Grant(u64),
}

struct SourceActor;

impl Actor for SourceActor {
    type Msg = ToSource;
    type State = (Source, Option<ActorRef<Parcel>>);
    type Arguments = Source;

    async fn pre_start(
        &self,
        _: ActorRef<ToSource>,
        source: Source,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((source, None))
    }

    async fn handle(
        &self,
        _: ActorRef<ToSource>,
        message: ToSource,
        (source, sink): &mut Self::State,
    ) -> Handled {
        match (message, &sink) {
            (ToSource::Sink(to), _) => *sink = Some(to),
            (ToSource::Grant(count), Some(sink)) => {
                for parcel in source.granted(count) {
                    sink.cast(parcel)?;
                }
            }
            (ToSource::Grant(_), None) => return Err("a grant came before the sink".into()),
        }
        Ok(())
    }
}

struct SinkActor;

impl Actor for SinkActor {
    type Msg = Parcel;
    type State = (Sink, Vec<ActorRef<ToSource>>);
    type Arguments = Self::State;

    async fn pre_start(
        &self,
        _: ActorRef<Parcel>,
        state: Self::State,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Parcel>,
        parcel: Parcel,
        (sink, sources): &mut Self::State,
    ) -> Handled {
        if let Some(count) = sink.take(parcel) {
            sources[parcel.source as usize].cast(ToSource::Grant(count))?;
        }
        Ok(())
    }
}

async fn stream(threads: Threads, sources: u64, count: u64) -> anyhow::Result<Duration> {
    let place = Place::new(threads)?;
    let plan = Plan::new(threads, sources, count);
    let (report, verdict) = Report::new();
    let mut sources = Vec::new();
    for index in 0..plan.sources {
        let spawn = SourceActor::spawn(None, SourceActor, Source::new(index, plan));
        sources.push(place.sender().spawn(spawn).join().await?.0);
    }
    let spawn = SinkActor::spawn(None, SinkActor, (Sink::new(plan, report), sources.clone()));
    let (sink, _) = place.receiver().spawn(spawn).join().await?;
    for source in &sources {
        source.cast(ToSource::Sink(sink.clone())).map_err(|_| gone())?;
    }
    let began = Instant::now();
    for source in &sources {
        source.cast(ToSource::Grant(plan.window)).map_err(|_| gone())?;
    }
    verdict.wait().await?;
    Ok(began.elapsed())
}

fn gone() -> anyhow::Error {
    anyhow!("an actor has gone")
}

enum ToMember {
    Next(ActorRef<ToMember>),
    Token(Parcel),
}

struct MemberActor;

impl Actor for MemberActor {
    type Msg = ToMember;
    type State = (Member, Option<ActorRef<ToMember>>);
    type Arguments = Report;

    async fn pre_start(
        &self,
        _: ActorRef<ToMember>,
        report: Report,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((Member::new(report), None))
    }

    async fn handle(
        &self,
        _: ActorRef<ToMember>,
        message: ToMember,
        (member, next): &mut Self::State,
    ) -> Handled {
        match message {
            ToMember::Next(to) => *next = Some(to),
            ToMember::Token(token) => {
                if let (Some(token), Some(next)) = (member.take(token), &next) {
                    next.cast(ToMember::Token(token))?;
                }
            }
        }
        Ok(())
    }
}

async fn around(count: u64) -> anyhow::Result<Duration> {
    let place = Place::new(Threads::One)?;
    let (report, verdict) = Report::new();
    let spawn = async move {
        let mut members = Vec::new();
        for _ in 0..token::AGENTS {
            members.push(MemberActor::spawn(None, MemberActor, report.clone()).await?.0);
        }
        anyhow::Ok(members)
    };
    let members = place.sender().spawn(spawn).join().await?;
    for (member, next) in members.iter().zip(members.iter().cycle().skip(1)) {
        member.cast(ToMember::Next(next.clone())).map_err(|_| gone())?;
    }
    let began = Instant::now();
    members[0].cast(ToMember::Token(Parcel::new(0, count))).map_err(|_| gone())?;
    verdict.wait().await?;
    Ok(began.elapsed())
}

struct Question(Parcel, RpcReplyPort<Parcel>);

struct Answerer;

impl Actor for Answerer {
    type Msg = Question;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Question>, (): ()) -> Handled {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Question>,
        Question(question, port): Question,
        (): &mut (),
    ) -> Handled {
        Ok(port.send(work::answer(question))?)
    }
}

async fn ask(threads: Threads, count: u64) -> anyhow::Result<Duration> {
    let place = Place::new(threads)?;
    let spawn = Answerer::spawn(None, Answerer, ());
    let (answerer, _) = place.receiver().spawn(spawn).join().await?;
    let asking = async move {
        let mut asking = Asking::new(count);
        while let Some(question) = asking.question() {
            let answer = answerer.call(|port| Question(question, port), None).await;
            match answer.map_err(|_| gone())? {
                CallResult::Success(answer) => asking.answered(answer)?,
                CallResult::Timeout | CallResult::SenderError => bail!("a question has no answer"),
            }
        }
        Ok(asking.took())
    };
    place.sender().spawn(asking).join().await
}

struct Idle;

impl Actor for Idle {
    type Msg = Parcel;
    type State = Arc<Tally>;
    type Arguments = Arc<Tally>;

    async fn pre_start(
        &self,
        _: ActorRef<Parcel>,
        tally: Arc<Tally>,
    ) -> Result<Arc<Tally>, ActorProcessingErr> {
        tally.one();
        Ok(tally)
    }

    async fn handle(&self, _: ActorRef<Parcel>, _: Parcel, tally: &mut Arc<Tally>) -> Handled {
        tally.one();
        Ok(())
    }
}

pub async fn spawn(count: u64) -> anyhow::Result<Cost> {
    let place = Place::new(Threads::One)?;
    let spawn = |tally: &Arc<Tally>| {
        // The one that does not wait for the start, as dx does not.
        Ok(ActorRuntime::spawn_instant(None, Idle, Arc::clone(tally))?.0)
    };
    let tell = |actor: &ActorRef<Parcel>| actor.cast(Parcel::new(0, 0)).map_err(|_| gone());
    place.sender().spawn(async move { work::cost(count, spawn, tell).await }).join().await
}
