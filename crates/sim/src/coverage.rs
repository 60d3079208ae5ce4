//! What a campaign of runs has seen: what always held, what held at least once, what was reached.
//!
//! The meaning of each kind is that of Antithesis' SDK (antithesis.com/docs, "Assertions"). A
//! `sometimes` that never held in ten thousand seeds is a hole: the faults or the workload do not
//! get to where the interesting bugs are. Declare all points first; else one that no run reaches
//! is not even known.
//!
//! Each run has a registry of its own; they are merged when the runs have ended, in any order,
//! with the same result.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a point demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is reached, and holds each time.
    Always,
    /// It holds each time that it is reached, if ever.
    AlwaysOrUnreached,
    /// It holds at least once.
    Sometimes,
    /// It is reached.
    Reachable,
    /// It is never reached.
    Unreachable,
}

/// How a point stands after all runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A run did what must not be: a bug.
    Broken,
    /// No run did what should be done at least once: the runs prove less than they seem to.
    Hole,
    /// As demanded.
    Met,
}

/// A point and what was seen there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// What it demands.
    pub kind: Kind,
    /// A sentence that tells what holds or is reached.
    pub name: Cow<'static, str>,
    /// How often it was reached and held.
    pub held: u64,
    /// How often it was reached and did not hold.
    pub failed: u64,
    /// The smallest seed of a run in which it was reached and held.
    pub held_in: Option<u64>,
    /// The smallest seed of a run in which it was reached and did not hold.
    pub failed_in: Option<u64>,
}

/// The points of one run, or of many that were merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Listed", into = "Listed")]
pub struct Coverage {
    /// The seed of the run that records; of many runs the smallest.
    seed: u64,
    runs: u64,
    points: BTreeMap<(Kind, Cow<'static, str>), Seen>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    held: u64,
    failed: u64,
    held_in: Option<u64>,
    failed_in: Option<u64>,
}

impl Coverage {
    /// The registry of a campaign without runs yet: what runs have seen is merged into it.
    #[must_use]
    pub fn of_campaign() -> Self {
        Self { seed: u64::MAX, runs: 0, points: BTreeMap::new() }
    }

    /// The registry of the run with this seed.
    #[must_use]
    pub fn of_run(seed: u64) -> Self {
        Self { seed, runs: 1, points: BTreeMap::new() }
    }

    /// Makes a point known, so that it is missed if no run reaches it.
    pub fn declare(&mut self, kind: Kind, name: impl Into<Cow<'static, str>>) {
        self.points.entry((kind, name.into())).or_default();
    }

    /// Must hold whenever it is reached, and must be reached in some run. Gives `holds` back.
    pub fn always(&mut self, name: &'static str, holds: bool) -> bool {
        self.see(Kind::Always, name, holds)
    }

    /// Must hold whenever it is reached. Gives `holds` back.
    pub fn always_or_unreached(&mut self, name: &'static str, holds: bool) -> bool {
        self.see(Kind::AlwaysOrUnreached, name, holds)
    }

    /// Must hold at least once in all runs together. Gives `holds` back.
    pub fn sometimes(&mut self, name: &'static str, holds: bool) -> bool {
        self.see(Kind::Sometimes, name, holds)
    }

    /// Must be reached in some run.
    pub fn reachable(&mut self, name: &'static str) {
        self.see(Kind::Reachable, name, true);
    }

    /// Must not be reached in any run.
    pub fn unreachable(&mut self, name: &'static str) {
        self.see(Kind::Unreachable, name, false);
    }

    /// A run held or broke what it demands, once.
    pub(crate) fn count(
        &mut self,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        held: bool,
        failed: bool,
    ) {
        let seed = |is: bool| is.then_some(self.seed);
        let seen = Seen {
            held: held.into(),
            failed: failed.into(),
            held_in: seed(held),
            failed_in: seed(failed),
        };
        self.points.entry((kind, name.into())).or_default().add(&seen);
    }

    /// A place was reached; it counts if it was declared.
    pub(crate) fn reached_if_known(&mut self, name: &str) {
        let seed = Some(self.seed);
        if let Some(seen) = self.points.get_mut(&(Kind::Reachable, Cow::Owned(name.to_owned()))) {
            seen.add(&Seen { held: 1, held_in: seed, ..Seen::default() });
        }
    }

