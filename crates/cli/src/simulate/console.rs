//! Where agents print when they are simulated: an agent in the place of the node's console.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use dx_agents::{Agent, AgentId, AgentSpec, Context, NodeId, Options};

use crate::console::{Line, console};

/// The kind's name in traces. No cluster file can name it: it has a space.
pub const KIND: &str = "the console";

/// Takes the lines of its node's agents. [`Sim::agent`](dx_sim::Sim::agent) finds it by the
/// [console's id](crate::console::console), for rules about what agents print.
#[derive(Debug)]
pub struct Console {
    lines: VecDeque<String>,
    said: u64,
    transcript: Option<Transcript>,
}

/// Lines that a console keeps. A rule that looks after every event sees each of them.
const KEPT: usize = 64;

impl Console {
    pub(super) fn new(transcript: Option<Transcript>) -> Self {
        Self { lines: VecDeque::new(), said: 0, transcript }
    }

    /// How many lines there were in this life of the node.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.said
    }

    /// The lines after the first `seen`, as far as they are kept: the last few dozen.
    pub fn lines_after(&self, seen: u64) -> impl Iterator<Item = &str> {
        let new = usize::try_from(self.said.saturating_sub(seen)).unwrap_or(usize::MAX);
        self.lines.iter().skip(self.lines.len().saturating_sub(new)).map(String::as_str)
    }
}

impl Agent for Console {
    type Message = Line;

    fn message(&mut self, _: AgentId, line: Line, cx: &mut Context) {
        if let Some(transcript) = &self.transcript {
            transcript.add(cx.me(), &line.0);
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line.0);
        self.said += 1;
    }
}

/// What is written of the consoles of a run, to be read beside its trace.
#[derive(Clone, Debug, Default)]
pub struct Transcript(Arc<Mutex<BTreeMap<AgentId, VecDeque<String>>>>);

impl Transcript {
    fn add(&self, console: AgentId, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.entry(console).or_default().push_back(line.to_owned());
    }

    /// Takes the oldest line of a console: the one of the first message that it handled.
    #[must_use]
    pub fn take(&self, console: AgentId) -> Option<String> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get_mut(&console)?.pop_front()
    }
}

/// The console of `node` as an agent of the deployment.
pub(super) fn spec(node: NodeId) -> AgentSpec {
    let (id, kind) = (console(node), KIND.to_owned());
    AgentSpec { id, kind, node, attr: serde_json::Value::Null, options: Options::default() }
}
