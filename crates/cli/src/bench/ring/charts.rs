//! The ring bench's figures as charts.

use crate::bench::human;
use crate::bench::plot::{Chart, Series, Style};
use crate::bench::report::{Entry, Figure};

/// What has a chart: a scenario's metric, its title, and what the vertical axis means.
const CHARTS: [(&str, &str, &str, &str); 4] = [
    ("throughput", "MB/s", "delivered by all, loopback", "bytes per second"),
    ("shaped", "MB/s", "delivered by all, links of 100 Mbit/s", "bytes per second"),
    ("latency", "p99", "from sending to delivery, p99", "time"),
    ("view-change", "gap", "no delivery, when the member that numbers is killed", "time"),
];

/// The charts of what was measured; what was not has none.
#[must_use]
pub fn of(entries: &[Entry]) -> Vec<Chart> {
    CHARTS.iter().filter_map(|chart| bars(entries, *chart)).collect()
}

/// A bar for each set of parameters.
fn bars(
    entries: &[Entry],
    (scenario, metric, title, y_label): (&str, &str, &str, &str),
) -> Option<Chart> {
    let figures: Vec<&Figure> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Figure(figure) => Some(figure),
            Entry::Gap(_) => None,
        })
        .filter(|figure| figure.scenario == scenario && figure.metric == metric)
        .collect();
    let label = |figure: &Figure| {
        let values: Vec<String> = figure.params.iter().map(|(_, v)| human::param(v)).collect();
        values.join(", ")
    };
    let numbered = || figures.iter().enumerate();
    Some(Chart {
        title: title.to_owned(),
        x_label: "model, transport, members and what else".to_owned(),
        y_label: y_label.to_owned(),
        unit: figures.first()?.unit,
        style: Style::Bars,
        ticks: numbered().map(|(at, figure)| (at as f64, label(figure))).collect(),
        reference: String::new(),
        series: vec![Series {
            name: "dx".to_owned(),
            colour: 0,
            is_reference: false,
            points: numbered().filter_map(|(at, it)| Some((at as f64, it.value?))).collect(),
        }],
    })
}
