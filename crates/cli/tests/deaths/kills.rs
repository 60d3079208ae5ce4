//! SIGKILL at random points of a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use dx_agents::rng::Rng;

use super::place::{Death, NODES, PAGE, Place};
use super::witness::Witness;

/// How often a long run says that it goes on.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Long enough for the nodes to be killed and come back within it.
const LEASE: &str = "30s";

/// What is killed.
#[derive(Clone, Copy, Debug)]
pub enum Victim {
    Controller,
    Runner,
    Shim,
    All,
}

impl Victim {
    /// Kills it, and starts it again as its user would. Returns which shims died.
    pub fn kill(self, place: &mut Place) -> Vec<Death> {
        match self {
            Self::Controller => {
                place.kill_node("n1");
                place.start_nodes(&["n1"]);
                vec![]
            }
            Self::Runner => {
                place.kill_node("n3");
                place.start_nodes(&["n3"]);
                vec![]
            }
            // Its node starts another.
            Self::Shim => vec![place.kill_shim("n3")],
            Self::All => {
                for node in NODES {
                    place.kill_node(node);
                }
                let deaths = NODES.iter().map(|node| place.kill_shim(node)).collect();
                place.start_nodes(&NODES);
                deaths
            }
        }
    }
}

/// How far a run is, told from time to time to whoever waits for a long one.
struct Progress {
    kills: Arc<AtomicU64>,
    /// Dropped at the end, by which the thread that tells it ends.
    _end: Sender<()>,
}

impl Progress {
    fn of(witness: &Witness, seed: u64) -> Self {
        let (end, ended) = mpsc::channel();
        let (kills, begin) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let (killed, marks) = (kills.clone(), witness.marks());
        thread::spawn(move || {
            while ended.recv_timeout(TELL_EVERY) == Err(RecvTimeoutError::Timeout) {
                let (ends, kills) = (marks.ends(), killed.load(Ordering::Relaxed));
                eprintln!("DX_SEED={seed}: {ends} ends, {kills} kills in {:.0?}", begin.elapsed());
            }
        });
        Self { kills, _end: end }
    }

    fn kill(&self) {
        self.kills.fetch_add(1, Ordering::Relaxed);
    }
}

/// By which a run is chosen, and found again.
pub fn seed() -> u64 {
    let seed = std::env::var("DX_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| getrandom::u64().unwrap());
    eprintln!("DX_SEED={seed}");
    seed
}

/// Runs `tasks`, and kills now this and now that of `victims` after every some ends, so that it
/// is about `kills` times.
fn run(tasks: u64, kills: u64, victims: &[Victim]) {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let mut place = Place::start(LEASE);
    let mut witness = Witness::submit(&place, tasks);
    let progress = Progress::of(&witness, seed);
    let (mut deaths, mut recorded) = (Vec::new(), BTreeMap::new());
    while witness.wait_for_ends(1 + rng.below(2 * tasks / (kills + 1))) {
        let most = victims.len() as u64;
        let victim = victims[usize::try_from(rng.below(most)).unwrap()];
        let page = rng.below(tasks.div_ceil(PAGE)) * PAGE;
        recorded.append(&mut witness.recorded(&place, page));
        let begin = Instant::now();
        deaths.extend(victim.kill(&mut place));
        let is_back = begin.elapsed();
        progress.kill();
        witness.catch_up();
        witness.wait_for_ends(1);
        eprintln!("{victim:?}: back after {is_back:?}, next end after {:?}", begin.elapsed());
    }
    witness.judge(&place, &deaths, &recorded);
}

#[test]
fn a_controller_that_is_killed_loses_and_repeats_nothing() {
    run(300, 3, &[Victim::Controller]);
}

#[test]
fn a_runner_that_is_killed_loses_and_repeats_nothing() {
    run(300, 3, &[Victim::Runner]);
}

#[test]
fn of_a_shim_that_is_killed_only_what_it_ran_runs_again() {
    run(300, 3, &[Victim::Shim]);
}

#[test]
fn when_all_processes_are_killed_each_task_still_ends_once() {
    run(300, 3, &[Victim::All]);
}

#[test]
#[ignore = "takes long: DX_TASKS tasks, or 100,000, with something killed a hundred times"]
fn a_long_run_survives_the_death_of_each_and_all() {
    let tasks = std::env::var("DX_TASKS").map_or(100_000, |tasks| tasks.parse().unwrap());
    run(tasks, 100, &[Victim::Controller, Victim::Runner, Victim::Shim, Victim::All]);
}
