//! What became of a run.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use serde_json::{Value, json};

use crate::kinds::ring_member::{Report, Result, State};

/// What became of a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fate {
    /// That is not known: nobody waited for it.
    #[default]
    Unknown,
    /// It has a result.
    Ended {
        /// The result.
        result: Result,
        /// The longest time between two of its deliveries, in microseconds.
        longest_gap_us: u64,
    },
    /// It has none, and cannot get there.
    Stuck(State),
    /// Its process was killed, and was not to be started again.
    Killed,
    /// Its process ended by itself, and was not started again.
    Gone,
}

/// What that amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All members that are left have the same result.
    Agree,
    /// Two members have different results.
    Differ,
    /// A member reached no majority.
    Blocked,
    /// A member came to no end, long after others did.
    Unfinished,
    /// A majority lost its memory.
    Lost,
    /// A member is gone that nobody wanted to go.
    Gone,
    /// Not all members were waited for.
    Unknown,
}

/// What became of all members, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome(pub Vec<Fate>);

impl Outcome {
    /// What it amounts to: the worst that happened.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let is = |wanted: &Fate| self.0.contains(wanted);
        let results: BTreeSet<_> =
            self.results().map(|it| (it.count, it.sum_bits, it.hash)).collect();
        if results.len() > 1 {
            Verdict::Differ
        } else if is(&Fate::Stuck(State::Lost)) {
            Verdict::Lost
        } else if is(&Fate::Stuck(State::Blocked)) {
            Verdict::Blocked
        } else if self.0.iter().any(|fate| matches!(fate, Fate::Stuck(_))) {
            Verdict::Unfinished
        } else if is(&Fate::Unknown) {
            Verdict::Unknown
        } else if is(&Fate::Gone) || results.is_empty() {
            Verdict::Gone
        } else {
            Verdict::Agree
        }
    }

    fn results(&self) -> impl Iterator<Item = &Result> {
        self.0.iter().filter_map(|fate| match fate {
            Fate::Ended { result, .. } => Some(result),
            _ => None,
        })
    }

    /// A line per member.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        for (id, fate) in (1..).zip(&self.0) {
            writeln!(lines, "member {id}  {fate}").expect("a string takes all text");
        }
        lines
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let members = (1..).zip(&self.0).map(|(id, fate): (u64, _)| match fate {
            Fate::Ended { result: it, longest_gap_us } => json!({
                "member": id,
                "state": "ended",
                "count": it.count,
                "sum": it.sum(),
                "sum_bits": format!("{:016x}", it.sum_bits),
                "hash": format!("{:016x}", it.hash),
                "longest_gap_us": longest_gap_us,
            }),
            fate => json!({ "member": id, "state": fate.to_string() }),
        });
        json!({ "verdict": self.verdict().name(), "members": members.collect::<Vec<_>>() })
    }
}

impl Fate {
    /// That of a member that stands as `report` says, and will not get on.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let longest_gap_us = report.longest_gap_us;
        let ended = |result| Self::Ended { result, longest_gap_us };
        report.result.map_or(Self::Stuck(report.state), ended)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { result, .. } => result.fmt(f),
            Self::Stuck(State::Lost) => f.write_str("lost"),
            Self::Stuck(State::Blocked) => f.write_str("blocked"),
            Self::Stuck(State::Working | State::Changing) => f.write_str("unfinished"),
            Self::Killed => f.write_str("killed"),
            Self::Gone => f.write_str("gone"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Verdict {
    /// One word, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Differ => "differ",
            Self::Blocked => "blocked",
            Self::Unfinished => "unfinished",
            Self::Lost => "lost",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }

    /// A sentence, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Agree => "all members agree",
            Self::Differ => "members disagree",
            Self::Blocked => "blocked: without a majority there is no result",
            Self::Unfinished => "a member came to no end",
            Self::Lost => {
                "lost: a majority has lost its memory, so nobody knows what was delivered"
            }
            Self::Gone => "a member is gone, and was not started again",
            Self::Unknown => "the run was stopped before its end",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(hash: u64) -> Fate {
        let result = Result { count: 2, sum_bits: 1.5_f64.to_bits(), hash };
        Fate::Ended { result, longest_gap_us: hash }
    }

    #[test]
    fn the_verdict_is_the_worst_that_happened() {
        let verdict = |fates: &[Fate]| Outcome(fates.to_vec()).verdict();
        assert_eq!(verdict(&[ended(1), ended(1), ended(1)]), Verdict::Agree);
        assert_eq!(verdict(&[ended(1), ended(1), Fate::Killed]), Verdict::Agree);
        assert_eq!(verdict(&[ended(1), ended(1), ended(2)]), Verdict::Differ);
        assert_eq!(verdict(&[ended(1), ended(1), Fate::Stuck(State::Blocked)]), Verdict::Blocked);
        assert_eq!(verdict(&[ended(1), Fate::Stuck(State::Working)]), Verdict::Unfinished);
        assert_eq!(verdict(&[Fate::Stuck(State::Lost), Fate::Killed]), Verdict::Lost);
        assert_eq!(verdict(&[Fate::Killed, Fate::Killed]), Verdict::Gone);
        assert_eq!(verdict(&[ended(1), Fate::Gone]), Verdict::Gone);
        assert_eq!(verdict(&[ended(1), Fate::Unknown]), Verdict::Unknown);
    }

    #[test]
    fn a_line_has_the_tuple_its_bits_and_the_hash() {
        let lines = Outcome(vec![ended(255), Fate::Stuck(State::Blocked)]).lines();
        let expected =
            "member 1  (2, 1.5)  3ff8000000000000  00000000000000ff\nmember 2  blocked\n";
        assert_eq!(lines, expected);
    }
}
