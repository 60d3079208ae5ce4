//! The scheduler bench: how many tasks a second, what one costs, how long a client waits, and how
//! long after a node's death.
//!
//! Where processes run, all is as a user has it: a cluster of one node with both roles and two
//! slots, started by this program, with folders of its own, and asked through its control socket.
//! Beside it, in turns, run a bare loop of two threads, which is the floor, and the tools that
//! people use instead, where they are installed. The time of each is from the request, or the
//! tool's start, until whoever waits knows that all tasks have ended.

mod apart;
mod bare;
mod charts;
mod ender;
mod follow;
mod graphs;
mod million;
mod no_exec;
mod once;
mod pair;
mod race;
mod restart;
mod rival;
mod run;
mod stand;
mod submit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use self::run::Run;
use crate::bench::course::{self, Outcome};
use crate::bench::effort::Effort;
use crate::bench::header::Header;
use crate::bench::output::Output;

/// The name of this bench in reports.
pub const BENCH: &str = "scheduler";

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// Tasks that do nothing, beside a bare loop, xargs, GNU parallel and HyperQueue.
    Spawn,
    /// Tasks that print 10 KB each, beside the same.
    Output,
    /// Tasks that sleep for 10 ms, beside a bare loop.
    Sleep,
    /// `dx run -- true` from its start to its end, and how much of it is the program's own start.
    Run,
    /// How long a client waits until its job is taken: one task, and a million.
    Submit,
    /// What a task costs that nobody executes, on two nodes over tls, with the journal on the disk.
    NoExec,
    /// What it costs, then, that jobs wait for jobs: 25,000 tasks after 25,000, and a chain of 1,000.
    Graphs,
    /// A million such tasks: how long they take, what each costs the controller, and how long that
    /// needs to be back when it was killed.
    Million,
    /// Short tasks while many follow the logs of others, or what becomes of jobs.
    Follow,
    /// How long a node that was killed needs until it shows its jobs again.
    Restart,
}

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioName>,
    /// Where nodes keep their folders; `None`: where temporary files go.
    pub folder: Option<PathBuf>,
    /// Tasks of the scenarios that are about their number; `None`: 100,000, or few in a quick run.
    pub tasks: Option<u32>,
    /// How often and how long.
    pub effort: Effort,
}

/// Time per measurement of a quick run.
const QUICK_DURATION: Duration = Duration::from_millis(100);

/// Tasks of the scenarios that are about their number, unless told otherwise.
const TASKS: u32 = 100_000;

impl Options {
    /// How long each measurement takes, about.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.effort.time(QUICK_DURATION)
    }

    /// Tasks of the scenarios that are about their number: `quick` in a quick run.
    #[must_use]
    pub fn tasks(&self, quick: u32) -> u32 {
        self.tasks.unwrap_or(if self.effort.quick { quick } else { TASKS })
    }

    fn describe(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("duration", self.effort.describe()),
            ("rounds", self.effort.rounds().to_string()),
        ])
    }
}

impl ScenarioName {
    /// What the table is called.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Spawn => "spawn: /bin/true, two at a time, beside a bare loop (floor)",
            Self::Output => {
                "output: tasks that print 10 KB, two at a time, beside a bare loop (floor)"
            }
            Self::Sleep => "sleep: tasks of 10 ms, two at a time, beside a bare loop (floor)",
            Self::Run => "run: one command from its start to its end, beside a bare `true` (floor)",
            Self::Submit => "submit: until a job is taken, which is on the disk then",
            Self::NoExec => "no-exec: tasks that nobody executes; two nodes, tls, journal",
            Self::Graphs => {
                "graphs: jobs that wait for jobs; nobody executes them; beside tasks that wait for \
                 none, or the disk (floor)"
            }
            Self::Million => {
                "million: tasks that nobody executes; a controller of its own, killed and started \
                 again, beside one with a single task (floor)"
            }
            Self::Follow => {
                "follow: /bin/true, followed, beside the same with no followers (floor)"
            }
            Self::Restart => "restart: a killed node, beside one with a single task (floor)",
        }
    }

    /// The name as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Output => "output",
            Self::Sleep => "sleep",
            Self::Run => "run",
            Self::Submit => "submit",
            Self::NoExec => "no-exec",
            Self::Graphs => "graphs",
            Self::Million => "million",
            Self::Follow => "follow",
            Self::Restart => "restart",
        }
    }

    /// How often it moves the progress bar on.
    fn steps(self) -> u64 {
        match self {
            Self::Spawn => race::SPAWN.steps(),
            Self::Output => race::OUTPUT.steps(),
            Self::Sleep => race::SLEEP.steps(),
            Self::Run | Self::Restart | Self::Million => 1,
            Self::Submit | Self::NoExec | Self::Graphs => 2,
            Self::Follow => follow::STEPS,
        }
    }
}

/// Measures what `options` ask for.
///
/// # Errors
/// If an output cannot be written. What fails is reported as failed, and the others go on.
pub async fn run(
    options: &Options,
    json: Option<&Path>,
    plot: Option<&Path>,
) -> anyhow::Result<Outcome> {
    let header = Header::new(BENCH, options.describe());
    let measure = async |output: &mut Output| run_all(options, output).await;
    course::run(&header, json, plot, charts::of, measure).await
}

async fn run_all(options: &Options, output: &mut Output) -> anyhow::Result<()> {
    output.progress.expect(options.scenarios.iter().map(|name| name.steps()).sum());
    for &name in &options.scenarios {
        output.begin_scenario(name.title());
        let mut run = Run { name, options, output };
        match name {
            ScenarioName::Spawn => race::SPAWN.run(&mut run).await?,
            ScenarioName::Output => race::OUTPUT.run(&mut run).await?,
            ScenarioName::Sleep => race::SLEEP.run(&mut run).await?,
            ScenarioName::Run => once::run(&mut run).await?,
            ScenarioName::Submit => submit::run(&mut run).await?,
            ScenarioName::NoExec => no_exec::run(&mut run).await?,
            ScenarioName::Graphs => graphs::run(&mut run).await?,
            ScenarioName::Million => million::run(&mut run).await?,
            ScenarioName::Follow => follow::run(&mut run).await?,
            ScenarioName::Restart => restart::run(&mut run).await?,
        }
        output.end_scenario()?;
    }
    Ok(())
}
