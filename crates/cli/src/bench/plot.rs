//! Charts as SVG: lines over a logarithmic axis, or groups of bars; values on a logarithmic axis.
//!
//! What benches measure spans decades, and a ratio is the same distance everywhere on a
//! logarithmic axis, so there is no other. A page is a grid of charts, readable without scripts
//! and in print; dashed lines and pale bars are what the others are
//! compared with.

use std::fmt::Write;

use crate::bench::human;
use crate::bench::report::Unit;

/// One chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What the horizontal axis means.
    pub x_label: String,
    /// What the vertical axis means.
    pub y_label: String,
    /// The unit of the values.
    pub unit: Unit,
    /// Lines or bars.
    pub style: Style,
    /// What series that recede are called: "floor".
    pub reference: String,
    /// The horizontal axis: a position for every mark, and its text.
    pub ticks: Vec<(f64, String)>,
    /// The data.
    pub series: Vec<Series>,
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Joined by lines; positions are numbers above zero on a logarithmic axis.
    Lines,
    /// A group of bars for every tick.
    Bars,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Which of the page's colours; after six they repeat.
    pub colour: usize,
    /// Whether others are compared with it, so that it recedes.
    pub is_reference: bool,
    /// Position and value. Values that are not above zero are left out.
    pub points: Vec<(f64, f64)>,
}

/// Colours that people with any kind of colour vision tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// A chart's size, and the room for its text, in pixels.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;

/// The width of a letter, roughly.
const LETTER: f64 = 7.0;

/// Charts beside each other.
const COLUMNS: usize = 2;

/// Room for the page's title and what is below it.
const HEAD: f64 = 60.0;

const STYLE: &str = "<style>
text { font-family: 'DejaVu Sans', Verdana, sans-serif; font-size: 12px; fill: #222 }
.title { font-size: 14px; font-weight: bold } .page { font-size: 18px; font-weight: bold }
.grid { stroke: #ddd } .minor { stroke: #f0f0f0 } .axis { stroke: #444; fill: none }
.line { fill: none; stroke-width: 2 } .pale { stroke-dasharray: 5 4; opacity: 0.7 }
.bar.pale { opacity: 0.35 } .end { text-anchor: end } .middle { text-anchor: middle }
</style>
";

/// All charts on one page.
#[must_use]
pub fn page(title: &str, subtitle: &str, charts: &[Chart]) -> String {
    let rows = charts.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEAD + HEIGHT * rows.max(1) as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n{STYLE}<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n{}{}",
        text("page", 20.0, 30.0, title),
        text("", 20.0, 50.0, subtitle.trim_end())
    );
    for (index, chart) in charts.iter().enumerate() {
        let x = WIDTH * (index % COLUMNS) as f64;
        let y = HEAD + HEIGHT * (index / COLUMNS) as f64;
        let _ = write!(svg, "<g transform=\"translate({x} {y})\">\n{}</g>\n", chart.draw());
    }
    if charts.is_empty() {
        svg.push_str(&text("", 20.0, HEAD + 20.0, "nothing was measured"));
    }
    svg + "</svg>\n"
}

/// The vertical axis: a range of values, in decades.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// The range around `values`, a little wider than they are.
    fn around(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10() - 0.1;
        let high = values.fold(0.0, f64::max).log10() + 0.1;
        if low < high { Self { low, high } } else { Self { low: 0.0, high: 1.0 } }
    }

    /// Where `value` is on an axis from 0 to 1.
    fn position(&self, value: f64) -> f64 {
        (value.log10() - self.low) / (self.high - self.low)
    }

    /// Values worth a line; those with `true` are worth a label too.
    fn marks(&self) -> Vec<(f64, bool)> {
        let decades = self.high - self.low;
        let exponents = self.low.floor() as i32..=self.high.ceil() as i32;
        exponents
            .flat_map(|exponent| (1..10).map(move |digit| (digit, exponent)))
            .map(|(digit, exponent)| {
                let labelled = match digit {
                    1 => decades < 8.0 || exponent % 2 == 0,
                    2 | 5 => decades < 2.5,
                    3 => decades < 1.0,
                    _ => false,
                };
                (f64::from(digit) * 10_f64.powi(exponent), labelled)
            })
            .filter(|(value, _)| (0.0..=1.0).contains(&self.position(*value)))
            .collect()
    }
}

