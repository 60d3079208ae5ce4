//! The one source of all that a run leaves open: drawn from a seed, read from a tape, or tried one
//! after the other.
//!
//! ```
//! use dx_sim::choices::Choices;
//!
//! fn run(choices: &mut Choices) -> (u64, Option<u64>) {
//!     let latency = choices.choose("latency", 100);
//!     (latency, choices.event("crash", 0.5, |how| how.choose("node", 5)))
//! }
//! let mut choices = Choices::seeded(7).recording();
//! let seen = run(&mut choices);
//! let tape = choices.tape().expect("it was recording");
//! let mut replay = Choices::replayed(&tape);
//! assert_eq!(run(&mut replay), seen);
//! ```

mod details;
mod lanes;
mod priorities;
mod source;

use std::time::Duration;

use dx_agents::rng::Rng;

use crate::explore::Cursor;
use crate::number::{exp, ln};
use crate::tape::{Event, Point, Tape};

pub use self::details::Details;
use self::lanes::Lanes;
pub(crate) use self::lanes::Occasions;
pub use self::priorities::Priorities;
pub(crate) use self::source::Question;
use self::source::Source;

/// Answers all questions of a run, and records the answers if that is asked for.
///
/// Labels are single words. Small numbers are the plain answers: number what you offer so, that 0
/// is what you would like to read in a trace (the shortest delay, the oldest message, no fault).
#[derive(Debug)]
pub struct Choices {
    source: Source,
    is_recording: bool,
    /// If the order of what is due is a choice: among what is due within this time.
    window: Option<Duration>,
    made: u64,
    asked: Lanes,
    occasions: Lanes,
    events: Vec<(Point, Event)>,
}

