//! What kinds of agents promise, to be judged in a simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dx_agents::AgentId;
use dx_sim::Sim;

/// The rules of a program's kinds. Each belongs to a kind, and is judged where a cluster has
/// agents of it.
#[derive(Clone, Default)]
pub struct Rules {
    rules: Vec<(Option<String>, Rule)>,
}

#[derive(Clone)]
pub(super) enum Rule {
    Always(String, Begin<Holds>),
    Sometimes(&'static str, Begin<Seen>),
    Progress(Arc<Progress>),
}

/// Makes what judges one run: a rule that remembers something begins each run anew.
pub(super) type Begin<T> = Arc<dyn Fn() -> T + Send + Sync>;
pub(super) type Holds = Box<dyn FnMut(&Sim) -> Result<(), String>>;
pub(super) type Seen = Box<dyn FnMut(&Sim) -> bool>;

type Counted = Box<dyn Fn(&Sim) -> BTreeMap<AgentId, u64> + Send + Sync>;

/// Something that must go on when all is mended.
pub(super) struct Progress {
    pub name: String,
    pub count: Counted,
}

impl Rules {
    pub(crate) fn always(
        &mut self,
        kind: Option<&str>,
        name: &str,
        holds: impl FnMut(&Sim) -> Result<(), String> + Clone + Send + Sync + 'static,
    ) {
        let begin = move || -> Holds { Box::new(holds.clone()) };
        self.add(kind, Rule::Always(name.to_owned(), Arc::new(begin)));
    }

    pub(crate) fn sometimes(
        &mut self,
        kind: Option<&str>,
        name: &'static str,
        holds: impl FnMut(&Sim) -> bool + Clone + Send + Sync + 'static,
    ) {
        let begin = move || -> Seen { Box::new(holds.clone()) };
        self.add(kind, Rule::Sometimes(name, Arc::new(begin)));
    }

    pub(crate) fn progress(
        &mut self,
        kind: Option<&str>,
        name: &str,
        count: impl Fn(&Sim) -> BTreeMap<AgentId, u64> + Send + Sync + 'static,
    ) {
        let progress = Progress { name: name.to_owned(), count: Box::new(count) };
        self.add(kind, Rule::Progress(Arc::new(progress)));
    }

    /// Those of kinds among `kinds`, and those of none.
    pub(super) fn of<'a>(&'a self, kinds: &BTreeSet<&str>) -> impl Iterator<Item = &'a Rule> {
        let concerns =
            |kind: &Option<String>| kind.as_deref().is_none_or(|kind| kinds.contains(kind));
        self.rules.iter().filter(move |(kind, _)| concerns(kind)).map(|(_, rule)| rule)
    }

    fn add(&mut self, kind: Option<&str>, rule: Rule) {
        self.rules.push((kind.map(str::to_owned), rule));
    }
}
