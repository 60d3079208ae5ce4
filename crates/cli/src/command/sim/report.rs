//! What `dx sim run` shows: a bar while it runs, and what came of it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dx_sim::Failure;
use dx_sim::campaign::{Campaign, Report};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::bench::human::digits;
use crate::simulate::{World, faults};

/// The rule that the same seed is the same run.
pub const UNDETERMINED: &str = "a seed is the same run twice";

/// What came of it.
pub struct Course {
    /// The seeds.
    pub report: Report,
    /// How long they took.
    pub took: Duration,
    /// Whether each was run twice.
    pub twice: bool,
    /// Whether Ctrl-C came first.
    pub interrupted: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All seeds are fine.
    Fine,
    /// Some failed.
    Failed,
    /// None failed until Ctrl-C came.
    Interrupted,
}

impl Course {
    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        match (self.report.failures.is_empty(), self.interrupted) {
            (false, _) => Outcome::Failed,
            (true, true) => Outcome::Interrupted,
            (true, false) => Outcome::Fine,
        }
    }
}

/// Where it is shown.
pub struct Screen {
    bar: ProgressBar,
    beginning: String,
    cluster: String,
    from: u64,
    seeds: u64,
    jobs: usize,
    is_json: bool,
}

impl Screen {
    /// A screen on which nothing is yet.
    pub fn new(world: &World, seeds: &Range<u64>, how: &Campaign, is_json: bool) -> Self {
        let is_seen = io::stderr().is_terminal();
        let target =
            if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{pos}/{len} {bar:24} {elapsed} {msg}")
            .expect("the template above is well formed");
        let count = seeds.end - seeds.start;
        let setup = world.setup();
        let cluster = &setup.cluster;
        let beginning = format!(
            "cluster {}: {}, {}; faults: {} for {}, at most {} down\n",
            cluster.name,
            plural(cluster.nodes.len() as u64, "node"),
            plural(cluster.agents.len() as u64, "agent"),
            setup.faults,
            humantime::format_duration(setup.lasts),
            setup.most_down,
        );
        Self {
            bar: ProgressBar::with_draw_target(Some(count), target).with_style(style),
            beginning,
            cluster: cluster.name.to_string(),
            from: seeds.start,
            seeds: count,
            jobs: how.jobs,
            is_json,
        }
    }

    /// Says what is simulated.
    pub fn begin(&self) -> io::Result<()> {
        if self.is_json { Ok(()) } else { io::stdout().write_all(self.beginning.as_bytes()) }
    }

    /// One more seed is done.
    pub fn advance(&self, report: &Report, took: Duration) {
        self.bar.set_position(report.seeds);
        let faults: u64 = report.faults.values().sum();
        let failed = report.failures.len();
        self.bar.set_message(if took.is_zero() {
            "once more".to_owned()
        } else {
            format!("{} events/s, {faults} faults, {failed} failed", rate(report.events, took))
        });
    }

    /// So many seeds are run again.
    pub fn again(&self, seeds: u64) {
        self.bar.set_length(seeds);
        self.bar.set_position(0);
    }

    /// Says what came of it.
    pub fn end(&self, course: &Course, kept: &[(u64, PathBuf)]) -> io::Result<()> {
        self.bar.finish_and_clear();
        let text = if self.is_json {
            format!("{}\n", self.json(course, kept))
        } else {
            self.text(course, kept)
        };
        io::stdout().write_all(text.as_bytes())
    }