impl Chart {
    fn draw(&self) -> String {
        let values = self.series.iter().flat_map(|series| &series.points).map(|(_, value)| *value);
        let scale = Scale::around(values.filter(|value| *value > 0.0));
        let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        let mut svg = text("title", LEFT, 22.0, &self.title);
        svg += &self.legend();
        svg += &self.vertical_axis(&scale);
        svg += &self.horizontal_axis();
        svg += &text("middle", middle, HEIGHT - 12.0, &self.x_label);
        svg += &match self.style {
            Style::Lines => self.series.iter().map(|series| self.line(series, &scale)).collect(),
            Style::Bars => self.bars(&scale),
        };
        svg
    }

    /// The names beside their colours, and once what they are compared with.
    fn legend(&self) -> String {
        let reference = self.series.iter().find(|series| series.is_reference);
        let reference = reference.map(|series| (series.class(), "#666", self.reference.as_str()));
        let own = self.series.iter().filter(|series| !series.is_reference);
        let own = own.map(|series| (series.class(), series.colour(), series.name.as_str()));
        let mut x = LEFT;
        let mut svg = String::new();
        for (class, colour, name) in own.chain(reference) {
            let _ = match self.style {
                Style::Lines => {
                    writeln!(
                        svg,
                        "<path class=\"line{class}\" stroke=\"{colour}\" d=\"M{x} 42h22\"/>"
                    )
                }
                Style::Bars => writeln!(
                    svg,
                    "<rect class=\"bar{class}\" fill=\"{colour}\" x=\"{}\" y=\"36\" \
                     width=\"12\" height=\"12\"/>",
                    x + 6.0
                ),
            };
            svg += &text("", x + 27.0, 46.0, name);
            x += 44.0 + LETTER * name.chars().count() as f64;
        }
        svg
    }

