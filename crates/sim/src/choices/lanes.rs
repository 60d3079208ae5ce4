//! How often was asked, and what was answered, label by label: a run makes millions of choices, so
//! an answer takes four bytes, and is put into the order of a tape at the end.

use crate::tape::{Choice, Point, is_label};

/// See the module. One for choices, another for events.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: Vec<Lane>,
    /// Where a label was seen before. The same word at two places of the code may be two texts.
    seen: Vec<(&'static str, usize)>,
}

/// What was asked of one label.
#[derive(Clone, Copy, Debug)]
pub struct Occasions {
    /// The label.
    pub label: &'static str,
    /// How often.
    pub asked: u32,
    /// How many answers there were the last time.
    pub bound: u64,
}

#[derive(Debug)]
struct Lane {
    label: &'static str,
    asked: u32,
    /// All answers so far, [`LARGE`] for those that are in `large`.
    values: Vec<u32>,
    large: Vec<u64>,
    /// The bounds, each from which answer on: it hardly ever changes.
    bounds: Vec<(u32, u64)>,
}

const LARGE: u32 = u32::MAX;

impl Lanes {
    /// The point that is asked for, and it counts as asked: nothing is filed.
    pub fn next(&mut self, label: &'static str) -> Point {
        let point = self.peek(label);
        let lane = self.lane(label);
        lane.asked = lane.asked.checked_add(1).expect(FEW);
        point
    }

    /// The point that is asked for.
    pub fn peek(&mut self, label: &'static str) -> Point {
        Point { label: label.into(), at: self.lane(label).asked }
    }

    /// Files the answer to what is asked for.
    #[inline]
    pub fn file(&mut self, label: &'static str, bound: u64, value: u64) {
        let lane = self.lane(label);
        if lane.bounds.last().is_none_or(|(_, last)| *last != bound) {
            lane.bounds.push((lane.asked, bound));
        }
        let small = u32::try_from(value).unwrap_or(LARGE);
        if small == LARGE {
            lane.large.push(value);
        }
        lane.values.push(small);
        lane.asked = lane.asked.checked_add(1).expect(FEW);
    }

    /// How many of `points` were never asked for.
    pub fn unasked<'a>(&self, points: impl Iterator<Item = &'a Point>) -> u64 {
        let asked = |point: &Point| {
            let lane = self.lanes.iter().find(|lane| lane.label == point.label);
            lane.map_or(0, |lane| lane.asked)
        };
        points.filter(|point| point.at >= asked(point)).count() as u64
    }

    /// How often was asked of each label.
    pub fn occasions(&self) -> impl Iterator<Item = Occasions> + '_ {
        self.lanes.iter().filter_map(|lane| {
            let (_, bound) = *lane.bounds.last()?;
            Some(Occasions { label: lane.label, asked: lane.asked, bound })
        })
    }

    /// All answers that are not 0.
    pub fn answers(&self) -> Vec<(Point, Choice)> {
        self.lanes.iter().flat_map(Lane::answers).collect()
    }

    #[inline]
    fn lane(&mut self, label: &'static str) -> &mut Lane {
        let known = self.seen.iter().find(|(seen, _)| std::ptr::eq(*seen, label));
        let at = match known {
            Some((_, at)) => *at,
            None => self.meet(label),
        };
        &mut self.lanes[at]
    }

    #[cold]
    fn meet(&mut self, label: &'static str) -> usize {
        let known = self.lanes.iter().position(|lane| lane.label == label);
        let at = known.unwrap_or_else(|| {
            assert!(is_label(label), "the label {label:?} is not one word");
            let (values, large, bounds) = (Vec::new(), Vec::new(), Vec::new());
            self.lanes.push(Lane { label, asked: 0, values, large, bounds });
            self.lanes.len() - 1
        });
        self.seen.push((label, at));
        at
    }
}

impl Lane {
    fn answers(&self) -> impl Iterator<Item = (Point, Choice)> {
        let mut large = self.large.iter();
        let mut bounds = self.bounds.iter().peekable();
        let mut bound = 0;
        (0_u32..).zip(&self.values).filter_map(move |(at, value)| {
            while let Some((_, next)) = bounds.next_if(|(from, _)| *from <= at) {
                bound = *next;
            }
            let value = match *value {
                LARGE => *large.next().expect("each has a place"),
                value => u64::from(value),
            };
            let point = Point { label: self.label.into(), at };
            (value > 0).then_some((point, Choice { bound, value }))
        })
    }
}

const FEW: &str = "a run has fewer than 2^32 choices of a label";
