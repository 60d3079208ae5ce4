//! What the configuration knows about the kinds of agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use dx_agents::registry::MakeError;
use dx_agents::{AgentSpec, AttrError, Directory, Registry};
use schemars::JsonSchema;
use serde_json::Value;

use super::schema;

/// The kinds of agents that a cluster file may name, and what each wants in its `attr`.
#[derive(Clone, Default)]
pub struct Kinds {
    kinds: BTreeMap<String, Kind>,
}

#[derive(Clone, Default)]
struct Kind {
    attr: Option<Value>,
    check: Option<Check>,
}

type Check = Arc<dyn Fn(&AgentSpec, &Directory) -> Result<(), AttrError> + Send + Sync>;

impl Kinds {
    /// No kinds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The kinds of `registry`; each checks an agent by making it.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        let mut kinds = Self::new();
        for name in registry.names() {
            let registry = registry.clone();
            kinds =
                kinds.check(name, move |spec, directory| match registry.make(spec, directory) {
                    Ok(_) => Ok(()),
                    Err(MakeError::Attr(error)) => Err(error),
                    Err(error @ MakeError::UnknownKind { .. }) => {
                        Err(AttrError::new("", error.to_string()))
                    }
                });
        }
        kinds
    }

    /// Says that the attributes of `kind` are a `T`. Then unknown keys and wrong values are pointed
    /// at in the file, defaults are shown, and editors know them.
    #[must_use]
    pub fn attr<T: JsonSchema>(mut self, kind: &str) -> Self {
        self.kinds.entry(kind.to_owned()).or_default().attr = Some(schema::of::<T>());
        self
    }

    /// Has `check` look at each agent of `kind` when all else is in order. The key of its error is
    /// a path below `attr`.
    #[must_use]
    pub fn check(
        mut self,
        kind: &str,
        check: impl Fn(&AgentSpec, &Directory) -> Result<(), AttrError> + Send + Sync + 'static,
    ) -> Self {
        self.kinds.entry(kind.to_owned()).or_default().check = Some(Arc::new(check));
        self
    }

    /// The names of all kinds, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// The schema of a kind's attributes, where it has one.
    #[must_use]
    pub fn schema(&self, kind: &str) -> Option<&Value> {
        self.kinds.get(kind)?.attr.as_ref()
    }

    /// Has an agent's kind check it.
    ///
    /// # Errors
    /// If the kind does not accept it.
    pub fn accept(&self, spec: &AgentSpec, directory: &Directory) -> Result<(), AttrError> {
        match self.kinds.get(&spec.kind).and_then(|kind| kind.check.as_ref()) {
            Some(check) => check(spec, directory),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kinds").field(&self.kinds.keys()).finish()
    }
}
