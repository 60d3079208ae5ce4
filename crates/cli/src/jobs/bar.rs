//! How far jobs are, on standard error, and only where that is a terminal.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use dx_scheduler::client::JobView;
use dx_scheduler::id::JobId;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::counts::{counted, done};
use crate::console::shown;

/// A bar over all tasks of some jobs.
pub struct Bar {
    bar: ProgressBar,
    done: BTreeMap<JobId, u64>,
}

impl Bar {
    /// A bar over `jobs`, which nobody sees unless it is `wanted` and standard error is a
    /// terminal.
    #[must_use]
    pub fn new(jobs: &[JobView], wanted: bool) -> Self {
        let is_seen = wanted && io::stderr().is_terminal();
        let target =
            if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(
            "{bar:24} {pos}/{len} {percent:>3}% {elapsed} eta {eta} {wide_msg}",
        )
        .expect("the template above is well formed");
        let length = jobs.iter().map(|job| job.tasks).sum();
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style);
        let done = jobs.iter().map(|job| (job.id, done(job))).collect();
        Self { bar, done }
    }

    /// Shows how far `job` is now.
    pub fn show(&mut self, job: &JobView) {
        self.done.insert(job.id, done(job));
        self.bar.set_position(self.done.values().sum());
        let said = job.progress.values().next().map(|progress| {
            let of = progress.total.map(|total| format!("/{total}")).unwrap_or_default();
            format!("; {}: {}{of}", shown(progress.label.as_bytes()), progress.step)
        });
        self.bar.set_message(format!("{}{}", counted(job), said.unwrap_or_default()));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
