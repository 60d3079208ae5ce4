//! The diagram as a picture: one SVG file that needs nothing else, has no script, and takes the
//! colours of whoever looks at it, light or dark.

use std::fmt::{self, Write};

use super::layout::{cut, wrapped};
use super::{Explanation, Mark, Row};
use crate::number::milliseconds;
use crate::story::Harm;

/// Pixels: between lanes, of the column of times, of one line of text, and around everything.
const LANE: usize = 120;
const TIME: usize = 110;
const LINE: usize = 18;
const MARGIN: usize = 24;
/// Between two rows, beside their lines.
const GAP: usize = 8;
/// Characters of what is written beside a row, of the lines above, and of a lane's name.
const TEXT: usize = 62;
const HEAD: usize = 100;
const NAME: usize = 15;
/// Pixels of a character of the 13 px monospaced font, rounded up: fonts differ.
const CHARACTER: usize = 8;

const STYLE: &str = "\
svg{--paper:#fff;--ink:#1b1f24;--faint:#6a737d;--lane:#c4cad1;--band:#f4f6f8;--arrow:#0a58ca;\
--bad:#c1121f;--good:#1a7f37;color-scheme:light dark}
@media(prefers-color-scheme:dark){svg{--paper:#15181c;--ink:#e6e8eb;--faint:#98a1ab;--lane:#474f58;\
--band:#1d2126;--arrow:#79b0ff;--bad:#ff7b80;--good:#5fd07a}}
.paper{fill:#fff;fill:var(--paper)}.band{fill:#f4f6f8;fill:var(--band)}
text{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1b1f24;fill:var(--ink);\
white-space:pre}
.title{font-size:16px;font-weight:bold}.name{font-weight:bold}.middle{text-anchor:middle}
.end{text-anchor:end}.faint{fill:#6a737d;fill:var(--faint)}.fails{font-weight:bold}
.bad,.fails{fill:#c1121f;fill:var(--bad)}
.lane{stroke:#c4cad1;stroke:var(--lane);stroke-width:2}.down{stroke-dasharray:2 5}
.arrow{stroke:#0a58ca;stroke:var(--arrow);stroke-width:1.6;fill:none}
.dot,.head{fill:#0a58ca;fill:var(--arrow)}
.ring{fill:#fff;fill:var(--paper);stroke:#1a7f37;stroke:var(--good);stroke-width:2.4}
.lost{stroke:#c1121f;stroke:var(--bad);stroke-width:1.6;stroke-dasharray:5 3;fill:none}
.cross{stroke:#c1121f;stroke:var(--bad);stroke-width:2.4;fill:none}";

/// What a mark means, at the foot.
const LEGEND: [(&str, &str); 5] = [
    ("dot", "a step of an agent"),
    ("arrow", "a message, from when it was sent to when it was handled"),
    ("lost", "a message that did not come"),
    ("ring", "something is mended"),
    ("cross", "a fault; below a crash the lane is dotted until the agent starts again"),
];

impl Explanation {
    /// The diagram as an SVG file.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut out = String::new();
        Picture::of(self).draw(&mut out).expect("a string takes all that is written to it");
        out
    }
}

/// Where everything is.
struct Picture<'a> {
    of: &'a Explanation,
    head: Vec<String>,
    /// Of each row, the lines of its text and where the first one stands.
    rows: Vec<(&'a Row, Vec<String>, usize)>,
    top: usize,
    bottom: usize,
    width: usize,
}

impl<'a> Picture<'a> {
    fn of(of: &'a Explanation) -> Self {
        let head: Vec<String> = of.text.lines().map(|line| cut(line, HEAD)).collect();
        let names = MARGIN + 2 * LINE + head.len() * LINE + 2 * LINE;
        let top = names + LINE + GAP;
        let mut y = top + LINE;
        let mut rows = Vec::new();
        for row in &of.rows {
            let lines = wrapped(&row.text, TEXT);
            let height = lines.len() * LINE + GAP;
            rows.push((row, lines, y));
            y += height;
        }
        let longest = head.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let width = (TIME + of.lanes.len() * LANE + TEXT * CHARACTER)
            .max(longest * CHARACTER)
            .max(LEGEND[4].1.len() * CHARACTER);
        Self { of, head, rows, top, bottom: y, width: width + 2 * MARGIN }
    }

    fn lane(lane: usize) -> usize {
        MARGIN + TIME + LANE * lane + LANE / 2
    }

    fn text_at(&self) -> usize {
        MARGIN + TIME + LANE * self.of.lanes.len() + 8
    }

    fn draw(&self, out: &mut String) -> fmt::Result {
        let (width, height) = (self.width, self.bottom + 8 * LINE + MARGIN);
        let title = escaped(&format!("{} does not hold", self.of.what));
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title\">"
        )?;
        writeln!(out, "<title id=\"title\">{title}</title>\n<style>\n{STYLE}\n</style>")?;
        writeln!(out, "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>")?;
        self.heads(&title, out)?;
        self.lanes(out)?;
        for index in 0..self.rows.len() {
            self.row(index, out)?;
        }
        self.end(out)?;
        writeln!(out, "</svg>")
    }

    fn heads(&self, title: &str, out: &mut String) -> fmt::Result {
        let mut y = MARGIN + LINE;
        text(out, "title", MARGIN, y, title)?;
        for line in &self.head {
            y += LINE;
            text(out, "bad", MARGIN, y, &escaped(line))?;
        }
        y += LINE;
        let seed = format!("seed {}, at {} ms", self.of.seed, milliseconds(self.of.at));
        text(out, "faint", MARGIN, y, &seed)?;
        for (index, lane) in self.of.lanes.iter().enumerate() {
            let (x, name) = (Self::lane(index), escaped(&cut(&lane.name, NAME)));
            text(out, "name middle", x, self.top - LINE - GAP, &name)?;
            text(out, "faint middle", x, self.top - GAP, &escaped(&cut(&lane.place(), NAME)))?;
        }
        text(out, "faint end", MARGIN + TIME - 16, self.top - GAP, "ms")
    }

    /// Each lane from top to bottom, in pieces: between a crash and a start it is dotted.
    fn lanes(&self, out: &mut String) -> fmt::Result {
        for lane in 0..self.of.lanes.len() {
            let (x, mut from, mut is_down) = (Self::lane(lane), self.top, false);
            let mut piece = |from: usize, to: usize, is_down: bool| {
                let class = if is_down { "lane down" } else { "lane" };
                writeln!(out, "<path class=\"{class}\" d=\"M{x} {from}V{to}\"/>")
            };
            for (row, _, y) in &self.rows {
                let turns = match &row.mark {
                    Mark::Fault { lanes, harm: Harm::Crash } => !is_down && lanes.contains(&lane),
                    Mark::Step(at) => is_down && *at == lane,
                    _ => false,
                };
                if turns {
                    piece(from, *y, is_down)?;
                    (from, is_down) = (*y, !is_down);
                }
            }
            piece(from, self.bottom + LINE, is_down)?;
        }
        Ok(())
    }

    fn row(&self, index: usize, out: &mut String) -> fmt::Result {
        let (row, lines, y) = &self.rows[index];
        let (row, y) = (*row, *y);
        if index % 2 == 1 {
            let (x, height) = (self.text_at() - 4, lines.len() * LINE + GAP);
            let width = self.width - x - MARGIN / 2;
            let top = y - LINE + 2;
            writeln!(
                out,
                "<rect class=\"band\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>"
            )?;
        }
        text(out, "faint end", MARGIN + TIME - 16, y, &milliseconds(row.at))?;
        let class = match row.mark {
            Mark::Lost { .. } | Mark::Fault { harm: Harm::Crash | Harm::Fault, .. } => "bad",
            _ => "",
        };
        for (line, words) in lines.iter().enumerate() {
            text(out, class, self.text_at(), y + line * LINE, &escaped(words))?;
        }
        self.mark(&row.mark, y - 5, out)
    }

    fn mark(&self, mark: &Mark, y: usize, out: &mut String) -> fmt::Result {
        match mark {
            Mark::Step(lane) => dot(out, Self::lane(*lane), y),
            Mark::Arrow { from, to, .. } if from == to => dot(out, Self::lane(*to), y),
            Mark::Arrow { from, to, sent } => {
                let from_y = sent.map_or(y, |row| self.rows[row].2 - 5);
                arrow(out, (Self::lane(*from), from_y), (Self::lane(*to), y))
            }
            Mark::Lost { from, to } => {
                let from = Self::lane(*from);
                to.iter().try_for_each(|to| {
                    let to = Self::lane(*to);
                    let end = if from < to { to - 16 } else { to + 16 };
                    writeln!(out, "<path class=\"lost\" d=\"M{from} {y}H{end}\"/>")?;
                    cross(out, end, y)
                })
            }
            Mark::Fault { lanes, harm: Harm::Mended } => {
                lanes.iter().try_for_each(|lane| ring(out, Self::lane(*lane), y))
            }
            Mark::Fault { lanes, .. } => {
                lanes.iter().try_for_each(|lane| cross(out, Self::lane(*lane), y))
            }
        }
    }

    fn end(&self, out: &mut String) -> fmt::Result {
        let (right, y) = (self.text_at(), self.bottom + 4);
        text(out, "faint end", MARGIN + TIME - 16, y, &milliseconds(self.of.at))?;
        text(out, "fails", right, y, &escaped(&cut(&format!("FAILS: {}", self.of.what), TEXT)))?;
        let mut y = self.bottom + 2 * LINE + GAP;
        text(out, "faint", MARGIN, y, &self.of.leaves_out().unwrap_or_default())?;
        for (class, meaning) in LEGEND {
            y += LINE;
            let (x, middle) = (MARGIN + 4, y - 5);
            match class {
                "dot" => dot(out, x + 14, middle)?,
                "ring" => ring(out, x + 14, middle)?,
                "cross" => cross(out, x + 14, middle)?,
                "arrow" => arrow(out, (x, middle), (x + 28, middle))?,
                _ => writeln!(out, "<path class=\"{class}\" d=\"M{x} {middle}h28\"/>")?,
            }
            text(out, "faint", MARGIN + 48, y, meaning)?;
        }
        Ok(())
    }
}

fn text(out: &mut String, class: &str, x: usize, y: usize, words: &str) -> fmt::Result {
    if words.is_empty() {
        return Ok(());
    }
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    writeln!(out, "<text{class} x=\"{x}\" y=\"{y}\">{words}</text>")
}

fn dot(out: &mut String, x: usize, y: usize) -> fmt::Result {
    writeln!(out, "<circle class=\"dot\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>")
}

fn ring(out: &mut String, x: usize, y: usize) -> fmt::Result {
    writeln!(out, "<circle class=\"ring\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>")
}

fn cross(out: &mut String, x: usize, y: usize) -> fmt::Result {
    writeln!(out, "<path class=\"cross\" d=\"M{} {}l10 10m0 -10l-10 10\"/>", x - 5, y - 5)
}

/// A line with a head, whose tip is at its end.
fn arrow(out: &mut String, from: (usize, usize), to: (usize, usize)) -> fmt::Result {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(out, "<path class=\"arrow\" d=\"M{x1} {y1}L{x2} {y2}\"/>")?;
    let (dx, dy) = (x2 as f64 - x1 as f64, y2 as f64 - y1 as f64);
    let length = (dx * dx + dy * dy).sqrt().max(1.0);
    let (ux, uy) = (dx / length * 9.0, dy / length * 9.0);
    let (x, y) = (x2 as f64, y2 as f64);
    let point = |side: f64| (x - ux - side * uy / 2.0, y - uy + side * ux / 2.0);
    let ((ax, ay), (bx, by)) = (point(1.0), point(-1.0));
    writeln!(out, "<path class=\"head\" d=\"M{x2} {y2}L{ax:.1} {ay:.1}L{bx:.1} {by:.1}Z\"/>")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no way to write these.
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}
