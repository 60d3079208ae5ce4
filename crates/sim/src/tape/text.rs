//! Tapes as text files, for people to read, keep and mail.
//!
//! ```text
//! dx-tape 1
//! seed 42
//! commit 0a1b2c3
//! config 00000000deadbeef
//! scenario transfers
//! breaks no money is lost
//! because 3 are gone
//! trace 0123456789abcdef 118
//! choice latency 17 250/65536
//! event crash 3
//!   choice node 0 2/5
//! end
//! ```
//! `choice LABEL N VALUE/BOUND`: the N-th choice of that label (from 0) was VALUE, of the numbers
//! below BOUND. Choices of an event follow it, indented. Empty lines and lines that begin with `#`
//! are skipped, and the four lines before the first choice may be missing; `end` shows that nothing was cut off.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Choice, Event, Point, Tape, is_label};

/// A tape, and what it was recorded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeFile {
    /// The seed of the run.
    pub seed: u64,
    /// The version of the code: one word, such as a commit.
    pub commit: String,
    /// A hash of the configuration. With another one the tape may mean another run.
    pub config: u64,
    /// What was tried: one line, empty if nobody said.
    pub scenario: String,
    /// How the run ended, if it is known.
    pub ending: Option<Ending>,
    /// The tape.
    pub tape: Tape,
}

/// How a recorded run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The rule that it broke: one line.
    pub what: String,
    /// How it did: one line.
    pub text: String,
    /// The run as one number.
    pub trace: u64,
    /// After how many events.
    pub events: u64,
}

/// Why a text is not a tape.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TapeError {
    /// It is something else.
    #[error("line 1: not a tape: it does not begin with `dx-tape {VERSION}`")]
    NotATape,
    /// It was written in a format that this program does not know.
    #[error(
        "line 1: a tape of version {0}; this program reads version {VERSION}: use the program that wrote it"
    )]
    Version(String),
    /// A line is not what the format has there.
    #[error("line {line}: expected {expected}, found `{found}`")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A point was given twice.
    #[error("line {line}: a second answer for {label} {at}")]
    Twice {
        /// The number of the second line.
        line: usize,
        /// The point's label.
        label: String,
        /// The point's count.
        at: u32,
    },
    /// It stops before `end`.
    #[error("the tape was cut off: expected {expected}, found the end of the file")]
    CutOff {
        /// What should come.
        expected: &'static str,
    },
}

impl fmt::Display for TapeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, commit, config, scenario, ending, tape } = self;
        let commit = if is_label(commit) { commit } else { "unknown" };
        writeln!(f, "{MAGIC} {VERSION}\nseed {seed}\ncommit {commit}\nconfig {config:016x}")?;
        if !scenario.is_empty() {
            writeln!(f, "scenario {}", line(scenario))?;
        }
        if let Some(Ending { what, text, trace, events }) = ending {
            writeln!(f, "breaks {}\nbecause {}", line(what), line(text))?;
            writeln!(f, "trace {trace:016x} {events}")?;
        }
        write!(f, "{tape}")
    }
}

/// A text in one line.
pub(crate) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Point { label, at }, Choice { bound, value }) in &self.choices {
            writeln!(f, "choice {label} {at} {value}/{bound}")?;
        }
        for (Point { label, at }, event) in &self.events {
            writeln!(f, "event {label} {at}")?;
            for (Point { label, at }, Choice { bound, value }) in &event.details {
                writeln!(f, "  choice {label} {at} {value}/{bound}")?;
            }
        }
        writeln!(f, "end")
    }
}

impl FromStr for TapeFile {
    type Err = TapeError;

    fn from_str(text: &str) -> Result<Self, TapeError> {
        let mut lines = Lines::new(text);
        match lines.next("a version").map(|line| line.text.split_once(' ')) {
            Ok(Some((MAGIC, VERSION))) => {}
            Ok(Some((MAGIC, version))) => return Err(TapeError::Version(version.to_owned())),
            _ => return Err(TapeError::NotATape),
        }
        let seed = lines.header("seed", "`seed NUMBER`", |seed| seed.parse().ok())?;
        let commit = lines.header("commit", "`commit WORD`", |commit| {
            is_label(commit).then(|| commit.to_owned())
        })?;
        let config =
            lines.header("config", "`config HEX`", |hash| u64::from_str_radix(hash, 16).ok())?;
        let scenario = lines.perhaps("scenario").unwrap_or_default().to_owned();
        let ending = lines.ending()?;
        let tape = lines.tape()?;
        Ok(Self { seed, commit, config, scenario, ending, tape })
    }
}

impl FromStr for Tape {
    type Err = TapeError;