    fn vertical_axis(&self, scale: &Scale) -> String {
        let mut svg = String::new();
        for (value, labelled) in scale.marks() {
            let y = vertical(scale.position(value));
            let class = if labelled { "grid" } else { "minor" };
            let _ =
                writeln!(svg, "<path class=\"{class}\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT);
            if labelled {
                svg += &text("end", LEFT - 6.0, y + 4.0, &human::value(value, self.unit));
            }
        }
        let middle = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
        let _ = writeln!(
            svg,
            "<text class=\"middle\" transform=\"translate(16 {middle}) rotate(-90)\">{}</text>",
            escape(&self.y_label)
        );
        svg
    }

    fn horizontal_axis(&self) -> String {
        let bottom = HEIGHT - BOTTOM;
        let mut svg =
            format!("<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{}\"/>\n", WIDTH - RIGHT);
        for (position, label) in &self.ticks {
            let x = self.horizontal(*position);
            if self.style == Style::Lines {
                let _ = writeln!(svg, "<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/>");
            }
            svg += &text("middle", x, bottom + 20.0, label);
        }
        svg
    }

    /// Where `position` is, in pixels from the left.
    fn horizontal(&self, position: f64) -> f64 {
        let room = WIDTH - LEFT - RIGHT;
        let share = match self.style {
            Style::Bars => (position + 0.5) / self.ticks.len().max(1) as f64,
            Style::Lines => {
                let ticks = self.ticks.iter().map(|(tick, _)| *tick);
                Scale::around(ticks).position(position)
            }
        };
        LEFT + room * share
    }

    fn line(&self, series: &Series, scale: &Scale) -> String {
        let points: Vec<(f64, f64)> = series
            .points
            .iter()
            .filter(|(_, value)| *value > 0.0)
            .map(|(x, value)| (self.horizontal(*x), vertical(scale.position(*value))))
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (colour, class) = (series.colour(), series.class());
        let mut svg = format!(
            "<polyline class=\"line{class}\" stroke=\"{colour}\" points=\"{}\"/>\n",
            path.join(" ")
        );
        for (x, y) in points.iter().filter(|_| !series.is_reference) {
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        svg
    }

    fn bars(&self, scale: &Scale) -> String {
        let group = (WIDTH - LEFT - RIGHT) / self.ticks.len().max(1) as f64 * 0.8;
        let width = group / self.series.len().max(1) as f64;
        let mut svg = String::new();
        for (index, series) in self.series.iter().enumerate() {
            let offset = width * index as f64 - group / 2.0;
            for (position, value) in series.points.iter().filter(|(_, value)| *value > 0.0) {
                let x = self.horizontal(*position) + offset;
                let y = vertical(scale.position(*value));
                let _ = writeln!(
                    svg,
                    "<rect class=\"bar{}\" fill=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" \
                     height=\"{:.1}\"><title>{}: {}</title></rect>",
                    series.class(),
                    series.colour(),
                    (width - 2.0).max(1.0),
                    HEIGHT - BOTTOM - y,
                    escape(&series.name),
                    human::value(*value, self.unit)
                );
            }
        }
        svg
    }
}

impl Series {
    fn colour(&self) -> &'static str {
        COLOURS[self.colour % COLOURS.len()]
    }

    fn class(&self) -> &'static str {
        if self.is_reference { " pale" } else { "" }
    }
}

/// Pixels from the top for a position from 0 (bottom) to 1 (top).
fn vertical(position: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * position
}

fn text(class: &str, x: f64, y: f64, content: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", escape(content))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(style: Style, points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "a < b & c".to_owned(),
            x_label: "size".to_owned(),
            y_label: "rate".to_owned(),
            unit: Unit::MegabytesPerSecond,
            style,
            reference: "floor".to_owned(),
            ticks: vec![(8.0, "8 B".to_owned()), (64.0, "64 B".to_owned())],
            series: vec![Series { name: "tcp".to_owned(), colour: 0, is_reference: false, points }],
        }
    }

    #[test]
    fn equal_ratios_are_equal_distances() {
        let scale = Scale::around([1.0, 1e6].into_iter());
        let step = |from: f64, to: f64| scale.position(to) - scale.position(from);
        assert!((step(10.0, 20.0) - step(5000.0, 10_000.0)).abs() < 1e-12);
        assert!(scale.position(1.0) > 0.0 && scale.position(1e6) < 1.0);
    }

    #[test]
    fn an_axis_has_labels_whatever_its_range() {
        for (low, high) in [(1.0, 1.1), (3.0, 9.0), (1.0, 1000.0), (1e-3, 1e9)] {
            let labels =
                Scale::around([low, high].into_iter()).marks().iter().filter(|m| m.1).count();
            assert!((1..=14).contains(&labels), "{labels} labels from {low} to {high}");
        }
    }

    #[test]
    fn text_is_escaped_and_every_point_is_drawn() {
        let svg = page("t", "", &[chart(Style::Lines, vec![(8.0, 1.0), (64.0, 10.0)])]);
        assert!(svg.contains("a &lt; b &amp; c"));
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn a_blank_or_zero_value_leaves_a_gap() {
        let svg = page("t", "", &[chart(Style::Bars, vec![(0.0, 0.0), (1.0, 5.0)])]);
        assert_eq!(svg.matches("<title>").count(), 1);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn an_empty_page_says_so() {
        assert!(page("t", "", &[]).contains("nothing was measured"));
        assert!(!page("t", "", &[chart(Style::Lines, vec![])]).contains("NaN"));
    }
}
