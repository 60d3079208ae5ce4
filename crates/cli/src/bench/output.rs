//! Where a bench's figures go: the table, the JSON, the plot, and the progress line.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::bench::header::Header;
use crate::bench::json::JsonLines;
use crate::bench::plot::{self, Chart};
use crate::bench::progress::Progress;
use crate::bench::report::{Entry, Figure, Gap, Reason};
use crate::bench::table;

/// The sink of one run. All benches of dx report through it.
pub struct Output {
    /// What is being measured, on a terminal.
    pub progress: Progress,
    table: bool,
    json: Option<JsonLines>,
    plot: Option<PathBuf>,
    entries: Vec<Entry>,
    scenario: Option<Scenario>,
}

/// The scenario under way: its title, and where in the entries it begins.
struct Scenario {
    title: &'static str,
    start: usize,
}

/// The name that stands for standard output.
const STDOUT: &str = "-";

impl Output {
    /// Opens the files, so that a path that cannot be written is known before the first minute.
    ///
    /// # Errors
    /// If a file cannot be created or written.
    pub fn open(header: &Header, json: Option<&Path>, plot: Option<&Path>) -> anyhow::Result<Self> {
        let table = json != Some(Path::new(STDOUT));
        let json = json.map(|file| open_json(header, file)).transpose()?;
        if let Some(file) = plot {
            File::create(file).with_context(|| format!("failed to create {}", file.display()))?;
        }
        if table {
            io::stdout().write_all(header.summary().as_bytes())?;
        }
        Ok(Self {
            progress: Progress::new(),
            table,
            json,
            plot: plot.map(Path::to_owned),
            entries: Vec::new(),
            scenario: None,
        })
    }

    /// Reports a number.
    ///
    /// # Errors
    /// If the JSON cannot be written.
    pub fn figure(&mut self, figure: Figure) -> io::Result<()> {
        self.entry(Entry::Figure(figure))
    }

    /// Reports what was not measured.
    ///
    /// # Errors
    /// If the JSON cannot be written.
    pub fn gap(&mut self, gap: Gap) -> io::Result<()> {
        self.entry(Entry::Gap(gap))
    }

    /// Whether something was tried and went wrong.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        let failed =
            |entry: &Entry| matches!(entry, Entry::Gap(Gap { reason: Reason::Failed(_), .. }));
        self.entries.iter().any(failed)
    }

    fn entry(&mut self, entry: Entry) -> io::Result<()> {
        if let Some(json) = &mut self.json {
            json.entry(&entry)?;
        }
        self.entries.push(entry);
        Ok(())
    }

    /// What is reported from now on stands together, under `title`.
    pub fn begin_scenario(&mut self, title: &'static str) {
        self.scenario = Some(Scenario { title, start: self.entries.len() });
    }

    /// Prints the table of the scenario under way, if there is one with anything in it.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn end_scenario(&mut self) -> io::Result<()> {
        let Some(Scenario { title, start }) = self.scenario.take() else { return Ok(()) };
        let entries = &self.entries[start..];
        if !self.table || entries.is_empty() {
            return Ok(());
        }
        let text = format!("\n{}", table::render(title, entries));
        self.progress.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        })
    }

    /// Draws the plot and ends the progress line.
    ///
    /// # Errors
    /// If the plot cannot be written.
    pub fn finish(
        self,
        title: &str,
        subtitle: &str,
        charts: impl FnOnce(&[Entry]) -> Vec<Chart>,
    ) -> anyhow::Result<()> {
        self.progress.clear();
        if let Some(file) = self.plot {
            let svg = plot::page(title, subtitle, &charts(&self.entries));
            std::fs::write(&file, svg)
                .with_context(|| format!("failed to write the plot to {}", file.display()))?;
        }
        Ok(())
    }
}

fn open_json(header: &Header, file: &Path) -> anyhow::Result<JsonLines> {
    let out: Box<dyn Write> = if file == Path::new(STDOUT) {
        Box::new(io::stdout())
    } else {
        let created =
            File::create(file).with_context(|| format!("failed to create {}", file.display()))?;
        Box::new(BufWriter::new(created))
    };
    let start = JsonLines::start(out, header);
    start.with_context(|| format!("failed to write to {}", file.display()))
}
