//! How long jobs cannot be asked about, when a node was killed and starts again.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dx_scheduler::client::JobView;
use dx_scheduler::id::JobId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::race::{SPAWN, array, ensure_succeeded, submit};
use super::run::{Measured, Run};
use super::stand::Stand;
use crate::bench::course::median;
use crate::bench::report::{Param, Params, Unit};

/// The figure: from the start of `dx up` until a job is shown.
const SERVING: (&str, Unit) = ("serving after", Unit::Seconds);

/// Tasks of a quick run: they are executed, which takes the most of it.
const QUICK: u32 = 2000;

/// Between two looks whether the node answers.
const LOOK: Duration = Duration::from_millis(1);

/// A node that does not answer within this time never will.
const LIMIT: Duration = Duration::from_mins(2);

/// Measures it with one task that has ended, and with many.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let tasks = run.options.tasks(QUICK);
    let params = Params::new().with("ended tasks", Param::Count(tasks.into()));
    run.begin(&params);
    let measured = Box::pin(run.within(measure(run, tasks.into()))).await;
    run.output.progress.advance();
    run.report(params, SERVING, measured)
}

async fn measure(run: &Run<'_>, tasks: u64) -> anyhow::Result<Measured> {
    let mut stand = Stand::start(&run.folder()).await?;
    let rounds = run.options.effort.rounds();
    let floor = restarts(&mut stand, 1, rounds).await?;
    let value = restarts(&mut stand, tasks, rounds).await?;
    stand.end().await?;
    Ok(Measured { value, floor })
}

/// Runs so many tasks; then kills the node and starts it again, so often.
async fn restarts(stand: &mut Stand, tasks: u64, rounds: usize) -> anyhow::Result<Option<f64>> {
    let mut service = stand.service().await?;
    let job = submit(&mut service, &array(&SPAWN.work, tasks)).await?.job;
    ensure_succeeded(&service.ended_job(job).await?, tasks)?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let pid = stand.client().await?.about().pid;
        spawn_blocking(move || kill(pid)).await.context("killing the node panicked")??;
        let (took, view) = restart(stand, job).await?;
        ensure_succeeded(&view, tasks)?;
        times.push(took.as_secs_f64());
    }
    Ok(median(times))
}

/// Starts the node, and waits until it shows `job`.
async fn restart(stand: &Stand, job: JobId) -> anyhow::Result<(Duration, JobView)> {
    let began = Instant::now();
    let serving = async {
        loop {
            if let Ok(client) = stand.client().await
                && let Ok(view) = client.get::<JobView>(&format!("/v1/jobs/{job}")).await
            {
                return (began.elapsed(), view);
            }
            sleep(LOOK).await;
        }
    };
    let up = async { stand.start_again().await.context("failed to start the node again") };
    let both = async { tokio::try_join!(async { Ok(serving.await) }, up) };
    let (served, ()) = timeout(LIMIT, both).await.context("the node does not answer")??;
    Ok(served)
}

/// Kills a process with SIGKILL, and waits until it is gone.
fn kill(pid: u32) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("it has a number")?;
    let fd = pidfd_open(pid, PidfdFlags::empty()).context("failed to find the node")?;
    pidfd_send_signal(&fd, Signal::KILL).context("failed to kill the node")?;
    let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], None)?;
    ensure!(ready == 1, "the node was killed, and does not end");
    Ok(())
}
