//! The report as a table for people: a row per set of parameters, a column per metric.

use std::fmt::Write;

use crate::bench::human;
use crate::bench::report::{Entry, Figure, Gap, Params};

/// The gap between two columns.
const GAP: &str = "  ";

/// One scenario's table, under `title`. Parameters that repeat from row to row are shown once.
#[must_use]
pub fn render(title: &str, entries: &[Entry]) -> String {
    let figures: Vec<&Figure> = entries.iter().filter_map(as_figure).collect();
    let mut text = format!("{title}\n");
    if !figures.is_empty() {
        text.push_str(&grid(&figures));
    }
    for gap in entries.iter().filter_map(as_gap) {
        let _ = writeln!(text, "{GAP}{}{}", label(&gap.params), gap.reason);
    }
    text
}

fn as_figure(entry: &Entry) -> Option<&Figure> {
    match entry {
        Entry::Figure(figure) => Some(figure),
        Entry::Gap(_) => None,
    }
}

fn as_gap(entry: &Entry) -> Option<&Gap> {
    match entry {
        Entry::Gap(gap) => Some(gap),
        Entry::Figure(_) => None,
    }
}

/// The parameters and a colon; nothing if there are none.
fn label(params: &Params) -> String {
    let values: Vec<String> = params.iter().map(|(_, value)| human::param(value)).collect();
    if values.is_empty() { String::new() } else { format!("{}: ", values.join(", ")) }
}

/// A column: heading and cells, aligned to the left (parameters) or to the right (numbers).
struct Column {
    heading: String,
    cells: Vec<String>,
    left: bool,
}

fn grid(figures: &[&Figure]) -> String {
    let rows = distinct(figures.iter().map(|figure| &figure.params));
    let mut columns = parameter_columns(&rows);
    for metric in distinct(figures.iter().map(|figure| figure.metric)) {
        columns.push(values(metric, figures, &rows));
        let ratios = ratios(metric, figures, &rows);
        // Messages and bytes per second stand in the same ratio to the floor: once is enough.
        let new = columns.iter().all(|column| column.cells != ratios.cells);
        if new && ratios.cells.iter().any(|ratio| !ratio.is_empty()) {
            columns.push(ratios);
        }
    }
    draw(&columns, rows.len())
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

fn parameter_columns(rows: &[&Params]) -> Vec<Column> {
    let names = distinct(rows.iter().flat_map(|row| row.iter().map(|(name, _)| *name)));
    let mut columns: Vec<Column> = names
        .iter()
        .map(|name| Column {
            heading: (*name).to_owned(),
            cells: rows
                .iter()
                .map(|row| row.find(name).map(human::param).unwrap_or_default())
                .collect(),
            left: true,
        })
        .collect();
    if let [first, _, ..] = columns.as_mut_slice() {
        blank_repeats(&mut first.cells);
    }
    columns
}

fn blank_repeats(cells: &mut [String]) {
    for index in (1..cells.len()).rev() {
        if cells[index] == cells[index - 1] {
            cells[index].clear();
        }
    }
}

fn values(metric: &str, figures: &[&Figure], rows: &[&Params]) -> Column {
    let text = |figure: &Figure| figure.value.map(|value| human::value(value, figure.unit));
    let cells = cells(metric, figures, rows, text);
    Column { heading: metric.to_owned(), cells, left: false }
}

fn ratios(metric: &str, figures: &[&Figure], rows: &[&Params]) -> Column {
    let text = |figure: &Figure| figure.ratio.map(|ratio| format!("{}x", human::digits(ratio)));
    let cells = cells(metric, figures, rows, text);
    Column { heading: "floor".to_owned(), cells, left: false }
}

fn cells(
    metric: &str,
    figures: &[&Figure],
    rows: &[&Params],
    text: impl Fn(&Figure) -> Option<String>,
) -> Vec<String> {
    let of_row = |row: &Params| figures.iter().find(|f| f.metric == metric && f.params == *row);
    rows.iter().map(|row| of_row(row).and_then(|f| text(f)).unwrap_or_default()).collect()
}

fn draw(columns: &[Column], rows: usize) -> String {
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let line = |text: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().zip(&widths).map(|(column, width)| {
            let cell = text(column);
            if column.left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let line = format!("{GAP}{}", cells.collect::<Vec<_>>().join(GAP));
        format!("{}\n", line.trim_end())
    };
    let heading = line(&|column| column.heading.clone());
    let body: String = (0..rows).map(|row| line(&|column| column.cells[row].clone())).collect();
    heading + &body
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.chars().count());
        cells.chain([self.heading.chars().count()]).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::{Param, Reason, Unit};

    fn params(transport: &str, size: u64) -> Params {
        Params::new().with("transport", transport.into()).with("size", Param::Bytes(size))
    }

    fn figure(params: Params, metric: &'static str, unit: Unit, value: Option<f64>) -> Figure {
        let (bench, scenario) = ("transport", "throughput");
        Figure { bench, scenario, params, metric, unit, value, floor: None, ratio: None }
    }

    #[test]
    fn rows_are_parameters_and_columns_are_metrics() {
        let messages = Unit::MessagesPerSecond;
        let entries = [
            figure(params("tcp", 8), "messages", messages, Some(1.25e7)).with_floor(Some(2.5e7)),
            figure(params("tcp", 8), "p99", Unit::Microseconds, None),
            figure(params("tcp", 65536), "messages", messages, Some(5.6e4)),
            figure(params("tcp", 65536), "p99", Unit::Microseconds, Some(31.0)),
            figure(params("memory", 8), "messages", messages, Some(2.0e7)),
        ]
        .map(Entry::Figure);
        let expected = "\
throughput
  transport  size    messages   floor      p99
  tcp        8 B     12.5 M/s  0.500x
             64 KiB    56 k/s          31.0 us
  memory     8 B       20 M/s
";
        assert_eq!(render("throughput", &entries), expected);
    }

    #[test]
    fn what_was_gapped_says_why() {
        let gap = Gap {
            bench: "transport",
            scenario: "shaped",
            params: Params::new().with("transport", "quic".into()),
            reason: Reason::Skipped("needs root".to_owned()),
        };
        assert_eq!(render("shaped", &[Entry::Gap(gap)]), "shaped\n  quic: skipped: needs root\n");
    }
}