impl Choices {
    /// Draws every answer from `seed`, and keeps none.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::new(Source::Seed(Rng::stream(seed, CHOICES)), None)
    }

    /// Answers as the tape says, and 0 or no where it says nothing. An answer that is too large
    /// for what is asked now is cut to the largest.
    #[must_use]
    pub fn replayed(tape: &Tape) -> Self {
        let source = Source::Tape { tape: tape.clone(), misfits: 0 };
        let mut choices = Self::new(source, None);
        choices.is_recording = true;
        let window = choices.ask(WINDOW, WINDOWS, Question::Any);
        choices.made = 0;
        choices.window = match window {
            0 => None,
            micros => Some(Duration::from_micros(micros - 1)),
        };
        choices
    }

    /// Draws every answer from `seed`, but which of the things that are due within `window` comes
    /// next: that is decided by priorities, which change now and then. The answers are recorded.
    #[must_use]
    pub fn prioritized(seed: u64, priorities: &Priorities) -> Self {
        let rng = Rng::stream(seed, CHOICES);
        Self::ordered(Source::Priorities(priorities.begin(rng)), Some(priorities.window))
    }

    /// Keeps every answer, for a tape. Those that are drawn are the same as without.
    ///
    /// # Panics
    /// If there were answers already: a tape has all of them or is none.
    #[must_use]
    pub fn recording(mut self) -> Self {
        assert!(self.made == 0 || self.is_recording, "{} answers were not recorded", self.made);
        self.is_recording = true;
        self
    }

    /// A number below `bound`. Of one possibility there is no choice, and nothing is recorded.
    ///
    /// # Panics
    /// If `bound` is 0, or the label is not one word.
    #[inline]
    pub fn choose(&mut self, label: &'static str, bound: u64) -> u64 {
        self.ask(label, bound, Question::Any)
    }

    /// The same where there are too many answers to try them all, and it matters little which it
    /// is: 0 in a systematic search, and where priorities decide.
    ///
    /// # Panics
    /// As [`choose`](Self::choose).
    #[inline]
    pub fn choose_finely(&mut self, label: &'static str, bound: u64) -> u64 {
        if self.window.is_some() { 0 } else { self.ask(label, bound, Question::Any) }
    }

    /// Which of `bound` runs next; 0 is the one that goes on if nobody interferes. A search may
    /// bound how often it interferes.
    ///
    /// # Panics
    /// If `bound` is 0, or the label is not one word.
    #[inline]
    pub fn switch(&mut self, label: &'static str, bound: u64) -> u64 {
        self.switch_among(label, bound, |at| at)
    }

    /// The same of those whom `who` knows by numbers, to which priorities stick.
    ///
    /// # Panics
    /// As [`switch`](Self::switch).
    #[inline]
    pub fn switch_among(
        &mut self,
        label: &'static str,
        bound: u64,
        who: impl Fn(u64) -> u64,
    ) -> u64 {
        if let Source::Priorities(ranks) = &mut self.source
            && bound > 1
        {
            let value = ranks.highest(bound, who);
            self.made += 1;
            self.asked.file(label, bound, value);
            return value;
        }
        self.ask(label, bound, Question::Switch)
    }

    /// One of several things; `None` only if there are none.
    pub fn pick<'a, T>(&mut self, label: &'static str, from: &'a [T]) -> Option<&'a T> {
        let bound = (from.len() as u64).max(1);
        from.get(self.choose(label, bound) as usize)
    }

    /// A number in `[0, 1)`, in steps of 2^-24: [finely](Self::choose_finely).
    #[inline]
    pub fn unit(&mut self, label: &'static str) -> f64 {
        self.choose_finely(label, FINE) as f64 / FINE as f64
    }

    /// A number between two, each power of ten as likely as the next: [finely](Self::choose_finely).
    pub fn log_uniform(&mut self, label: &'static str, low: f64, high: f64) -> f64 {
        low * exp(ln(high / low) * self.unit(label))
    }

    /// Whether something happens that could be left out, and of which there are no two sorts.
    pub fn chance(&mut self, label: &'static str, probability: f64) -> bool {
        self.event(label, probability, |_| ()).is_some()
    }

    /// Whether something happens that could be left out: at random, with this probability. If so,
    /// `how` makes the choices that say how, and gives what it is. What has the probability 0 has no
    /// occasion either, and nothing is recorded.
    ///
    /// Ask at each occasion, whatever happened at the ones before, so that shrinking can take each
    /// event away alone: `for slot in 0..8 { event(..) }`, not `while event(..) {}`.
    ///
    /// # Panics
    /// If the label is not one word.
    pub fn event<T>(
        &mut self,
        label: &'static str,
        probability: f64,
        how: impl FnOnce(&mut Details) -> T,
    ) -> Option<T> {
        if probability.is_nan() || probability <= 0.0 {
            return None;
        }
        self.made += 1;
        let point = self.occasions.next(label);
        let question = Question::Event { probability };
        if self.source.answer(None, &point, 2, question) == 0 {
            return None;
        }
        let mut details =
            Details::new(&mut self.source, point, self.is_recording, self.window.is_some());
        let what = how(&mut details);
        let (point, event) = details.end();
        if self.is_recording {
            self.events.push((point, event));
        }
        Some(what)
    }

    /// What was answered so far, if it was recorded.
    #[must_use]
    pub fn tape(&self) -> Option<Tape> {
        self.is_recording.then(|| Tape::collect(self.asked.answers(), self.events.clone()))
    }

    /// What was asked so far, if the answers were kept.
    pub(crate) fn occasions(&self) -> Vec<Occasions> {
        self.asked.occasions().collect()
    }

    /// How many choices were made, those of events not included.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
    }

    /// How many answers of a replayed tape did not fit: too large for what was asked, or not asked
    /// for at all. If there are any, the code has changed since, and it may be another run.
    #[must_use]
    pub fn misfits(&self) -> u64 {
        let Source::Tape { tape, misfits } = &self.source else { return 0 };
        misfits
            + self.asked.unasked(tape.choices().keys())
            + self.occasions.unasked(tape.events().keys())
    }

    /// If the order of what is due is a choice, and not a matter of delays that are drawn: among
    /// what is due within this time of the first.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        self.window
    }

    pub(crate) fn search(cursor: Cursor, window: Option<Duration>) -> Self {
        Self::ordered(Source::Search(cursor), window)
    }

    /// The tape and the cursor of a search.
    pub(crate) fn into_search(self) -> (Tape, Cursor) {
        let tape = Tape::collect(self.asked.answers(), self.events);
        match self.source {
            Source::Search(cursor) => (tape, cursor),
            _ => panic!("the run has put other choices in the place of those that it was given"),
        }
    }

    fn ordered(source: Source, window: Option<Duration>) -> Self {
        let mut choices = Self::new(source, window);
        choices.is_recording = true;
        if let Some(window) = window {
            // So that the tape says in which way it is to be replayed.
            let micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
            choices.asked.file(WINDOW, WINDOWS, micros.min(WINDOWS - 2) + 1);
        }
        choices
    }

    fn new(source: Source, window: Option<Duration>) -> Self {
        let (asked, occasions) = (Lanes::default(), Lanes::default());
        Self { source, is_recording: false, window, made: 0, asked, occasions, events: Vec::new() }
    }

    #[inline]
    fn ask(&mut self, label: &'static str, bound: u64, question: Question) -> u64 {
        assert!(bound > 0, "{label}: a choice of nothing");
        if bound == 1 {
            return 0;
        }
        self.made += 1;
        if let Source::Seed(rng) = &mut self.source {
            let value = rng.below(bound);
            if self.is_recording {
                self.asked.file(label, bound, value);
            }
            return value;
        }
        let point = self.asked.peek(label);
        let value = self.source.answer(None, &point, bound, question);
        self.asked.file(label, bound, value);
        value
    }
}

/// Sets the choices apart from the agents' own random numbers, which have the same seed.
const CHOICES: u64 = 0x0063_686f_6963_6573;

/// The steps in which a fraction is drawn.
const FINE: u64 = 1 << 24;

/// The choice by which a tape says that the order of what is due was a choice: 0 if not, else the
/// window in microseconds, plus 1.
const WINDOW: &str = "window";
const WINDOWS: u64 = 1 << 32;
