//! The simulator bench's figures as charts.

use crate::bench::human;
use crate::bench::plot::{Chart, Series, Style};
use crate::bench::report::{Entry, Figure};

use super::run::EVENTS;

/// What has a chart: a scenario, its title, and what is along the axis.
const CHARTS: [(&str, &str, &str); 3] = [
    ("rally", "two agents, one ball", "nodes"),
    ("crowd", "1,000 agents on ten nodes", "faults"),
    ("cost", "the crowd with network faults, looked at", "with"),
];

/// The charts of what was measured; what was not has none.
#[must_use]
pub fn of(entries: &[Entry]) -> Vec<Chart> {
    let charts = CHARTS.iter().filter_map(|(scenario, title, x_label)| {
        let figures: Vec<&Figure> = entries.iter().filter_map(|e| events_of(e, scenario)).collect();
        (!figures.is_empty()).then(|| chart(&figures, title, x_label))
    });
    charts.collect()
}

fn events_of<'a>(entry: &'a Entry, scenario: &str) -> Option<&'a Figure> {
    match entry {
        Entry::Figure(figure) if figure.scenario == scenario && figure.metric == EVENTS.0 => {
            Some(figure)
        }
        _ => None,
    }
}

/// A bar for each figure, and a pale one for its floor.
fn chart(figures: &[&Figure], title: &str, x_label: &str) -> Chart {
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
        y_label: "events per second".to_owned(),
        unit: EVENTS.1,
        style: Style::Bars,
        ticks: figures.iter().enumerate().map(|(at, f)| (at as f64, label(f))).collect(),
        reference: "without".to_owned(),
        series: series
            .into_iter()
            .filter(|(_, points)| !points.is_empty())
            .map(|(is_reference, points)| Series {
                name: "dx".to_owned(),
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
    fn what_looking_costs_is_drawn_beside_what_it_costs_not_to() {
        let part = Part { bench: "sim", scenario: "cost" };
        let params = Params::new().with("with", "recording".into());
        let figure = part.figure(params, EVENTS, Some(9e5)).with_floor(Some(1e6));
        let charts = of(&[Entry::Figure(figure)]);
        assert_eq!(charts.len(), 1);
        assert_eq!(charts[0].ticks, [(0.0, "recording".to_owned())]);
        assert_eq!(charts[0].series[1].points, [(0.0, 1e6)]);
    }
}
