//! Which faults a simulation has.

use std::fmt;
use std::str::FromStr;

use dx_sim::FaultKind;
use serde::{Deserialize, Serialize};

use crate::config::nearest::{any_of, nearest};

/// Kinds of faults, in their usual order: `all`, `none`, `network`, or names with commas between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Faults(Vec<FaultKind>);

/// A word that names no faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFault {
    /// It resembles one.
    #[error("there are no faults `{word}`: did you mean `{meant}`?")]
    Resembles {
        /// The word.
        word: String,
        /// What it resembles.
        meant: &'static str,
    },
    /// It does not.
    #[error("there are no faults `{word}`: there are {}", any_of(WORDS))]
    Other {
        /// The word.
        word: String,
    },
    /// There are to be none and some.
    #[error("`none` stands alone: leave it out, or leave out the other faults")]
    NoneAndSome,
}

const ALL: &str = "all";
const NONE: &str = "none";
const NETWORK: &str = "network";

/// What can be said, groups first.
const WORDS: [&str; 15] = [
    ALL,
    NONE,
    NETWORK,
    "crash",
    "pause",
    "suspend",
    "partition",
    "one-way",
    "bridge",
    "clog",
    "session-loss",
    "slow",
    "drift",
    "disk-full",
    "disk-failure",
];

/// Words that stand for several kinds, or none.
const GROUPS: usize = 3;

/// The name of a kind of fault.
#[must_use]
pub fn name(kind: FaultKind) -> &'static str {
    WORDS[GROUPS + kind as usize]
}

impl Faults {
    /// All kinds.
    #[must_use]
    pub fn all() -> Self {
        Self(FaultKind::ALL.to_vec())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this kind is one of them.
    #[must_use]
    pub fn includes(&self, kind: FaultKind) -> bool {
        self.0.contains(&kind)
    }
}

impl FromStr for Faults {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let mut chosen = Vec::new();
        for word in text.split(',').map(str::trim) {
            match word {
                ALL => chosen.extend(FaultKind::ALL),
                NONE if text.trim() == NONE => {}
                NONE => return Err(UnknownFault::NoneAndSome),
                NETWORK => chosen.extend(FaultKind::ALL.iter().filter(|it| it.is_of_network())),
                word => chosen.push(kind(word)?),
            }
        }
        Ok(Self(FaultKind::ALL.into_iter().filter(|kind| chosen.contains(kind)).collect()))
    }
}

fn kind(word: &str) -> Result<FaultKind, UnknownFault> {
    FaultKind::ALL.into_iter().find(|kind| name(*kind) == word).ok_or_else(|| {
        let meant = nearest(word, WORDS).and_then(|it| WORDS.into_iter().find(|w| *w == it));
        let word = word.escape_debug().to_string();
        match meant {
            Some(meant) => UnknownFault::Resembles { word, meant },
            None => UnknownFault::Other { word },
        }
    })
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => f.write_str(NONE),
            count if count == FaultKind::ALL.len() => f.write_str(ALL),
            _ => f.write_str(&self.0.iter().map(|it| name(*it)).collect::<Vec<_>>().join(",")),
        }
    }
}

impl TryFrom<String> for Faults {
    type Error = UnknownFault;

    fn try_from(text: String) -> Result<Self, UnknownFault> {
        text.parse()
    }
}

impl From<Faults> for String {
    fn from(faults: Faults) -> Self {
        faults.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_kinds_names() {
        for kind in FaultKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), name(kind));
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for (text, written) in [
            ("all", "all"),
            ("none", "none"),
            ("crash, one-way", "crash,one-way"),
            ("one-way,crash,crash", "crash,one-way"),
            ("network", "partition,one-way,bridge,clog,session-loss"),
            ("network,all", "all"),
        ] {
            let faults: Faults = text.parse().unwrap();
            assert_eq!(faults.to_string(), written);
            assert_eq!(written.parse(), Ok(faults));
        }
    }

    #[test]
    fn a_misspelt_fault_is_answered_with_the_nearest() {
        let told = |text: &str| text.parse::<Faults>().unwrap_err().to_string();
        assert_eq!(told("crush"), "there are no faults `crush`: did you mean `crash`?");
        assert_eq!(told("crash,netwrok"), "there are no faults `netwrok`: did you mean `network`?");
        assert!(told("crash,none").starts_with("`none` stands alone"));
        assert!(told("earthquake").ends_with("`disk-full` or `disk-failure`"));
    }
}
