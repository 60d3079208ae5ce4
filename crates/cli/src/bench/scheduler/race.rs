//! Races: the same tasks by dx, by a bare loop and by other tools, in turns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dx_scheduler::client::JobView;
use dx_scheduler::end::TaskState;
use dx_scheduler::job::{Command, JobSpec};

use super::bare;
use super::rival::Rival;
use super::run::{Measured, Run};
use super::stand::Stand;
use crate::bench::course::median;
use crate::bench::report::{Params, Reason, Unit};
use crate::jobs::{AskError, Service, Submitted};

/// Tasks at a time, of everyone.
pub const SLOTS: usize = 2;

/// What each task is.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The program and its arguments.
    pub exec: &'static [&'static str],
    /// Bytes that it prints.
    pub prints: usize,
}

/// Work, and who does it beside dx and the bare loop.
pub struct Race {
    /// What each task is.
    pub work: Work,
    /// Tasks that the bare loop does in a second on a quiet machine, about. Others get as many in
    /// proportion to what they do.
    rate: f64,
    /// The others.
    rivals: &'static [Rival],
}

/// Tasks that do nothing.
pub const SPAWN: Race =
    Race { work: Work { exec: &["/bin/true"], prints: 0 }, rate: 3500.0, rivals: &Rival::ALL };

/// Tasks that print.
pub const OUTPUT: Race = Race {
    work: Work { exec: &["head", "-c", "10240", "/dev/zero"], prints: 10_240 },
    rate: 2000.0,
    rivals: &Rival::ALL,
};

/// Tasks that take a while, and no processor. Three times as many as take the time: the last
/// answer, which costs as much as some tasks, is to be a small part of it.
pub const SLEEP: Race =
    Race { work: Work { exec: &["sleep", "0.01"], prints: 0 }, rate: 570.0, rivals: &[] };

/// The figure of a race.
const TASKS: (&str, Unit) = ("tasks", Unit::PerSecond);

/// The least number of tasks that says something.
const FEWEST: u64 = 20;

impl Race {
    /// How often it moves the progress bar on.
    pub fn steps(&self) -> u64 {
        1 + self.rivals.len() as u64
    }

    /// Measures everyone, in turns.
    ///
    /// # Errors
    /// If the report cannot be written.
    pub async fn run(&'static self, run: &mut Run<'_>) -> anyhow::Result<()> {
        let of = |who: &str| Params::new().with("by", who.into());
        run.begin(&of("dx"));
        let rounds = run.within(self.rounds(run)).await;
        run.output.progress.advance();
        let Rates { floor, dx, rivals } = match rounds {
            Ok(rates) => rates,
            Err(error) => {
                self.rivals.iter().for_each(|_| run.output.progress.advance());
                return run.report(of("dx"), TASKS, Err(error));
            }
        };
        let floor = median(floor);
        run.report(of("dx"), TASKS, Ok(Measured { value: median(dx), floor }))?;
        for rival in self.rivals {
            run.output.progress.advance();
            let params = of(rival.name());
            match rivals.get(rival) {
                None => run.gap(params, Reason::Skipped("not installed".to_owned()))?,
                Some(Ok(rates)) => {
                    let value = median(rates.clone());
                    run.report(params, TASKS, Ok(Measured { value, floor }))?;
                }
                Some(Err(why)) => run.gap(params, Reason::Failed(why.clone()))?,
            }
        }
        Ok(())
    }

    /// What each did in each round.
    async fn rounds(&'static self, run: &Run<'_>) -> anyhow::Result<Rates> {
        let (time, folder) = (run.options.time(), run.folder());
        let mut rates = Rates::default();
        for rival in self.rivals.iter().filter(|rival| rival.is_installed()) {
            rates.rivals.insert(*rival, Ok(Vec::new()));
        }
        let stand = Stand::start(&folder).await?;
        let mut service = stand.service().await?;
        // What is only done for the first tasks is done then.
        by_dx(&mut service, &self.work, FEWEST).await?;
        for _ in 0..run.options.effort.rounds() {
            let count = self.count(time, 1.0);
            rates.floor.push(rate(count, bare::measure(&self.work, count).await?));
            rates.dx.push(rate(count, by_dx(&mut service, &self.work, count).await?));
            for (rival, values) in &mut rates.rivals {
                let count = self.count(time, rival.share());
                run.begin(&Params::new().with("by", rival.name().into()));
                let measured = rival.measure(&folder, &self.work, count).await;
                match (measured, &mut *values) {
                    (Ok(took), Ok(values)) => values.push(rate(count, took)),
                    (Err(error), Ok(_)) => *values = Err(format!("{error:#}")),
                    (_, Err(_)) => {}
                }
            }
        }
        stand.end().await?;
        Ok(rates)
    }

    /// How many tasks take about `time` of someone who does this share of what the bare loop does.
    #[expect(clippy::cast_sign_loss, reason = "rates and times are not negative")]
    fn count(&self, time: Duration, share: f64) -> u64 {
        ((self.rate * share * time.as_secs_f64()) as u64).max(FEWEST)
    }
}

/// Tasks per second, of each round.
#[derive(Default)]
struct Rates {
    floor: Vec<f64>,
    dx: Vec<f64>,
    /// Those that are installed, or why one failed.
    rivals: BTreeMap<Rival, Result<Vec<f64>, String>>,
}

fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// An array of so many tasks, from its submission until it is known to have ended.
///
/// # Errors
/// If a task does not succeed, or prints something else than it should.
pub async fn by_dx(service: &mut Service, work: &Work, count: u64) -> anyhow::Result<Duration> {
    let spec = array(work, count);
    let began = Instant::now();
    let submitted = submit(service, &spec).await?;
    let view = service.ended_job(submitted.job).await?;
    let took = began.elapsed();
    ensure_succeeded(&view, count)?;
    let last = submitted.job.task(u32::try_from(count - 1)?);
    let task = service.task(last).await?;
    let finish = task.attempts.last().and_then(|attempt| attempt.record.finish.as_ref());
    let kept = finish.context("a task that succeeded has an end")?.kept;
    ensure!(kept == work.prints as u64, "task {last} has {kept} bytes kept, not {}", work.prints);
    Ok(took)
}

/// Submits a job.
///
/// # Errors
/// If it is refused, or nobody answers.
pub async fn submit(service: &mut Service, spec: &JobSpec) -> Result<Submitted, AskError> {
    service.post_once("/v1/jobs", spec).await
}

/// A job of so many tasks.
pub fn array(work: &Work, count: u64) -> JobSpec {
    let exec = work.exec.iter().map(|word| (*word).to_owned()).collect();
    JobSpec {
        commands: vec![Command { exec }],
        array: Some(format!("0-{}", count - 1)),
        ..JobSpec::default()
    }
}

/// All tasks of a job succeeded, and there are as many as there should be.
///
/// # Errors
/// If not.
pub fn ensure_succeeded(view: &JobView, count: u64) -> anyhow::Result<()> {
    let succeeded = view.counts.0.get(&TaskState::Succeeded).copied().unwrap_or_default();
    ensure!(succeeded == count, "of {count} tasks, {succeeded} succeeded: {:?}", view.counts);
    Ok(())
}
