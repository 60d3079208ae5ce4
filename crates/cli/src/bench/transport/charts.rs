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
        latencies(&figures, ScenarioName::RoundTrip, "round trip of 64 B, closed loop", |params| {
            text(params, "load") == Some("closed loop")
        }),
        latencies(&figures, ScenarioName::Control, "control latency, idle", |params| {
            text(params, "bulk") == Some("idle")
        }),
        latencies(
            &figures,
            ScenarioName::Control,
            "control latency while bulk saturates",
            |params| text(params, "bulk") == Some("saturated"),
        ),
        latencies(
            &figures,
            ScenarioName::Shaped,
            "control latency beside bulk, 50 ms round trip, 1 % loss",
            |params| text(params, "bulk") == Some("saturated"),
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
    let line = |name, value: fn(&Figure) -> Option<f64>| -> Vec<(f64, f64)> {
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
        series: with_floors(line),
    }
}

/// A bar per transport for every percentile, and a pale one for its floor.
fn latencies(
    figures: &[&Figure],
    scenario: ScenarioName,
    title: &str,
    wanted: fn(&Params) -> bool,
) -> Chart {
    let ticks: Vec<(f64, String)> = PERCENTILES
        .iter()
        .enumerate()
        .map(|(index, (name, _))| (index as f64, (*name).to_owned()))
        .collect();
    let bars = |name, value: fn(&Figure) -> Option<f64>| -> Vec<(f64, f64)> {
        figures
            .iter()
            .filter(|f| f.scenario == scenario.name() && wanted(&f.params))
            .filter(|f| text(&f.params, "transport") == Some(name))
            .filter_map(|f| {
                let (position, _) = ticks.iter().find(|(_, percentile)| percentile == f.metric)?;
                Some((*position, value(f)?))
            })
            .collect()
    };
    let series = with_floors(bars);
    Chart {
        title: title.to_owned(),
        x_label: "percentile".to_owned(),
        y_label: "latency".to_owned(),
        unit: Unit::Microseconds,
        style: Style::Bars,
        ticks,
        series,
    }
}

fn with_floors(
    points: impl Fn(&'static str, fn(&Figure) -> Option<f64>) -> Vec<(f64, f64)>,
) -> Vec<Series> {
    let transports =
        [TransportName::Tcp, TransportName::Tls, TransportName::Quic, TransportName::Memory];
    let mut all = Vec::new();
    for (colour, name) in transports.map(TransportName::name).into_iter().enumerate() {
        let (own, floor) = (points(name, |f| f.value), points(name, |f| f.floor));
        all.push(Series { name: name.to_owned(), colour, floor: false, points: own });
        all.push(Series { name: format!("{name} floor"), colour, floor: true, points: floor });
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
        let names: Vec<&str> = charts[0].series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["tls", "tls floor"]);
        assert_eq!(charts[0].ticks, [(64.0, "64 B".to_owned())]);
    }
}
