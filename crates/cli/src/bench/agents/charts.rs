//! The agents bench's figures as charts.

use crate::bench::human;
use crate::bench::plot::{Chart, Series, Style};
use crate::bench::report::{Entry, Figure, Unit};

/// What has a chart: a scenario's metric, its title, and what the axes mean.
const CHARTS: [(&str, &str, &str, &str, &str); 4] = [
    ("tell", "messages", "tell, 64 B", "threads", "messages per second"),
    ("ask", "round trip", "ask, 64 B there and back", "threads", "round trip"),
    ("token", "hops", "token around a ring", "agents", "hops per second"),
    ("offload", "jobs", "offload of 50 us jobs", "workers", "jobs per second"),
];

/// The charts of what was measured; what was not has none.
#[must_use]
pub fn of(entries: &[Entry]) -> Vec<Chart> {
    let figures = || {
        entries.iter().filter_map(|entry| match entry {
            Entry::Figure(figure) => Some(figure),
            Entry::Gap(_) => None,
        })
    };
    let charts = CHARTS.iter().filter_map(|(scenario, metric, title, x_label, y_label)| {
        let is_of = |figure: &&Figure| figure.scenario == *scenario && figure.metric == *metric;
        let figures: Vec<&Figure> = figures().filter(is_of).collect();
        let unit = figures.first()?.unit;
        Some(chart(&figures, unit, [title, x_label, y_label]))
    });
    charts.collect()
}

/// A bar for each set of parameters, and a pale one for its floor.
fn chart(figures: &[&Figure], unit: Unit, [title, x_label, y_label]: [&str; 3]) -> Chart {
    let label = |figure: &Figure| {
        let values: Vec<String> = figure.params.iter().map(|(_, v)| human::param(v)).collect();
        values.join(", ")
    };
    let bars = |value: fn(&Figure) -> Option<f64>| -> Vec<(f64, f64)> {
        let value = |(at, figure): (usize, &&Figure)| Some((at as f64, value(figure)?));
        figures.iter().enumerate().filter_map(value).collect()
    };
    let series = [("dx", false, bars(|f| f.value)), ("dx", true, bars(|f| f.floor))];
    Chart {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        unit,
        style: Style::Bars,
        ticks: figures.iter().enumerate().map(|(at, f)| (at as f64, label(f))).collect(),
        reference: "floor".to_owned(),
        series: series
            .into_iter()
            .filter(|(_, _, points)| !points.is_empty())
            .map(|(name, is_reference, points)| Series {
                name: name.to_owned(),
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
    fn a_scenario_that_was_measured_has_a_chart_with_its_floor() {
        let part = Part { bench: "agents", scenario: "tell" };
        let figures = ["one", "two"].map(|threads| {
            let params = Params::new().with("threads", threads.into());
            let figure = part.figure(params, ("messages", Unit::MessagesPerSecond), Some(1e7));
            Entry::Figure(figure.with_floor(Some(2e7)))
        });
        let charts = of(&figures);
        assert_eq!(charts.len(), 1);
        assert_eq!(charts[0].ticks, [(0.0, "one".to_owned()), (1.0, "two".to_owned())]);
        assert_eq!(charts[0].series.len(), 2);
        assert_eq!(charts[0].series[1].points, [(0.0, 2e7), (1.0, 2e7)]);
    }
}
