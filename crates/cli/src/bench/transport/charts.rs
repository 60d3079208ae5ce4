//! The transport bench's figures as charts.

use crate::bench::human;
use crate::bench::latency::PERCENTILES;
use crate::bench::plot::{Chart, Series, Style};
use crate::bench::report::{Entry, Figure, Param, Params, Unit};
use crate::bench::transport::{ScenarioName, TransportName};

/// The charts of what was measured; a scenario without figures has none.
#[must_use]
pub fn of(entries: &[Entry]) -> Vec<Chart> {
    let figures: Vec<&Figure> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Figure(figure) => Some(figure),
            Entry::Gap(_) => None,
        })
        .collect();
    let charts = [
        by_size(
            &figures,
            "rate",
            "one-way throughput",
            "bytes per second",
            Unit::MegabytesPerSecond,
        ),
        by_size(
            &figures,
            "messages",
            "one-way message rate",
            "messages per second",
            Unit::MessagesPerSecond,
        ),
        by_size(&figures, "CPU per GB", "CPU time per GB, both ends", "CPU time", Unit::Seconds),
        latencies(&figures, "round trip of 64 B, closed loop", "floor", [closed_loop, its_floor]),
        latencies(&figures, "control latency while bulk saturates", "idle", [beside_bulk, alone]),
        latencies(
            &figures,
            "the same over 50 ms round trip with 1 % loss",
            "idle",
            [far_beside_bulk, far_alone],
        ),
    ];
    charts.into_iter().filter(|chart| !chart.series.is_empty()).collect()
}

fn text<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    match params.find(name)? {
        Param::Text(text) => Some(text),
        _ => None,
    }
}

fn size(params: &Params) -> Option<f64> {
    match params.find("size")? {
        Param::Bytes(size) => Some(*size as f64),
        _ => None,
    }
}

/// A line per transport over the sizes, and a dashed one for its floor.
fn by_size(figures: &[&Figure], metric: &str, title: &str, y_label: &str, unit: Unit) -> Chart {
    let scenario = ScenarioName::Throughput.name();
    let of_metric = || figures.iter().filter(|f| f.scenario == scenario && f.metric == metric);
    let mut ticks: Vec<f64> = of_metric().filter_map(|figure| size(&figure.params)).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    #[expect(clippy::cast_sign_loss, reason = "it was a u64")]
    let label = |size: f64| human::param(&Param::Bytes(size as u64));
    let line = |name, value: Pick| -> Vec<(f64, f64)> {
        of_metric()
            .filter(|figure| text(&figure.params, "transport") == Some(name))
            .filter_map(|figure| Some((size(&figure.params)?, value(figure)?)))
            .collect()
    };
    Chart {
        title: title.to_owned(),
        x_label: "message size".to_owned(),
        y_label: y_label.to_owned(),
        unit,
        style: Style::Lines,
        ticks: ticks.into_iter().map(|tick| (tick, label(tick))).collect(),
        reference: "floor".to_owned(),
        series: both(line, [|figure| figure.value, |figure| figure.floor]),
    }
}

/// The number that a figure puts into a chart, if it belongs there.
type Pick = fn(&Figure) -> Option<f64>;

fn closed_loop(figure: &Figure) -> Option<f64> {
    figure.value.filter(|_| is(figure, ScenarioName::RoundTrip, "load", "closed loop"))
}

fn its_floor(figure: &Figure) -> Option<f64> {
    figure.floor.filter(|_| is(figure, ScenarioName::RoundTrip, "load", "closed loop"))
}

fn beside_bulk(figure: &Figure) -> Option<f64> {
    figure.value.filter(|_| is(figure, ScenarioName::Control, "bulk", "saturated"))
}

fn alone(figure: &Figure) -> Option<f64> {
    figure.value.filter(|_| is(figure, ScenarioName::Control, "bulk", "idle"))
}

fn far_beside_bulk(figure: &Figure) -> Option<f64> {
    figure.value.filter(|_| is(figure, ScenarioName::Shaped, "bulk", "saturated"))
}

fn far_alone(figure: &Figure) -> Option<f64> {
    figure.value.filter(|_| is(figure, ScenarioName::Shaped, "bulk", "idle"))
}

fn is(figure: &Figure, scenario: ScenarioName, name: &str, value: &str) -> bool {
    figure.scenario == scenario.name() && text(&figure.params, name) == Some(value)
}

/// A bar per transport for every percentile, and a pale one of what it is compared with.
fn latencies(figures: &[&Figure], title: &str, reference: &str, picks: [Pick; 2]) -> Chart {
    let measured = |name: &str| {
        figures.iter().any(|f| f.metric == name && picks.iter().any(|pick| pick(f).is_some()))
    };
    let names = PERCENTILES.iter().map(|(name, _)| *name).filter(|name| measured(name));
    let ticks: Vec<(f64, String)> =
        names.enumerate().map(|(index, name)| (index as f64, name.to_owned())).collect();
    let bars = |name, pick: Pick| -> Vec<(f64, f64)> {
        figures
            .iter()
            .filter(|figure| text(&figure.params, "transport") == Some(name))
            .filter_map(|figure| {
                let (position, _) = ticks.iter().find(|(_, tick)| tick == figure.metric)?;
                Some((*position, pick(figure)?))
            })
            .collect()
    };
    Chart {
        title: title.to_owned(),
        x_label: "percentile".to_owned(),
        y_label: "latency".to_owned(),
        unit: Unit::Microseconds,
        style: Style::Bars,
        reference: reference.to_owned(),
        series: both(bars, picks),
        ticks,
    }
}

/// A series per transport, and beside it what it is compared with.
fn both(points: impl Fn(&'static str, Pick) -> Vec<(f64, f64)>, picks: [Pick; 2]) -> Vec<Series> {
    let transports =
        [TransportName::Tcp, TransportName::Tls, TransportName::Quic, TransportName::Memory];
    let mut all = Vec::new();
    for (colour, name) in transports.map(TransportName::name).into_iter().enumerate() {
        for (pick, is_reference) in picks.into_iter().zip([false, true]) {
            let points = points(name, pick);
            all.push(Series { name: name.to_owned(), colour, is_reference, points });
        }
    }
    all.retain(|series| !series.points.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_a_series_of_its_own_and_an_unmeasured_scenario_has_no_chart() {
        let params = Params::new().with("transport", "tls".into()).with("size", Param::Bytes(64));
        let figure = Figure {
            bench: "transport",
            scenario: "throughput",
            params,
            metric: "rate",
            unit: Unit::MegabytesPerSecond,
            value: Some(10.0),
            floor: None,
            ratio: None,
        };
        let charts = of(&[Entry::Figure(figure.with_floor(Some(20.0)))]);
        assert_eq!(charts.len(), 1);
        let is_reference: Vec<bool> = charts[0].series.iter().map(|s| s.is_reference).collect();
        assert_eq!(is_reference, [false, true]);
        assert_eq!(charts[0].ticks, [(64.0, "64 B".to_owned())]);
    }
}
