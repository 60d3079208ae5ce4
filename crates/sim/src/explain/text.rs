//! The diagram as text: a column of times, a lane for each agent, what happened on the right.

use std::fmt::{self, Write};

use super::layout::{cut, wrapped};
use super::{Explanation, Mark, Row};
use crate::number::milliseconds;
use crate::story::Harm;

/// Characters of a line, as long as there are no more than five lanes.
const WIDTH: usize = 100;
/// Characters of the column of times, with its margin.
const TIME: usize = 13;
/// Characters that all lanes share, and the least and the most that each has.
const LANES: usize = 50;
const LANE: std::ops::RangeInclusive<usize> = 8..=16;

/// The same diagram in ASCII alone.
#[derive(Clone, Copy, Debug)]
pub struct Ascii<'a>(&'a Explanation);

impl Explanation {
    /// To be written in ASCII alone, for terminals and logs that know no more.
    #[must_use]
    pub fn ascii(&self) -> Ascii<'_> {
        Ascii(self)
    }
}

impl fmt::Display for Ascii<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |char| match char {
            '│' => '|',
            '┊' => ':',
            '─' => '-',
            '┼' => '+',
            '▶' => '>',
            '◀' => '<',
            '○' => 'o',
            '●' => '*',
            '╳' => 'X',
            '▲' => '!',
            '△' => '^',
            '…' => '~',
            char if char.is_ascii() => char,
            _ => '?',
        };
        f.write_str(&self.0.to_string().chars().map(plain).collect::<String>())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, text, seed, at, .. } = self;
        writeln!(f, "`{what}` does not hold (seed {seed}, {} ms)", milliseconds(*at))?;
        for line in text.lines() {
            writeln!(f, "  {line}")?;
        }
        writeln!(f)?;
        let mut canvas = Canvas::of(self);
        let name = |lane: usize| self.lanes[lane].name.clone();
        let place = |lane: usize| self.lanes[lane].place();
        canvas.heads("ms", name, f)?;
        canvas.heads("", place, f)?;
        for row in &self.rows {
            canvas.row(row, f)?;
        }
        canvas.line(&milliseconds(*at), &[], &format!("FAILS: {what}"), f)?;
        match self.leaves_out() {
            Some(rest) => writeln!(f, "\n{rest}"),
            None => Ok(()),
        }
    }
}

/// The lanes as they are drawn.
struct Canvas {
    lane: usize,
    is_down: Vec<bool>,
}

impl Canvas {
    fn of(explanation: &Explanation) -> Self {
        let lanes = explanation.lanes.len();
        let lane = (LANES / lanes.max(1)).clamp(*LANE.start(), *LANE.end());
        Self { lane, is_down: vec![false; lanes] }
    }

    fn centre(&self, lane: usize) -> usize {
        lane * self.lane + self.lane / 2
    }

    fn heads(
        &self,
        time: &str,
        head: impl Fn(usize) -> String,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let mut line = format!("{time:>width$}  ", width = TIME - 2);
        for lane in 0..self.is_down.len() {
            let head = cut(&head(lane), self.lane - 1);
            let _ = write!(line, "{head:^width$}", width = self.lane);
        }
        writeln!(f, "{}", line.trim_end())
    }

    fn row(&mut self, row: &Row, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks = match &row.mark {
            Mark::Step(lane) => {
                self.is_down[*lane] = false;
                vec![(self.centre(*lane), '●')]
            }
            Mark::Arrow { from, to, .. } if from == to => vec![(self.centre(*to), '●')],
            Mark::Arrow { from, to, .. } => self.arrow(*from, *to, false),
            Mark::Lost { from, to } => {
                let mut marks: Vec<_> = to.iter().flat_map(|to| self.lost(*from, *to)).collect();
                // No line hides where another one ends.
                marks.sort_by_key(|(_, mark)| *mark == '╳');
                marks
            }
            Mark::Fault { lanes, harm } => {
                let mark = match harm {
                    Harm::Crash => '╳',
                    Harm::Fault => '▲',
                    Harm::Mended => '△',
                };
                for lane in lanes {
                    self.is_down[*lane] |= *harm == Harm::Crash;
                }
                lanes.iter().map(|lane| (self.centre(*lane), mark)).collect()
            }
        };
        self.line(&milliseconds(row.at), &marks, &row.text, f)
    }

    fn lost(&self, from: usize, to: usize) -> Vec<(usize, char)> {
        if from == to { vec![(self.centre(to), '╳')] } else { self.arrow(from, to, true) }
    }

    fn arrow(&self, from: usize, to: usize, is_lost: bool) -> Vec<(usize, char)> {
        let (start, end) = (self.centre(from), self.centre(to));
        let is_right = start < end;
        let between = if is_right { start + 1..end } else { end + 1..start };
        let is_lane = |at: usize| at % self.lane == self.lane / 2;
        let mut marks: Vec<(usize, char)> =
            between.map(|at| (at, if is_lane(at) { '┼' } else { '─' })).collect();
        marks.push((start, '○'));
        let before_end = if is_right { end - 1 } else { end + 1 };
        marks.push(match (is_lost, is_right) {
            (true, _) => (before_end, '╳'),
            (false, true) => (end, '▶'),
            (false, false) => (end, '◀'),
        });
        marks
    }

    /// One line, and as many more as its text needs.
    fn line(
        &self,
        time: &str,
        marks: &[(usize, char)],
        text: &str,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let lanes = self.is_down.len() * self.lane;
        let mut time = time;
        let mut marks = marks;
        for text in wrapped(text, WIDTH.saturating_sub(TIME + lanes + 1).max(LANE_TEXT)) {
            let mut chars = vec![' '; lanes];
            for (lane, is_down) in self.is_down.iter().enumerate() {
                chars[self.centre(lane)] = if *is_down { '┊' } else { '│' };
            }
            for (at, mark) in marks {
                chars[*at] = *mark;
            }
            let chars: String = chars.into_iter().collect();
            let line = format!("{time:>width$}  {chars} {text}", width = TIME - 2);
            writeln!(f, "{}", line.trim_end())?;
            (time, marks) = ("", &[]);
        }
        Ok(())
    }
}

/// Characters that a text has at least, however many lanes there are.
const LANE_TEXT: usize = 34;
