//! The scheduler bench's figures as charts.

use crate::bench::human;
use crate::bench::plot::{Chart, Series, Style};
use crate::bench::report::{Entry, Figure, Unit};

/// What has a chart: a scenario, its title, what the horizontal and the vertical axis are, and what
/// stands beside it.
const CHARTS: [[&str; 5]; 7] = [
    ["spawn", "/bin/true, two at a time", "by", "tasks per second", "a bare loop"],
    ["output", "10 KB of output each, two at a time", "by", "tasks per second", "a bare loop"],
    ["sleep", "10 ms each, two at a time", "by", "tasks per second", "a bare loop"],
    ["run", "one command from its start to its end", "command", "time", "a bare `true`"],
    ["submit", "until a job is taken", "tasks", "time", ""],
    ["no-exec", "a task that nobody executes", "slots, tasks", "time", ""],
    ["restart", "until a killed node serves again", "ended tasks", "time", "a single task"],
];

/// The charts of what was measured; what was not has none.
#[must_use]
pub fn of(entries: &[Entry]) -> Vec<Chart> {
    let charts = CHARTS.iter().filter_map(|words| {
        let figures: Vec<&Figure> = entries.iter().filter_map(|e| figure_of(e, words[0])).collect();
        Some(chart(figures.first()?.unit, &figures, *words))
    });
    charts.collect()
}

fn figure_of<'a>(entry: &'a Entry, scenario: &str) -> Option<&'a Figure> {
    match entry {
        Entry::Figure(figure) if figure.scenario == scenario => Some(figure),
        _ => None,
    }
}

/// A bar for each, and a pale one for its floor.
fn chart(unit: Unit, figures: &[&Figure], words: [&str; 5]) -> Chart {
    let [_, title, x_label, y_label, reference] = words;
    let label = |figure: &Figure| {
        let values: Vec<String> = figure.params.iter().map(|(_, v)| human::param(v)).collect();
        values.join(", ")
    };
    let bars = |value: fn(&Figure) -> Option<f64>| -> Vec<(f64, f64)> {
        let value = |(at, figure): (usize, &&Figure)| Some((at as f64, value(figure)?));
        figures.iter().enumerate().filter_map(value).collect()
    };
    let series = [(false, bars(|figure| figure.value)), (true, bars(|figure| figure.floor))];
    Chart {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        unit,
        style: Style::Bars,
        ticks: figures.iter().enumerate().map(|(at, f)| (at as f64, label(f))).collect(),
        reference: reference.to_owned(),
        series: series
            .into_iter()
            .filter(|(_, points)| !points.is_empty())
            .map(|(is_reference, points)| Series {
                name: "measured".to_owned(),
                colour: 0,
                is_reference,
                points,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::{Params, Part};

    #[test]
    fn everyone_is_drawn_beside_the_bare_loop() {
        let part = Part { bench: "scheduler", scenario: "spawn" };
        let params = Params::new().with("by", "dx".into());
        let figure = part.figure(params, ("tasks", Unit::PerSecond), Some(2e3));
        let charts = of(&[Entry::Figure(figure.with_floor(Some(3e3)))]);
        assert_eq!(charts.len(), 1);
        assert_eq!(charts[0].ticks, [(0.0, "dx".to_owned())]);
        assert_eq!(charts[0].series[1].points, [(0.0, 3e3)]);
    }
}