    fn from_str(text: &str) -> Result<Self, TapeError> {
        Lines::new(text).tape()
    }
}

impl From<Tape> for String {
    fn from(tape: Tape) -> Self {
        tape.to_string()
    }
}

impl TryFrom<String> for Tape {
    type Error = TapeError;

    fn try_from(text: String) -> Result<Self, TapeError> {
        text.parse()
    }
}

/// The lines that count, with their numbers.
#[derive(Clone)]
struct Lines<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
}

#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    is_indented: bool,
    text: &'a str,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { lines: text.lines().enumerate() }
    }

    fn next(&mut self, expected: &'static str) -> Result<Line<'a>, TapeError> {
        let mut lines = self.lines.by_ref().map(|(index, line)| Line {
            number: index + 1,
            is_indented: line.starts_with("  "),
            text: line.trim(),
        });
        lines
            .find(|line| !line.text.is_empty() && !line.text.starts_with('#'))
            .ok_or(TapeError::CutOff { expected })
    }

    fn header<T>(
        &mut self,
        key: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, TapeError> {
        let line = self.next(expected)?;
        let value = line.text.strip_prefix(key).and_then(|rest| rest.strip_prefix(' '));
        value.and_then(parse).ok_or_else(|| line.wrong(expected))
    }

    /// The value of a line that may be missing.
    fn perhaps(&mut self, key: &str) -> Option<&'a str> {
        let mut ahead = self.clone();
        let line = ahead.next(EXPECTED).ok()?;
        let value = line.text.strip_prefix(key)?;
        let value = if value.is_empty() { value } else { value.strip_prefix(' ')? };
        *self = ahead;
        Some(value)
    }

    fn ending(&mut self) -> Result<Option<Ending>, TapeError> {
        let Some(what) = self.perhaps("breaks") else { return Ok(None) };
        let text = self.perhaps("because").unwrap_or_default().to_owned();
        let (trace, events) = self.header("trace", "`trace HEX EVENTS`", |value| {
            let (trace, events) = value.split_once(' ')?;
            Some((u64::from_str_radix(trace, 16).ok()?, events.parse().ok()?))
        })?;
        Ok(Some(Ending { what: what.to_owned(), text, trace, events }))
    }

    fn tape(&mut self) -> Result<Tape, TapeError> {
        let mut tape = Tape::new();
        let mut event: Option<(Point, Event)> = None;
        loop {
            let line = self.next(EXPECTED)?;
            if line.is_indented {
                let (_, event) = event.as_mut().ok_or_else(|| line.wrong(EXPECTED))?;
                let (point, choice) = line.choice().ok_or_else(|| line.wrong(EXPECTED))?;
                line.once(event.details.insert(point.clone(), choice).is_none(), &point)?;
                continue;
            }
            if let Some((point, event)) = event.take() {
                tape.events.insert(point, event);
            }
            if line.text == "end" {
                return Ok(tape);
            } else if let Some((point, choice)) = line.choice() {
                line.once(tape.choices.insert(point.clone(), choice).is_none(), &point)?;
            } else {
                let point = line.event().ok_or_else(|| line.wrong(EXPECTED))?;
                line.once(!tape.events.contains_key(&point), &point)?;
                event = Some((point, Event::default()));
            }
        }
    }
}

impl Line<'_> {
    fn wrong(&self, expected: &'static str) -> TapeError {
        TapeError::Line { line: self.number, expected, found: self.text.to_owned() }
    }

    fn once(&self, is_first: bool, point: &Point) -> Result<(), TapeError> {
        let (line, label, at) = (self.number, point.label.to_string(), point.at);
        if is_first { Ok(()) } else { Err(TapeError::Twice { line, label, at }) }
    }

    fn choice(&self) -> Option<(Point, Choice)> {
        let mut words = self.text.strip_prefix("choice ")?.split(' ');
        let point = point(&mut words)?;
        let (value, bound) = words.next()?.split_once('/')?;
        let choice = Choice { value: value.parse().ok()?, bound: bound.parse().ok()? };
        let is_whole = words.next().is_none();
        (is_whole && 0 < choice.value && choice.value < choice.bound).then_some((point, choice))
    }

    fn event(&self) -> Option<Point> {
        let mut words = self.text.strip_prefix("event ")?.split(' ');
        let point = point(&mut words)?;
        words.next().is_none().then_some(point)
    }
}

fn point<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Point> {
    let label = words.next().filter(|label| is_label(label))?;
    let at = words.next()?.parse().ok()?;
    Some(Point { label: label.to_owned().into(), at })
}

const EXPECTED: &str = "`choice LABEL N VALUE/BOUND`, `event LABEL N` or `end`";
const MAGIC: &str = "dx-tape";
const VERSION: &str = "1";
