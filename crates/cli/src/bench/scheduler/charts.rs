//! The scheduler bench's figures as charts.

use crate::bench::human;
use crate::bench::plot::{Chart, Series, Style};
use crate::bench::report::{Entry, Figure, Unit};

/// What has a chart: a scenario, the unit of its figures, a title, what the horizontal and the vertical
/// axis are, and what stands beside it.
const CHARTS: [(&str, Unit, [&str; 4]); 11] = [
    ("spawn", PER_SECOND, ["/bin/true, two at a time", "by", "tasks per second", BARE]),
    ("output", PER_SECOND, ["10 KB of output each, two at a time", "by", "tasks per second", BARE]),
    ("sleep", PER_SECOND, ["10 ms each, two at a time", "by", "tasks per second", BARE]),
    ("run", MICROS, ["one command from its start to its end", "command", "time", "a bare `true`"]),
    ("submit", MICROS, ["until a job is taken", "tasks", "time", ""]),
    ("no-exec", MICROS, ["a task that nobody executes", "slots, tasks", "time", ""]),
    ("graphs", MICROS, ["a task that waits for others", "shape, jobs, tasks", "time", "the floor"]),
    ("million", SECONDS, ["a million tasks that nobody executes", "", "time", "a single task"]),
    ("million", Unit::Bytes, ["memory of the controller for each of them", "", "memory", ""]),
    ("follow", PER_SECOND, ["/bin/true, followed", "of, followers", "tasks per second", "nobody"]),
    (
        "restart",
        SECONDS,
        ["until a killed node serves again", "ended tasks", "time", "a single task"],
    ),
];

const PER_SECOND: Unit = Unit::PerSecond;
const MICROS: Unit = Unit::Microseconds;
const SECONDS: Unit = Unit::Seconds;

/// What the races stand beside.
const BARE: &str = "a bare loop";

/// The charts of what was measured; what was not has none.
#[must_use]
pub fn of(entries: &[Entry]) -> Vec<Chart> {
    let charts = CHARTS.iter().filter_map(|&(scenario, unit, words)| {
        let is_of = |figure: &&Figure| figure.scenario == scenario && figure.unit == unit;
        let figures: Vec<&Figure> = entries.iter().filter_map(figure_of).filter(is_of).collect();
        (!figures.is_empty()).then(|| chart(unit, &figures, words))
    });
    charts.collect()
}

fn figure_of(entry: &Entry) -> Option<&Figure> {
    match entry {
        Entry::Figure(figure) => Some(figure),
        Entry::Gap(_) => None,
    }
}

/// A bar for each, and a pale one for its floor.
fn chart(unit: Unit, figures: &[&Figure], words: [&str; 4]) -> Chart {
    let [title, x_label, y_label, reference] = words;
    let label = |figure: &Figure| {
        let values: Vec<String> = figure.params.iter().map(|(_, v)| human::param(v)).collect();
        // Of equal parameters, what was measured tells bars apart.
        let is_only = figures.iter().all(|it| it.metric == figure.metric);
        if is_only { values.join(", ") } else { figure.metric.to_owned() }
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
