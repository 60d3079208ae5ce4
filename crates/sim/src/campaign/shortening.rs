//! Runs with less to read.
//!
//! Shrinking makes choices plainer, and what is plain can be long: where every message comes at once,
//! every answer comes as well, also those that nobody needs. With one that takes so long that it is
//! not there when the rule breaks there is less to read. So the second half is a search among the
//! neighbours of the shortest run so far: some of its choices are made anew, mostly as large as they
//! can be, and what comes after them comes sooner or later. A neighbour that breaks the same rule, and
//! of which there is no more to read, takes its place (hill climbing, by the seed's random numbers).

use dx_agents::rng::Rng;

use super::Scenario;
use crate::choices::{Choices, Occasions};
use crate::failure::Failure;
use crate::shrink::edit;
use crate::sim::Sim;
use crate::tape::{Choice, Point, Tape};

/// A failure, and how much there is to read of it.
pub(super) struct Readable {
    pub failure: Failure,
    /// Rows of its [explanation](crate::Explanation::to_read).
    pub rows: usize,
    /// What could be chosen in its run.
    occasions: Vec<Occasions>,
}

/// Events of a run that are few enough to look for a shorter one. A guess: of what is longer, nobody
/// reads all, and each try takes as many.
const FEW: u64 = 2000;

/// Shifts that may come with a new choice: it may add messages to what follows, or take some away.
const SHIFTS: u64 = 4;

/// Sets the choices of this search apart from the run's own.
const SHORTENING: u64 = 0x7368_6f72_7465_6e65;

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    /// The shortest run that is found among neighbours in so many runs, if it is shorter to read than
    /// that of `failure`. `tried` is told of each.
    pub(super) fn shorten(
        &self,
        failure: &Failure,
        runs: u64,
        mut tried: impl FnMut(&Failure),
    ) -> Option<Readable> {
        let tape = failure.tape.as_deref().filter(|_| failure.events <= FEW && runs > 0)?;
        let mut best = self.read(failure, tape, FEW)?;
        tried(failure);
        let (mut rng, rows) = (Rng::stream(failure.seed, SHORTENING), best.rows);
        for _ in 1..runs {
            let tape = best.failure.tape.as_deref().expect("it was replayed");
            let neighbour = neighbour(tape, &best.occasions, &mut rng);
            let read = neighbour.and_then(|tape| self.read(failure, &tape, FEW));
            // Also one that is as long: from there others may be reached.
            if let Some(read) = read.filter(|read| read.length() <= best.length()) {
                best = read;
            }
            tried(if best.rows < rows { &best.failure } else { failure });
        }
        (best.rows < rows).then_some(best)
    }

    /// The run of a tape, if it fails as `failure` does within so many events.
    pub(super) fn read(&self, failure: &Failure, tape: &Tape, most: u64) -> Option<Readable> {
        let mut sim = (self.make)(failure.seed, Choices::replayed(tape));
        sim.keep_story();
        sim.limit_events(most);
        let again = self.played(&mut sim).filter(|again| again.what == failure.what)?;
        let rows = sim.explain(&again)?.to_read();
        Some(Readable { failure: again, rows, occasions: sim.choices().occasions() })
    }
}

impl Readable {
    /// By which runs are compared: what is not read is second.
    fn length(&self) -> (usize, u64) {
        (self.rows, self.failure.events)
    }
}

/// The tape with one choice made anew, and some of those of its label that follow moved. `None` if there
/// was nothing to choose.
fn neighbour(tape: &Tape, occasions: &[Occasions], rng: &mut Rng) -> Option<Tape> {
    let all: u64 = occasions.iter().map(|lane| u64::from(lane.asked)).sum();
    let mut which = rng.below(all.max(1));
    let lane = occasions.iter().find(|lane| {
        let is_here = which < u64::from(lane.asked);
        which -= if is_here { 0 } else { u64::from(lane.asked) };
        is_here
    })?;
    let value = match rng.below(4) {
        0 => 0,
        1 => rng.below(lane.bound),
        _ => lane.bound - 1,
    };
    let (label, at) = (lane.label.into(), which as u32);
    let mut tape = tape.clone();
    let point = Point { label, at };
    tape.choices.remove(&point);
    tape.choose(point.clone(), Choice { bound: lane.bound, value });
    for _ in 0..rng.below(SHIFTS) {
        let at = at + 1 + rng.below(u64::from(lane.asked - at)) as u32;
        let from = Point { label: point.label.clone(), at };
        let is_sooner = rng.below(SHIFTS) > 0;
        tape = edit::shifted(&tape, &from, is_sooner);
    }
    Some(tape)
}
