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

use dx_agents::rng::Rng;
use rustc_hash::FxHashMap;

use crate::explore::Cursor;
use crate::number::{exp, ln};
use crate::tape::{Choice, Event, Point, Tape, is_label};

/// Answers all questions of a run, and records the answers if that is asked for.
///
/// Labels are single words. Small numbers are the plain answers: number what you offer so, that 0
/// is what you would like to read in a trace (the shortest delay, the oldest message, no fault).
#[derive(Debug)]
pub struct Choices {
    source: Source,
    is_recording: bool,
    asked: Counters,
    occasions: Counters,
    made: u64,
    /// What was answered, put into the order of a tape at the end: a run makes millions of choices.
    answers: Vec<(Point, Choice)>,
    events: Vec<(Point, Event)>,
}

/// The choices inside an event: they go away with it.
#[derive(Debug)]
pub struct Details<'a> {
    source: &'a mut Source,
    of: Point,
    asked: Counters,
    event: Event,
}

/// Where the answers come from.
#[derive(Debug)]
enum Source {
    Seed(Rng),
    Tape { tape: Tape, misfits: u64 },
    Search(Cursor),
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Question {
    /// Any number below the bound.
    Any,
    /// Which one runs next: 0 is the one that would anyway.
    Switch,
    /// Whether something happens that need not.
    Event { probability: f64 },
}

/// How many questions there were of each label. Only looked up in: it has no order.
type Counters = FxHashMap<&'static str, u32>;

impl Choices {
    /// Draws every answer from `seed`, and keeps none.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::new(Source::Seed(Rng::stream(seed, CHOICES)), false)
    }

    /// Answers as the tape says, and 0 or no where it says nothing. An answer that is too large
    /// for what is asked now is cut to the largest.
    #[must_use]
    pub fn replayed(tape: &Tape) -> Self {
        Self::new(Source::Tape { tape: tape.clone(), misfits: 0 }, true)
    }

    /// Keeps every answer, for a tape. Those that are drawn are the same as without.
    ///
    /// # Panics
    /// If there were answers already: a tape has all of them or is none.
    #[must_use]
    pub fn recording(mut self) -> Self {
        assert!(self.made == 0, "{} answers were not recorded", self.made);
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

    /// Which of `bound` runs next; 0 is the one that goes on if nobody interferes. A search may
    /// bound how often it interferes.
    ///
    /// # Panics
    /// If `bound` is 0, or the label is not one word.
    pub fn switch(&mut self, label: &'static str, bound: u64) -> u64 {
        self.ask(label, bound, Question::Switch)
    }

    /// One of several things; `None` only if there are none.
    pub fn pick<'a, T>(&mut self, label: &'static str, from: &'a [T]) -> Option<&'a T> {
        let bound = (from.len() as u64).max(1);
        from.get(self.choose(label, bound) as usize)
    }

    /// A number in `[0, 1)`, in steps of 2^-24: too many answers for a search.
    pub fn unit(&mut self, label: &'static str) -> f64 {
        self.choose(label, FINE) as f64 / FINE as f64
    }

    /// A number between two, each power of ten as likely as the next. Too many for a search.
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
        let point = next(&mut self.occasions, label);
        if self.source.answer(None, &point, 2, Question::Event { probability }) == 0 {
            return None;
        }
        let mut details = Details {
            source: &mut self.source,
            of: point,
            asked: Counters::default(),
            event: Event::default(),
        };
        let what = how(&mut details);
        let Details { of, event, asked, .. } = details;
        if let Source::Tape { tape, misfits } = &mut self.source {
            *misfits += unused(tape.events()[&of].details.keys(), &asked);
        }
        if self.is_recording {
            self.events.push((of, event));
        }
        Some(what)
    }

    /// What was answered so far, if it was recorded.
    #[must_use]
    pub fn tape(&self) -> Option<Tape> {
        self.is_recording.then(|| Tape::collect(self.answers.clone(), self.events.clone()))
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
            + unused(tape.choices().keys(), &self.asked)
            + unused(tape.events().keys(), &self.occasions)
    }

