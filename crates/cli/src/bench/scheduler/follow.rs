//! Whether those who look on slow the work down: short tasks beside some that print, whose logs are
//! followed, or while everybody follows what becomes of jobs; beside the same without followers.

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::JobId;
use dx_scheduler::job::{Command, Cpus, JobSpec, Resources};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval};

use super::race::{SPAWN, by_dx, submit};
use super::run::{Measured, Run};
use super::stand::Stand;
use crate::bench::course::median;
use crate::bench::report::{Param, Params, Unit};
use crate::jobs::{Log, Part, Service};

/// Who follows what. A node has connections for 64 at a time.
const FOLLOWERS: [(&str, usize); 3] = [("logs", 8), ("logs", 48), ("events", 48)];

/// The figure: short tasks that end beside them.
const TASKS: (&str, Unit) = ("tasks", Unit::PerSecond);

/// Tasks that print, all along.
const PRINTERS: u64 = 4;

/// Between two lines that each of them prints.
const LINE_EVERY: Duration = Duration::from_millis(10);

/// Short tasks in a second on a quiet machine, about, and the fewest that say something.
const RATE: f64 = 1500.0;
const FEWEST: u64 = 20;

/// How often it moves the progress bar on.
pub const STEPS: u64 = FOLLOWERS.len() as u64;

/// Measures each beside a run of nobody, in turns.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (what, count) in FOLLOWERS {
        let params = Params::new().with("of", what.into());
        let params = params.with("followers", Param::Count(count as u64));
        run.begin(&params);
        let measured = Box::pin(run.within(measure(run, what == "logs", count))).await;
        run.output.progress.advance();
        run.report(params, TASKS, measured)?;
    }
    Ok(())
}

async fn measure(run: &Run<'_>, are_logs: bool, followers: usize) -> anyhow::Result<Measured> {
    let stand = Stand::start(&run.folder()).await?;
    let service = stand.service().await?;
    let lines = Lines::new(&run.folder())?;
    let printing = async {
        lines.write_on().await?;
        bail!("nobody prints any more")
    };
    let racing = async {
        let job = print(&mut service.clone(), &lines).await?;
        let (mut floor, mut rates) = (Vec::new(), Vec::new());
        let count = count(run.options.time());
        for _ in 0..run.options.effort.rounds() {
            floor.push(rate(&service, count).await?);
            rates.push(followed(&service, job, are_logs, followers, count).await?);
        }
        service.clone().cancel(&[job.to_string()], true).await?;
        anyhow::Ok(Measured { value: median(rates), floor: median(floor) })
    };
    let measured = tokio::select! {
        measured = racing => measured?,
        failed = printing => return failed,
    };
    stand.end().await?;
    Ok(measured)
}

#[expect(clippy::cast_sign_loss, reason = "rates and times are not negative")]
fn count(time: Duration) -> u64 {
    ((RATE * time.as_secs_f64()) as u64).max(FEWEST)
}

/// Short tasks in a second.
async fn rate(service: &Service, count: u64) -> anyhow::Result<f64> {
    let took = by_dx(&mut service.clone(), &SPAWN.work, count).await?;
    Ok(count as f64 / took.as_secs_f64())
}

/// The same while so many follow, each of whom hears something before it and meanwhile.
async fn followed(
    service: &Service,
    job: JobId,
    are_logs: bool,
    followers: usize,
    count: u64,
) -> anyhow::Result<f64> {
    let heard: Vec<Cell<u64>> = vec![Cell::new(0); followers];
    let follow = |at: usize| -> LocalBoxFuture<'_, anyhow::Result<()>> {
        let (service, heard) = (service.clone(), &heard[at]);
        if are_logs {
            let index = (at as u64 % PRINTERS) as u32;
            Box::pin(follow_log(service, job, index, heard))
        } else {
            Box::pin(follow_events(service, heard))
        }
    };
    let mut following: FuturesUnordered<_> = (0..followers).map(follow).collect();
    let racing = async {
        let before = more(&heard, &vec![0; followers]).await;
        let rate = rate(service, count).await?;
        more(&heard, &before).await;
        anyhow::Ok(rate)
    };
    tokio::select! {
        rate = racing => rate,
        Some(ended) = following.next() => {
            ended?;
            bail!("a stream ended that has no end")
        }
    }
}

/// Waits until each follower has heard more than this. Returns how much.
async fn more(heard: &[Cell<u64>], than: &[u64]) -> Vec<u64> {
    let mut look = interval(LINE_EVERY);
    while heard.iter().zip(than).any(|(heard, than)| heard.get() <= *than) {
        look.tick().await;
    }
    heard.iter().map(Cell::get).collect()
}

/// Follows what a task prints: each line has the number after that of the one before.
async fn follow_log(
    mut service: Service,
    job: JobId,
    index: u32,
    heard: &Cell<u64>,
) -> anyhow::Result<()> {
    let part = Part { tail: Some(1), follow: true, ..Part::default() };
    let mut log = Log::new(job.task(index).attempt(1), part);
    let (mut text, mut due) = (String::new(), None);
    while let Some(printed) = log.next(&mut service).await? {
        text.push_str(std::str::from_utf8(&printed.bytes).context("lines are text")?);
        while let Some(end) = text.find('\n') {
            let line: String = text.drain(..=end).collect();
            let number: u64 = line.trim().parse().context("lines are numbers")?;
            ensure!(due.is_none_or(|due| number == due), "{number} was heard, and not {due:?}");
            due = Some(number + 1);
            heard.set(heard.get() + 1);
        }
    }
    Ok(())
}

/// Follows what becomes of all jobs.
async fn follow_events(mut service: Service, heard: &Cell<u64>) -> anyhow::Result<()> {
    let mut stream = service.stream("/v1/events").await?;
    while let Some(bytes) = stream.next().await? {
        heard.set(heard.get() + bytes.len() as u64);
    }
    Ok(())
}

/// Starts the tasks that print, and waits until all run.
async fn print(service: &mut Service, lines: &Lines) -> anyhow::Result<JobId> {
    let exec = ["tail", "--lines=+1", "--follow", &lines.path()?];
    let spec = JobSpec {
        commands: vec![Command { exec: exec.map(str::to_owned).to_vec() }],
        array: Some(format!("0-{}", PRINTERS - 1)),
        // They wait most of the time, and leave the slots to others.
        resources: Resources { cpus: Cpus(0), ..Resources::default() },
        ..JobSpec::default()
    };
    let job = submit(service, &spec).await?.job;
    let mut view = service.job(job).await?;
    while view.counts.0.get(&TaskState::Running) != Some(&PRINTERS) {
        ensure!(view.ended.is_none(), "the tasks that print ended: {:?}", view.counts);
        view = service.changed_job(job, view.version).await?;
    }
    Ok(job)
}

/// What they print: a file that grows.
struct Lines(TempDir);

impl Lines {
    fn new(folder: &std::path::Path) -> anyhow::Result<Self> {
        let lines = Self(TempDir::new_in(folder).context("failed to make a folder for lines")?);
        File::create(lines.0.path().join("lines"))?;
        Ok(lines)
    }

    fn path(&self) -> anyhow::Result<String> {
        let path = self.0.path().join("lines");
        Ok(path.to_str().context("the folder's name is no text")?.to_owned())
    }

    /// Adds a line from time to time.
    async fn write_on(&self) -> anyhow::Result<()> {
        let mut file = File::options().append(true).open(self.path()?)?;
        let mut ticks = interval(LINE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0_u64.. {
            ticks.tick().await;
            writeln!(file, "{number}")?;
        }
        Ok(())
    }
}
