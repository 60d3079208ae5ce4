//! A table: how soon each search finds each bug.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use crate::sample::{Planted, Sample};
use crate::search::Search;

/// How one bug was looked for.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The sample.
    pub sample: &'static str,
    /// The bug.
    pub bug: &'static str,
    /// What is wrong.
    pub about: &'static str,
    /// What each search did.
    pub searches: Vec<Cell>,
}

/// What one search did to find one bug.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// Which.
    pub search: Search,
    /// Runs, up to the one that failed.
    pub runs: u64,
    /// Events in all of them.
    pub events: u64,
    /// The rule that does not hold, if one does not.
    pub broken: Option<String>,
    /// Whether that is one which the bug may break.
    pub is_expected: bool,
}

impl Row {
    /// Looks for a bug in every way.
    #[must_use]
    pub fn of(sample: &Sample, bug: &Planted, seeds: u64, jobs: usize) -> Self {
        let look = |search: Search| {
            let found = search.find(sample, Some(bug.name), seeds, jobs);
            let broken = found.failure.map(|failure| failure.what);
            let is_expected = broken.as_deref().is_some_and(|rule| bug.breaks.contains(&rule));
            Cell { search, runs: found.runs, events: found.events, broken, is_expected }
        };
        let searches = Search::ALL.into_iter().map(look).collect();
        Self { sample: sample.name, bug: bug.name, about: bug.about, searches }
    }

    /// Whether some search found it, and none anything else.
    #[must_use]
    pub fn is_found(&self) -> bool {
        let has_other = self.searches.iter().any(|cell| cell.broken.is_some() && !cell.is_expected);
        self.searches.iter().any(|cell| cell.is_expected) && !has_other
    }

    fn rule(&self) -> &str {
        let wrong = self.searches.iter().find(|cell| cell.broken.is_some() && !cell.is_expected);
        let broken = self.searches.iter().filter_map(|cell| cell.broken.as_deref()).next_back();
        wrong.and_then(|cell| cell.broken.as_deref()).or(broken).unwrap_or("NOT FOUND")
    }
}

/// The head of the table.
///
/// # Errors
/// If it cannot be written.
pub fn write_head(out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{:<NAME$}", "runs and events until found")?;
    for search in Search::ALL {
        write!(out, "  {:>CELL$}", search.name())?;
    }
    writeln!(out, "  broken rule")
}

/// A line of it.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<NAME$}", format!("{}/{}", self.sample, self.bug))?;
        for cell in &self.searches {
            let text = match cell.broken {
                Some(_) => format!("{} {:>10}", cell.runs, cell.events),
                None => format!("not within {}", cell.runs),
            };
            write!(f, "  {text:>CELL$}")?;
        }
        write!(f, "  {}", self.rule())
    }
}

/// What each search comes to over all bugs.
///
/// # Errors
/// If it cannot be written.
pub fn write_sums(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    for (at, search) in Search::ALL.into_iter().enumerate() {
        let cells: Vec<&Cell> = rows.iter().map(|row| &row.searches[at]).collect();
        let found: Vec<f64> =
            cells.iter().filter(|cell| cell.is_expected).map(|cell| cell.events as f64).collect();
        let (name, of) = (search.name(), cells.len());
        if found.is_empty() {
            writeln!(out, "{name}: none of {of} bugs")?;
            continue;
        }
        let mean = found.iter().map(|events| events.max(1.0).ln()).sum::<f64>();
        let mean = (mean / found.len() as f64).exp();
        writeln!(
            out,
            "{name}: {} of {of} bugs, {mean:.0} events each (geometric mean)",
            found.len()
        )?;
    }
    Ok(())
}

/// The width of the column of names: of the longest.
const NAME: usize = 29;
/// The width of a column of figures.
const CELL: usize = 16;