    pub(crate) fn search(cursor: Cursor) -> Self {
        Self::new(Source::Search(cursor), true)
    }

    /// The tape and the cursor of a search.
    pub(crate) fn into_search(self) -> (Tape, Cursor) {
        match self.source {
            Source::Search(cursor) => (Tape::collect(self.answers, self.events), cursor),
            Source::Seed(_) | Source::Tape { .. } => {
                panic!("the run has put other choices in the place of those that it was given")
            }
        }
    }

    fn new(source: Source, is_recording: bool) -> Self {
        let (asked, occasions) = (Counters::default(), Counters::default());
        let (answers, events) = (Vec::new(), Vec::new());
        Self { source, is_recording, made: 0, asked, occasions, answers, events }
    }

    fn ask(&mut self, label: &'static str, bound: u64, question: Question) -> u64 {
        assert!(bound > 0, "{label}: a choice of nothing");
        if bound == 1 {
            return 0;
        }
        self.made += 1;
        if let (Source::Seed(rng), false) = (&mut self.source, self.is_recording) {
            return rng.below(bound);
        }
        let point = next(&mut self.asked, label);
        let value = self.source.answer(None, &point, bound, question);
        if value > 0 && self.is_recording {
            self.answers.push((point, Choice { bound, value }));
        }
        value
    }
}

impl Details<'_> {
    /// A number below `bound` (and 0 if that is all there is), that says how the event is.
    ///
    /// # Panics
    /// If `bound` is 0, or the label is not one word.
    pub fn choose(&mut self, label: &'static str, bound: u64) -> u64 {
        assert!(bound > 0, "{label}: a choice of nothing");
        if bound == 1 {
            return 0;
        }
        let point = next(&mut self.asked, label);
        let value = self.source.answer(Some(&self.of), &point, bound, Question::Any);
        self.event.choose(point, Choice { bound, value });
        value
    }
}

impl Source {
    fn answer(&mut self, of: Option<&Point>, point: &Point, bound: u64, what: Question) -> u64 {
        match (self, what) {
            (Self::Seed(rng), Question::Event { probability }) => {
                u64::from(rng.unit() < probability)
            }
            (Self::Seed(rng), Question::Any | Question::Switch) => rng.below(bound),
            (Self::Tape { tape, .. }, Question::Event { .. }) => {
                u64::from(tape.events().contains_key(point))
            }
            (Self::Tape { tape, misfits }, Question::Any | Question::Switch) => {
                let choices = match of {
                    Some(event) => tape.events().get(event).map(|event| &event.details),
                    None => Some(tape.choices()),
                };
                let value = choices.and_then(|choices| choices.get(point)).map_or(0, |c| c.value);
                *misfits += u64::from(value >= bound);
                value.min(bound - 1)
            }
            (Self::Search(cursor), what) => cursor.answer(point, bound, what),
        }
    }
}

/// How many of `points` were never asked for.
fn unused<'a>(points: impl Iterator<Item = &'a Point>, asked: &Counters) -> u64 {
    let count = |point: &Point| asked.get(point.label.as_ref()).copied().unwrap_or(0);
    points.filter(|point| point.at >= count(point)).count() as u64
}

fn next(counters: &mut Counters, label: &'static str) -> Point {
    let count = counters.entry(label).or_insert_with(|| {
        assert!(is_label(label), "the label {label:?} is not one word");
        0
    });
    let at = *count;
    *count = count.checked_add(1).expect("a run has fewer than 2^32 choices of a label");
    Point { label: label.into(), at }
}

/// Sets the choices apart from the agents' own random numbers, which have the same seed.
const CHOICES: u64 = 0x0063_686f_6963_6573;

/// The steps in which a fraction is drawn.
const FINE: u64 = 1 << 24;
