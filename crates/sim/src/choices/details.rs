//! The choices that say how an event is.

use dx_agents::rng::Rng;

use super::lanes::Lanes;
use super::source::{Question, Source};
use crate::tape::{Choice, Event, Point};

/// The choices inside an event: they go away with it.
#[derive(Debug)]
pub struct Details<'a> {
    source: &'a mut Source,
    of: Point,
    is_recording: bool,
    is_ordered: bool,
    asked: Lanes,
    event: Event,
}

impl<'a> Details<'a> {
    pub(super) fn new(
        source: &'a mut Source,
        of: Point,
        is_recording: bool,
        is_ordered: bool,
    ) -> Self {
        let (asked, event) = (Lanes::default(), Event::default());
        Self { source, of, is_recording, is_ordered, asked, event }
    }

    /// A number below `bound` (and 0 if that is all there is), that says how the event is.
    ///
    /// # Panics
    /// If `bound` is 0, or the label is not one word.
    pub fn choose(&mut self, label: &'static str, bound: u64) -> u64 {
        assert!(bound > 0, "{label}: a choice of nothing");
        if bound == 1 {
            return 0;
        }
        let point = self.asked.next(label);
        let value = self.source.answer(Some(&self.of), &point, bound, Question::Any);
        self.file(point, bound, value)
    }

    /// One of several numbers below `bound`. A tape has the number itself: it means the same
    /// where others are offered. 0 if there are none.
    ///
    /// # Panics
    /// If `bound` is 0, or one of the numbers is not below it; or the label is not one word.
    pub fn choose_from(&mut self, label: &'static str, bound: u64, from: &[u64]) -> u64 {
        let point = self.asked.next(label);
        let count = from.len() as u64;
        let value = match (&mut *self.source, count) {
            (Source::Tape { .. }, _) => {
                self.source.answer(Some(&self.of), &point, bound, Question::Any)
            }
            (_, 0) => 0,
            (_, 1) => from[0],
            _ => {
                let at = self.source.answer(Some(&self.of), &point, count, Question::Any);
                from[at as usize]
            }
        };
        self.file(point, bound, value)
    }

    /// A number below `bound` that is drawn by `draw`; where every answer is tried, one of `few`. A
    /// tape has the number itself: it means the same however it was drawn.
    ///
    /// # Panics
    /// As [`choose_from`](Self::choose_from).
    pub fn choose_by(
        &mut self,
        label: &'static str,
        bound: u64,
        few: &[u64],
        draw: impl FnOnce(&mut Rng) -> u64,
    ) -> u64 {
        if self.is_ordered {
            return self.choose_from(label, bound, few);
        }
        let point = self.asked.next(label);
        let value = match self.source.rng() {
            Some(rng) => draw(rng).min(bound - 1),
            None => self.source.answer(Some(&self.of), &point, bound, Question::Any),
        };
        self.file(point, bound, value)
    }

    fn file(&mut self, point: Point, bound: u64, value: u64) -> u64 {
        if self.is_recording {
            self.event.choose(point, Choice { bound, value });
        }
        value
    }

    /// The event, as it was recorded.
    pub(super) fn end(self) -> (Point, Event) {
        if let Source::Tape { tape, misfits } = self.source {
            *misfits += self.asked.unasked(tape.events()[&self.of].details.keys());
        }
        (self.of, self.event)
    }
}
