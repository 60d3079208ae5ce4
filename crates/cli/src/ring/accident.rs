//! What is to go wrong, as on the command line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dx_agents::NodeId;

use crate::config::units::duration;
use crate::kinds::ring_member::Cut;

/// A member's process is killed: `2@1.5s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The member's node; both have the same number.
    pub node: NodeId,
    /// When, after SEND.
    pub at: Duration,
}

/// A text that is no accident.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongAccident(String);

const KILL: &str = "write the member and the time after SEND, as in `2@1.5s`";
const CUT: &str =
    "write two members, the time after SEND and how long it lasts, as in `1-3@500ms+1s`";

impl FromStr for Kill {
    type Err = WrongAccident;

    fn from_str(text: &str) -> Result<Self, WrongAccident> {
        let wrong = |why: &str| WrongAccident(format!("{why}: {KILL}"));
        let (member, at) = text.split_once('@').ok_or_else(|| WrongAccident(KILL.to_owned()))?;
        let node = member.parse().map_err(|_| wrong("the member is a number"))?;
        Ok(Self { node: NodeId(node), at: time(at, KILL)? })
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node.0, duration::text(self.at).replace(' ', ""))
    }
}

impl FromStr for Cut {
    type Err = WrongAccident;

    fn from_str(text: &str) -> Result<Self, WrongAccident> {
        let malformed = || WrongAccident(CUT.to_owned());
        let (members, times) = text.split_once('@').ok_or_else(malformed)?;
        let (one, other) = members.split_once('-').ok_or_else(malformed)?;
        let (at, lasting) = times.split_once('+').ok_or_else(malformed)?;
        let member = |text: &str| text.parse().map_err(|_| malformed());
        let (one, other) = (member(one)?, member(other)?);
        if one == other {
            return Err(WrongAccident("nothing can be cut between a member and itself".to_owned()));
        }
        Ok(Self { one, other, at: time(at, CUT)?, lasting: time(lasting, CUT)? })
    }
}

/// `1.5s` and whatever else is a duration. Fractions are taken, since they are short.
///
/// # Errors
/// If it is none.
pub fn time(text: &str, example: &str) -> Result<Duration, WrongAccident> {
    fraction(text)
        .or_else(|| duration::parse(text).ok())
        .ok_or_else(|| WrongAccident(format!("`{text}` is no time: {example}")))
}

fn fraction(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        _ => return None,
    };
    let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = digits.parse().ok().filter(|_| plain)?;
    Duration::try_from_secs_f64(number * unit).ok()
}

/// A share, as in `10%` or `0.1`.
///
/// # Errors
/// If it is none.
pub fn share(text: &str) -> Result<f64, String> {
    let (digits, unit) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let number: f64 = digits.trim().parse().map_err(|_| "write a share, as in `10%`".to_owned())?;
    let share = number / unit;
    if (0.0..=MAX_SHARE).contains(&share) {
        Ok(share)
    } else {
        Err("0% to 90% can be lost; of more, nothing comes".to_owned())
    }
}

/// The largest share that may be lost: sending again then takes ten attempts.
const MAX_SHARE: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accidents_are_read_as_they_are_shown() {
        let millis = Duration::from_millis;
        assert_eq!("2@1.5s".parse(), Ok(Kill { node: NodeId(2), at: millis(1500) }));
        assert_eq!("2@1min".parse(), Ok(Kill { node: NodeId(2), at: millis(60_000) }));
        let cut = Cut { one: 1, other: 3, at: millis(500), lasting: millis(1000) };
        assert_eq!("1-3@500ms+1s".parse(), Ok(cut));
        for wrong in ["", "2", "@1s", "2@", "2@1", "2@-1s", "x@1s", "2@1.5", "2@1e400s", "2@nans"] {
            assert!(wrong.parse::<Kill>().is_err(), "`{wrong}` is a kill");
        }
        for kill in ["2@1s500ms", "64@0s"] {
            assert_eq!(kill.parse::<Kill>().unwrap().to_string(), kill);
        }
        for wrong in ["", "1-2", "1-2@1s", "1@1s+1s", "1-1@1s+1s", "1-2@1s+", "1-2@s+1s"] {
            assert!(wrong.parse::<Cut>().is_err(), "`{wrong}` is a cut");
        }
    }

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        assert_eq!(share("10%"), Ok(0.1));
        assert_eq!(share("0.1"), Ok(0.1));
        for wrong in ["", "%", "10", "-1%", "91%", "nan", "all"] {
            assert!(share(wrong).is_err(), "`{wrong}` is a share");
        }
    }
}
