//! Offload: an agent hands computation to other threads.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use dx_agents::runtime::RuntimeConfig;
use dx_agents::shared::Job;
use dx_agents::{Agent, AgentId, Context, JobId, Outcome, SharedState, Spawn};

use crate::bench::agents::arena::{Arena, Parcel, Verdict};
use crate::bench::agents::floor::Floor;
use crate::bench::agents::run::{Medians, Operation, Run};
use crate::bench::report::{Param, Params, Unit};

/// What one job takes on a processor that does nothing else.
const JOB: Duration = Duration::from_micros(50);

/// Whose order is kept: jobs are of so many sources in turn.
const SOURCES: u64 = 8;

/// Jobs that are handed over and not done: enough that no thread waits for one.
const AHEAD: u64 = 64;

/// Threads that do the jobs.
const WORKERS: [usize; 2] = [1, 2];

/// Computation: what it consists of, and how much of it a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    steps: u64,
}

impl Work {
    /// So much that it takes `JOB`: by the quickest of several attempts, since the others were
    /// disturbed.
    #[must_use]
    pub fn calibrated() -> Self {
        const STEPS: u64 = 100_000;
        let attempt = |_| {
            let began = Instant::now();
            Self { steps: STEPS }.carry_out(1);
            began.elapsed()
        };
        let quickest = (0..20).map(attempt).min().unwrap_or(JOB);
        let steps = JOB.as_nanos() * u128::from(STEPS) / quickest.as_nanos().max(1);
        Self { steps: u64::try_from(steps).unwrap_or(STEPS) }
    }

    /// Does it, on the processor alone: no memory, no clock.
    fn carry_out(self, seed: u64) -> u64 {
        // Each step needs the one before; the multiplier is that of Knuth's MMIX.
        let step = |x: u64| black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        (0..self.steps).fold(seed, |x, _| step(x))
    }
}

/// Has `workers` threads do `count` jobs for an agent. Returns how long it took.
///
/// # Errors
/// If a job failed, or the jobs of a source ended out of order.
pub async fn measure(work: Work, workers: usize, count: u64) -> anyhow::Result<Duration> {
    let config = RuntimeConfig { pool: 1, crew: workers, ..RuntimeConfig::default() };
    let arena = Arena::with(config)?;
    let port = arena.port.id();
    let make = move || Employer { work, next: 0, count, done: [0; SOURCES as usize], port };
    let employer = arena.spawn(&Spawn::new("employer", make));
    let began = Instant::now();
    arena.send(employer, Parcel::new(0, 0))?;
    arena.verdict().await?;
    let took = began.elapsed();
    arena.end()?;
    Ok(took)
}

struct Employer {
    work: Work,
    next: u64,
    count: u64,
    /// Jobs that are done, by source.
    done: [u64; SOURCES as usize],
    port: AgentId,
}

impl Employer {
    fn hand_over(&mut self, cx: &mut Context) {
        if self.next < self.count {
            let (source, number) = (self.next % SOURCES, self.next / SOURCES);
            cx.offload_for(source, Parcel::new(source, number));
            self.next += 1;
        }
    }
}

impl Agent for Employer {
    type Message = Parcel;

    /// It may begin.
    fn message(&mut self, _: AgentId, _: Parcel, cx: &mut Context) {
        (0..AHEAD).for_each(|_| self.hand_over(cx));
    }

    fn done(&mut self, _: JobId, outcome: Outcome, cx: &mut Context) {
        let Some(parcel) = outcome.get::<Parcel>() else {
            return cx.send(self.port, Verdict(Err("a job failed".to_owned())));
        };
        let done = &mut self.done[parcel.source as usize];
        if parcel.number != *done {
            return cx.send(self.port, Verdict::wrong(parcel.number, *done));
        }
        *done += 1;
        if self.done.iter().sum::<u64>() == self.count {
            return cx.send(self.port, Verdict(Ok(())));
        }
        self.hand_over(cx);
    }

    fn shared(&self) -> Option<Arc<dyn SharedState>> {
        Some(Arc::new(Laborious(self.work)))
    }
}

struct Laborious(Work);

impl SharedState for Laborious {
    fn work(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        let carry_out = |job: Job| {
            if let Some(parcel) = job.downcast_ref::<Parcel>() {
                black_box(self.0.carry_out(parcel.number));
            }
            Outcome::Done(job)
        };
        jobs.into_iter().map(carry_out).collect()
    }
}

/// The floor: threads that divide the jobs, and nothing else.
fn bare_threads(work: Work, workers: usize, count: u64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let share = count / workers as u64;
    let threads: Vec<_> = (0..workers as u64)
        .map(|index| {
            let share = if index == 0 { count - share * (workers as u64 - 1) } else { share };
            thread::spawn(move || {
                (0..share).for_each(|job| {
                    black_box(work.carry_out(job));
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a thread panicked"))?;
    }
    Ok(began.elapsed())
}

/// Measures it with one worker and with two, and how much the second adds.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let work = Work::calibrated();
    let mut alone: Option<Medians> = None;
    for workers in WORKERS {
        let params = Params::new().with("workers", Param::Count(workers as u64));
        let operation = Operation { params, metric: ("jobs", Unit::PerSecond) };
        let floor: Floor = Arc::new(move |count| bare_threads(work, workers, count));
        let jobs = async |count| measure(work, workers, count).await;
        let rates = run.measure(&operation, jobs, Some(floor)).await?;
        if let (Some(alone), Some(rates)) = (alone, rates) {
            let speed_up = [0, 1].map(|i: usize| quotient(rates[i], alone[i]));
            run.report(&operation.params, ("speed-up", Unit::Ratio), speed_up)?;
        }
        alone = alone.or(rates);
    }
    Ok(())
}

fn quotient(value: Option<f64>, of: Option<f64>) -> Option<f64> {
    Some(value? / of?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_job_is_done_and_those_of_a_source_in_order() {
        for workers in WORKERS {
            for count in [1, 1000] {
                measure(Work { steps: 100 }, workers, count).await.unwrap();
            }
        }
    }

    #[test]
    fn bare_threads_divide_the_jobs() {
        for workers in WORKERS {
            assert!(bare_threads(Work { steps: 10 }, workers, 101).unwrap() > Duration::ZERO);
        }
    }
}
