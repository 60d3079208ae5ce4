//! `dx sim run`.

use std::io::{self, Write as _};
use std::num::NonZero;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use dx_sim::campaign::{Campaign, Report, Scenario};
use dx_sim::{Choices, Failure, SEED_VARIABLE, Sim};
use tokio::sync::oneshot;

use super::report::{Course, Outcome, Screen, UNDETERMINED};
use crate::bench::header::VERSION;
use crate::cli::SimRun;
use crate::command::config::read;
use crate::command::signals;
use crate::exit::{self, Usage};
use crate::home::Home;
use crate::program::Program;
use crate::simulate::{Kept, Setup, World};

/// Tries the seeds.
pub fn run(arguments: &SimRun, program: &Program) -> anyhow::Result<ExitCode> {
    if arguments.config.files.is_empty() {
        let example = "`dx sim run configs/local.toml`";
        return Err(Usage(format!("which cluster? Name its file, as in {example}")).into());
    }
    if std::env::var_os(SEED_VARIABLE).is_some() {
        let instead = "for one seed say `--from SEED --seeds 1`";
        return Err(Usage(format!(
            "{SEED_VARIABLE} is set, which is for tests: unset it; {instead}"
        ))
        .into());
    }
    let Some(last) = arguments.from.checked_add(arguments.seeds) else {
        return Err(Usage(format!("seeds end at {}: begin with a smaller one", u64::MAX)).into());
    };
    let cluster = match read(arguments.config.clone(), program.kinds()) {
        Ok(loaded) => loaded.cluster,
        Err(failure) => return Ok(failure.tell()),
    };
    let minority = cluster.nodes.len().saturating_sub(1) / 2;
    let setup = Setup {
        cluster,
        faults: arguments.faults.clone(),
        fidelity: arguments.fidelity,
        lasts: arguments.lasts,
        most_down: arguments.down.unwrap_or(minority.max(1)),
        events: arguments.events,
    };
    let world = World::new(setup, program).map_err(|error| Usage(error.to_string()))?;
    let folder = folder(arguments)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let how = Campaign {
        jobs: arguments.jobs.map_or(cores, usize::from),
        events: arguments.events,
        failures: usize::from(arguments.failures),
        ..Campaign::default()
    };
    let seeds = arguments.from..last;
    let screen = Screen::new(&world, &seeds, &how, arguments.json);
    let Some((course, screen)) = tried(world.clone(), seeds, how, arguments.twice, screen)? else {
        return Ok(exit::interrupted());
    };
    let (mut kept, mut not_kept) = (Vec::new(), None);
    for failure in course.report.failures.iter().filter(|failure| failure.tape.is_some()) {
        let setup = world.setup().clone();
        let file =
            Kept { program: program_word(), setup, is_edited: false, failure: failure.clone() };
        match file.write(&folder) {
            Ok(path) => kept.push((failure.seed, path)),
            Err(error) => not_kept = Some(error),
        }
    }
    screen.end(&course, &kept)?;
    if let Some(error) = not_kept {
        let folder = folder.display();
        return Err(error).with_context(|| format!("failed to keep what failed in {folder}"));
    }
    Ok(match course.outcome() {
        Outcome::Fine => exit::OK,
        Outcome::Failed => exit::FAILED,
        Outcome::Interrupted => exit::interrupted(),
    })
}

/// Where failing seeds are kept.
fn folder(arguments: &SimRun) -> anyhow::Result<PathBuf> {
    match &arguments.keep {
        Some(folder) => Ok(folder.clone()),
        None => Ok(Home::of_this_user()?.path().with_file_name("dx-sim")),
    }
}

/// Version and commit of this program, in one word.
pub fn program_word() -> String {
    let commit = env!("DX_COMMIT");
    if commit.is_empty() { VERSION.to_owned() } else { format!("{VERSION}-{commit}") }
}

/// Tries the seeds on threads of their own, while this one listens for Ctrl-C: the first ends the
/// campaign after the seeds that are under way, the second at once (then there is nothing to say).
fn tried(
    world: World,
    seeds: Range<u64>,
    how: Campaign,
    twice: bool,
    screen: Screen,
) -> anyhow::Result<Option<(Course, Screen)>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let trying = async {
        screen.begin()?;
        let (done, result) = oneshot::channel();
        std::thread::spawn(move || {
            let course = course(&world, &seeds, &how, twice, &told, &screen);
            // If nobody waits for it any more, it was ended at once.
            drop(done.send((course, screen)));
        });
        result.await.context("the simulator panicked; RUST_BACKTRACE=1 shows where")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::pin!(trying);
        tokio::select! {
            // Listened for before anybody has seen that it runs.
            biased;
            _ = signals::told_to_stop() => stop.store(true, Ordering::Relaxed),
            ended = &mut trying => return ended.map(Some),
        }
        let told = "dx: ending with the seeds that are under way; Ctrl-C again ends at once";
        // If nobody hears it, it ends all the same.
        drop(writeln!(io::stderr(), "{told}"));
        tokio::select! {
            ended = &mut trying => ended.map(Some),
            _ = signals::told_to_stop() => Ok(None),
        }
    })
}

fn course(
    world: &World,
    seeds: &Range<u64>,
    how: &Campaign,
    twice: bool,
    stop: &AtomicBool,
    screen: &Screen,
) -> Course {
    let began = Instant::now();
    let scenario = Scenario {
        make: |seed, choices: Choices| world.make(seed, choices),
        play: |sim: &mut Sim| world.play(sim),
    };
    let mut hashes = Vec::new();
    let mut report = scenario.campaign(seeds.clone(), how, |report| {
        if twice {
            hashes.push(report.hash);
        }
        screen.advance(report, began.elapsed());
        if stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let took = began.elapsed();
    if twice {
        again(&scenario, seeds.start, how, &hashes, &mut report, &Watch { stop, screen });
    }
    let interrupted = stop.load(Ordering::Relaxed);
    Course { report, took, twice, interrupted }
}

/// Who looks on, and may have enough.
struct Watch<'a> {
    stop: &'a AtomicBool,
    screen: &'a Screen,
}

/// The same seeds once more, with another number of threads: each must be the same run.
fn again<M, P>(
    scenario: &Scenario<M, P>,
    from: u64,
    how: &Campaign,
    hashes: &[u64],
    report: &mut Report,
    watch: &Watch,
) where
    M: Fn(u64, Choices) -> Sim + Sync,
    P: Fn(&mut Sim) -> Result<(), Failure> + Sync,
{
    let how = Campaign { jobs: how.jobs % 2 + 1, failures: usize::MAX, ..*how };
    let mut expected = hashes.iter();
    let mut differs = None;
    watch.screen.again(hashes.len() as u64);
    scenario.campaign(from..from + hashes.len() as u64, &how, |second| {
        watch.screen.advance(second, Duration::ZERO);
        if expected.next() != Some(&second.hash) {
            differs = Some(from + second.seeds - 1);
        }
        let is_over = differs.is_some() || watch.stop.load(Ordering::Relaxed);
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Some(seed) = differs {
        let text = match scenario.determined(seed..seed + 1) {
            Err(undetermined) => undetermined.difference,
            Ok(()) => "it differs only now and then".to_owned(),
        };
        let (what, at) = (UNDETERMINED.to_owned(), Duration::ZERO);
        report.failures.push(Failure { what, text, seed, at, events: 0, trace: 0, tape: None });
    }
}