    /// Adds what other runs have seen.
    pub fn merge(&mut self, other: &Self) {
        self.runs = self.runs.saturating_add(other.runs);
        self.seed = self.seed.min(other.seed);
        for (point, seen) in &other.points {
            self.points.entry(point.clone()).or_default().add(seen);
        }
    }

    /// How many runs it has seen.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// All points, by kind and name.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        self.points.iter().map(|((kind, name), seen)| {
            let Seen { held, failed, held_in, failed_in } = *seen;
            Point { kind: *kind, name: name.clone(), held, failed, held_in, failed_in }
        })
    }

    /// The points with this standing.
    pub fn standing(&self, standing: Standing) -> impl Iterator<Item = Point> {
        self.points().filter(move |point| point.standing() == standing)
    }

    fn see(&mut self, kind: Kind, name: &'static str, holds: bool) -> bool {
        let seed = Some(self.seed);
        let seen = if holds {
            Seen { held: 1, held_in: seed, ..Seen::default() }
        } else {
            Seen { failed: 1, failed_in: seed, ..Seen::default() }
        };
        self.points.entry((kind, Cow::Borrowed(name))).or_default().add(&seen);
        holds
    }
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.held = self.held.saturating_add(other.held);
        self.failed = self.failed.saturating_add(other.failed);
        let smaller = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        self.held_in = smaller(self.held_in, other.held_in);
        self.failed_in = smaller(self.failed_in, other.failed_in);
    }
}

impl Point {
    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.kind, self.held, self.failed) {
            (Kind::Always | Kind::AlwaysOrUnreached | Kind::Unreachable, _, 1..) => {
                Standing::Broken
            }
            (Kind::Always | Kind::Sometimes | Kind::Reachable, 0, _) => Standing::Hole,
            _ => Standing::Met,
        }
    }
}

/// A table: what is broken first, then the holes, then the rest.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut points: Vec<Point> = self.points().collect();
        points.sort_by_key(Point::standing);
        let name = points.iter().map(|point| point.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "standing  kind                 {:<name$}  {:>10}  {:>10}  seed",
            "point", "held", "failed"
        )?;
        for point in &points {
            let example = match point.standing() {
                Standing::Broken => point.failed_in,
                Standing::Hole | Standing::Met => point.held_in,
            };
            let example = example.map_or("-".to_owned(), |seed| seed.to_string());
            let (standing, kind) = (point.standing().word(), point.kind.word());
            let Point { name: text, held, failed, .. } = point;
            writeln!(
                f,
                "{standing:<8}  {kind:<19}  {text:<name$}  {held:>10}  {failed:>10}  {example}"
            )?;
        }
        let count = |standing| points.iter().filter(|point| point.standing() == standing).count();
        let (broken, holes) = (count(Standing::Broken), count(Standing::Hole));
        write!(f, "{} runs, {} points, {broken} broken, {holes} holes", self.runs, points.len())
    }
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Broken => "BROKEN",
            Self::Hole => "hole",
            Self::Met => "met",
        }
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::AlwaysOrUnreached => "always-or-unreached",
            Self::Sometimes => "sometimes",
            Self::Reachable => "reachable",
            Self::Unreachable => "unreachable",
        }
    }
}

/// As it is written to files.
#[derive(Serialize, Deserialize)]
struct Listed {
    seed: u64,
    runs: u64,
    points: Vec<Point>,
}

impl From<Coverage> for Listed {
    fn from(coverage: Coverage) -> Self {
        Self { seed: coverage.seed, runs: coverage.runs, points: coverage.points().collect() }
    }
}

impl From<Listed> for Coverage {
    fn from(listed: Listed) -> Self {
        let mut coverage = Self { seed: listed.seed, runs: listed.runs, points: BTreeMap::new() };
        for Point { kind, name, held, failed, held_in, failed_in } in listed.points {
            let seen = Seen { held, failed, held_in, failed_in };
            coverage.points.entry((kind, name)).or_default().add(&seen);
        }
        coverage
    }
}
