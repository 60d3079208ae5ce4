//! What a bench has to say: figures, and what it could not measure.
//!
//! All benches of dx speak these words, so that one reader, one table and one plotter serve all.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// One measured number.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Figure {
    /// The bench: `transport`.
    pub bench: &'static str,
    /// The part of it: `throughput`.
    pub scenario: &'static str,
    /// What distinguishes this figure from the others of its scenario and metric.
    pub params: Params,
    /// What was measured: `rate`.
    pub metric: &'static str,
    /// The unit of `value` and `floor`.
    pub unit: Unit,
    /// The number; `None` where there were too few samples to state one.
    pub value: Option<f64>,
    /// What the least that does the same work reached in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// `value / floor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

impl Figure {
    /// This figure beside its floor.
    #[must_use]
    pub fn with_floor(mut self, floor: Option<f64>) -> Self {
        self.floor = floor;
        self.ratio = self.value.zip(floor).filter(|(_, floor)| *floor > 0.0).map(|(v, f)| v / f);
        self
    }
}

/// A part of a bench, which is what figures and gaps belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The bench.
    pub bench: &'static str,
    /// The scenario of it.
    pub scenario: &'static str,
}

impl Part {
    /// A number of this part.
    #[must_use]
    pub fn figure(
        self,
        params: Params,
        (metric, unit): (&'static str, Unit),
        value: Option<f64>,
    ) -> Figure {
        let Self { bench, scenario } = self;
        Figure { bench, scenario, params, metric, unit, value, floor: None, ratio: None }
    }

    /// The lack of a number of this part.
    #[must_use]
    pub fn gap(self, params: Params, reason: Reason) -> Gap {
        let Self { bench, scenario } = self;
        Gap { bench, scenario, params, reason }
    }
}

/// A measurement that there is no number of.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Gap {
    /// As in [`Figure`].
    pub bench: &'static str,
    /// As in [`Figure`].
    pub scenario: &'static str,
    /// As in [`Figure`].
    pub params: Params,
    /// Why, and what to do about it.
    #[serde(flatten)]
    pub reason: Reason,
}

/// Why there is no number.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// This machine or this build cannot measure it. Nobody's fault.
    Skipped(String),
    /// It was tried and went wrong.
    Failed(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(why) => write!(f, "skipped: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// A number.
    Figure(Figure),
    /// The lack of one.
    Gap(Gap),
}

impl Entry {
    /// The scenario that it belongs to.
    #[must_use]
    pub fn scenario(&self) -> &'static str {
        match self {
            Self::Figure(figure) => figure.scenario,
            Self::Gap(gap) => gap.scenario,
        }
    }

    /// The parameters that it was measured with.
    #[must_use]
    pub fn params(&self) -> &Params {
        match self {
            Self::Figure(figure) => &figure.params,
            Self::Gap(gap) => &gap.params,
        }
    }
}

/// Named parameters, in the order in which a person would read them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(Vec<(&'static str, Param)>);

/// The value of a parameter. On the wire a number or a string; its kind tells how to print it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Param {
    /// A name.
    Text(String),
    /// A number of things.
    Count(u64),
    /// A size in bytes.
    Bytes(u64),
    /// Things per second.
    PerSecond(u64),
}

impl Params {
    /// No parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Param) -> Self {
        self.0.push((name, value));
        self
    }

    /// The parameter called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Param> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(&'static str, Param)> {
        self.0.iter()
    }
}

impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The unit of a figure, as it stands in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Unit {
    /// Messages per second.
    #[serde(rename = "messages/s")]
    MessagesPerSecond,
    /// Million bytes per second.
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Bytes.
    #[serde(rename = "B")]
    Bytes,
    /// A number of things.
    #[serde(rename = "count")]
    Count,
    /// Hundredths.
    #[serde(rename = "%")]
    Percent,
    /// A quotient of two figures.
    #[serde(rename = "ratio")]
    Ratio,
    /// What the metric names, per second.
    #[serde(rename = "1/s")]
    PerSecond,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: Option<f64>) -> Figure {
        Figure {
            bench: "transport",
            scenario: "throughput",
            params: Params::new().with("transport", "tcp".into()).with("size", Param::Bytes(64)),
            metric: "messages",
            unit: Unit::MessagesPerSecond,
            value,
            floor: None,
            ratio: None,
        }
    }

    #[test]
    fn a_figure_is_one_flat_object_with_its_parameters_in_order() {
        let json = serde_json::to_string(&Entry::Figure(figure(Some(2.5)))).unwrap();
        assert_eq!(
            json,
            r#"{"bench":"transport","scenario":"throughput","params":{"transport":"tcp","size":64},"metric":"messages","unit":"messages/s","value":2.5}"#
        );
    }

    #[test]
    fn a_figure_without_samples_is_null_and_has_no_ratio() {
        let blank = figure(None).with_floor(Some(2.0));
        assert_eq!(blank.ratio, None);
        assert!(serde_json::to_string(&blank).unwrap().contains(r#""value":null,"floor":2.0"#));
    }

    #[test]
    fn a_gap_says_whether_it_was_skipped_or_failed() {
        let (bench, scenario, params) = ("transport", "shaped", Params::new());
        let reason = Reason::Failed("it broke".to_owned());
        let json = serde_json::to_string(&Gap { bench, scenario, params, reason }).unwrap();
        let expected =
            r#"{"bench":"transport","scenario":"shaped","params":{},"failed":"it broke"}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn the_ratio_is_value_over_floor() {
        assert_eq!(figure(Some(3.0)).with_floor(Some(4.0)).ratio, Some(0.75));
        assert_eq!(figure(Some(3.0)).with_floor(Some(0.0)).ratio, None);
    }
}
