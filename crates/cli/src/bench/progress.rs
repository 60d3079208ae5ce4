//! What is being measured, on standard error, and only where that is a terminal.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over all measurements of a run.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that nobody sees unless standard error is a terminal.
    #[must_use]
    pub fn new() -> Self {
        let visible = io::stderr().is_terminal();
        // It redraws at each step only: a redraw by the clock would take part in the measurement.
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{pos:>3}/{len} {bar:24} {elapsed} {msg}")
            .expect("the template above is well formed");
        Self { bar: ProgressBar::with_draw_target(Some(0), target).with_style(style) }
    }

    /// There are `count` measurements more.
    pub fn expect(&self, count: u64) {
        self.bar.inc_length(count);
    }

    /// Names the measurement that begins.
    pub fn begin(&self, what: String) {
        self.bar.set_message(what);
        self.bar.tick();
    }

    /// One measurement is done.
    pub fn advance(&self) {
        self.bar.inc(1);
    }

    /// Lets `print` write to the terminal without the bar in between.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    /// Tells people something, whether or not there is a bar.
    pub fn note(&self, text: &str) {
        // If nobody reads standard error, there is nobody to tell.
        self.suspend(|| drop(writeln!(io::stderr(), "dx: {text}")));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
