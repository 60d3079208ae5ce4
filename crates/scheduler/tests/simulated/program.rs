//! What simulated tasks do: it follows from their command.

use std::time::Duration;

use dx_scheduler::end::{End, Exit, Fault};
use dx_scheduler::job::JobSpec;

/// A task's program, in the attempt of some number.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// How it ends by itself, or that it cannot be started.
    pub ends: Ends,
    /// After how long; never, if not at all.
    pub after: Option<Duration>,
    /// Whether the signal that asks it to stop stops it, and all it started.
    pub obeys: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    With(Exit),
    Oom,
    NotStarted(Fault),
}

impl Ends {
    pub fn end(self) -> End {
        match self {
            Self::With(Exit::Code(0)) => End::Succeeded,
            Self::With(_) | Self::NotStarted(_) => End::Failed,
            Self::Oom => End::Oom,
        }
    }
}

impl Program {
    /// `sim ok 100ms`, `sim exit 3 1s`, `sim signal 11 1s`, `sim oom 1s`, `sim flaky 2 1s` (its
    /// second attempt succeeds), `sim forever`, `sim stubborn` (for ever, and whatever it is asked), `sim waits 1` (until what it waits for is over, at a level),
    /// `sim missing` (no such program), `sim hole 2 1s` (the disk of the node of its first attempt is full).
    pub fn of(spec: &JobSpec, number: u32) -> Self {
        let exec = &spec.commands[0].exec;
        let words: Vec<&str> = exec.iter().map(String::as_str).collect();
        let code = |code| Ends::With(Exit::Code(code));
        let (ends, after, obeys) = match words[..] {
            ["sim", "exit", with, after] => (code(with.parse().unwrap()), Some(after), true),
            ["sim", "signal", signal, after] => {
                (Ends::With(Exit::Signal(signal.parse().unwrap())), Some(after), true)
            }
            ["sim", "oom", after] => (Ends::Oom, Some(after), true),
            ["sim", "flaky", good, after] => {
                (code(i32::from(number < good.parse().unwrap())), Some(after), true)
            }
            ["sim", "forever"] | ["sim", "waits", _] => (code(0), None, true),
            ["sim", "stubborn"] => (code(0), None, false),
            ["sim", "missing"] => (Ends::NotStarted(Fault::Job), Some("0s"), true),
            ["sim", "hole", good, _] if number < good.parse().unwrap() => {
                (Ends::NotStarted(Fault::Node), Some("0s"), true)
            }
            ["sim", "ok", after] | ["sim", "hole", _, after] => (code(0), Some(after), true),
            ref other => panic!("there is no program {other:?}"),
        };
        let after = after.map(|after| humantime::parse_duration(after).unwrap());
        Self { ends, after, obeys }
    }
}
