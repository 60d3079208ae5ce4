//! What a run has seen: points by which a campaign tells whether it gets to where the bugs are.

use std::borrow::Cow;

use crate::coverage::{Coverage, Kind};
use crate::sim::Sim;

/// Something that should hold once in some run: looked at after each event until it does.
pub(crate) struct Hope {
    name: &'static str,
    holds: Box<dyn FnMut(&Sim) -> bool>,
}

impl Sim {
    /// What should hold in some run of the campaign, here and now. Gives `holds` back.
    pub fn sometimes(&mut self, name: &'static str, holds: bool) -> bool {
        self.coverage.sometimes(name, holds)
    }

    /// What should hold after some event of some run; looked at until it does. Reading the agents
    /// is how to see what they have come to; see also [`watch_note`](Self::watch_note).
    pub fn sometimes_holds(
        &mut self,
        name: &'static str,
        holds: impl FnMut(&Self) -> bool + 'static,
    ) {
        self.coverage.declare(Kind::Sometimes, name);
        self.hopes.push(Hope { name, holds: Box::new(holds) });
    }

    /// This place was reached, and should be in some run.
    pub fn reached(&mut self, name: &'static str) {
        self.coverage.reachable(name);
    }

    /// This place must not be reached in any run: this one has failed.
    pub fn unreachable(&mut self, name: &'static str) {
        self.coverage.unreachable(name);
        self.fail(name, "it was reached".to_owned());
    }

    /// Makes a point known, so that it is missed if no run reaches it.
    pub fn declare(&mut self, kind: Kind, name: impl Into<Cow<'static, str>>) {
        self.coverage.declare(kind, name);
    }

    /// Some agent should [note](dx_agents::Context::note) something under this name in some run:
    /// so agents say what they have reached, at no cost where nobody wants to know.
    pub fn watch_note(&mut self, name: impl Into<Cow<'static, str>>) {
        self.coverage.declare(Kind::Reachable, name);
        self.watches_notes = true;
    }

    /// What the run has seen so far, its [always](Self::always) included: each counts once.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let mut coverage = self.coverage.clone();
        for check in &self.checks {
            coverage.count(Kind::Always, check.name.clone(), check.has_held, check.has_failed);
        }
        coverage
    }

    pub(super) fn noted(&mut self, name: &str) {
        if self.watches_notes {
            self.coverage.reached_if_known(name);
        }
    }

    /// Looks at what was hoped for.
    pub(super) fn see(&mut self) {
        let mut hopes = std::mem::take(&mut self.hopes);
        hopes.retain_mut(|hope| {
            let holds = (hope.holds)(self);
            if holds {
                self.coverage.sometimes(hope.name, true);
            }
            !holds
        });
        self.hopes = hopes;
    }
}