    fn text(&self, course: &Course, kept: &[(u64, PathBuf)]) -> String {
        let Course { report, took, twice, interrupted } = course;
        let mut text = format!(
            "{}{}, {} events in {} ({}/s with {}), {} simulated\n",
            plural(report.seeds, "seed"),
            if *twice { ", each twice" } else { "" },
            report.events,
            seconds(*took),
            rate(report.events, *took),
            plural(self.jobs as u64, "job"),
            seconds(report.simulated),
        );
        let named = report.faults.iter().map(|(kind, n)| format!("{} {n}", faults::name(*kind)));
        let named: Vec<String> = named.collect();
        let named = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
        let _ = writeln!(text, "faults: {named}\n\n{}\n", report.coverage);
        for failure in &report.failures {
            let file = kept.iter().find(|(seed, _)| *seed == failure.seed);
            text.push_str(&told(failure, file.map(|(_, path)| path.as_path())));
        }
        let failed = report.failures.len() as u64;
        let _ = match course.outcome() {
            Outcome::Fine => writeln!(text, "nothing failed"),
            Outcome::Failed => writeln!(text, "{} failed", plural(failed, "seed")),
            Outcome::Interrupted => writeln!(text, "nothing failed until it was interrupted"),
        };
        if *interrupted {
            let _ = writeln!(text, "interrupted: {} of {} seeds done", report.seeds, self.seeds);
        }
        text
    }

    fn json(&self, course: &Course, kept: &[(u64, PathBuf)]) -> Value {
        let Course { report, took, twice, .. } = course;
        let failures: Vec<Value> = report
            .failures
            .iter()
            .map(|failure| {
                let file = kept.iter().find(|(seed, _)| *seed == failure.seed);
                json!({
                    "seed": failure.seed,
                    "what": failure.what,
                    "text": failure.text,
                    "at_seconds": failure.at.as_secs_f64(),
                    "event": failure.events,
                    "file": file.map(|(_, path)| path),
                })
            })
            .collect();
        let points: Vec<_> = report.coverage.points().collect();
        json!({
            "cluster": self.cluster,
            "from": self.from,
            "seeds": report.seeds,
            "twice": twice,
            "jobs": self.jobs,
            "events": report.events,
            "seconds": took.as_secs_f64(),
            "events_per_second": report.events as f64 / took.as_secs_f64().max(1e-9),
            "simulated_seconds": report.simulated.as_secs_f64(),
            "faults": report.faults,
            "coverage": points,
            "hash": format!("{:016x}", report.hash),
            "failures": failures,
            "outcome": match course.outcome() {
                Outcome::Fine => "fine",
                Outcome::Failed => "failed",
                Outcome::Interrupted => "interrupted",
            },
        })
    }
}

/// A failure, and how to see it again.
fn told(failure: &Failure, file: Option<&Path>) -> String {
    let Failure { seed, what, text, at, events, tape, .. } = failure;
    let again = match file {
        Some(path) => format!("{} sim replay {}", program(), quoted(path)),
        None if what == UNDETERMINED => format!("--from {seed} --seeds 1 --twice"),
        None if tape.is_some() => format!("--from {seed} --seeds 1"),
        None => format!("--from {seed} --seeds 1, and RUST_BACKTRACE=1 says where it panics"),
    };
    // What panics, and what differs, has no event to be found by.
    let at = tape.as_ref().map(|_| format!(" at {}, event {events}", seconds(*at)));
    let at = at.unwrap_or_default();
    format!("seed {seed}: `{what}` does not hold{at}: {text}\n  to see it again: {again}\n")
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn rate(events: u64, took: Duration) -> String {
    format!("{} M", digits(events as f64 / 1e6 / took.as_secs_f64().max(1e-9)))
}

/// A duration in seconds, minutes or hours, of which three digits say enough.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..120.0 => format!("{} s", digits(seconds)),
        ..7200.0 => format!("{} min", digits(seconds / 60.0)),
        _ => format!("{} h", digits(seconds / 3600.0)),
    }
}

/// This program as a shell takes it: who embeds dx has another one, and dx does not know its kinds.
fn program() -> String {
    let first = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let is_dx = first.file_name().is_none_or(|name| name == "dx");
    if is_dx { "dx".to_owned() } else { quoted(&first) }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_printed_as_a_shell_takes_it() {
        assert_eq!(quoted("/tmp/a-seed-1.tape".as_ref()), "/tmp/a-seed-1.tape");
        assert_eq!(quoted("it's here".as_ref()), r"'it'\''s here'");
    }

    #[test]
    fn times_are_read_in_a_fitting_unit() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.23 s");
        assert_eq!(seconds(Duration::from_mins(30)), "30.0 min");
        assert_eq!(seconds(Duration::from_hours(300)), "300 h");
    }
}
