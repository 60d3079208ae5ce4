//! The kinds of agents that a program knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::Agent;
use crate::directory::Directory;
use crate::erased::ErasedAgent;
use crate::spec::{AgentSpec, AttrError};

/// Makes agents by the name of their kind.
///
/// ```
/// # use dx_agents::{Agent, AgentId, AttrError, Context, Message, Registry};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Text(String);
/// # impl Message for Text { const NAME: &'static str = "text"; }
/// # struct Printer;
/// # impl Agent for Printer {
/// #     type Message = Text;
/// #     fn message(&mut self, _: AgentId, _: Text, _: &mut Context) {}
/// # }
/// let registry = Registry::new().kind("printer", |spec, _directory| {
///     #[derive(serde::Deserialize)]
///     struct Attr {}
///     let Attr {} = spec.attr()?;
///     Ok(Printer)
/// });
/// assert_eq!(registry.names().collect::<Vec<_>>(), ["printer"]);
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<String, Make>,
}

type Make =
    Arc<dyn Fn(&AgentSpec, &Directory) -> Result<Box<dyn ErasedAgent>, AttrError> + Send + Sync>;

/// An agent cannot be made. Fault of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakeError {
    /// No kind has this name.
    #[error("there is no kind `{kind}`: known are {}", known.join(", "))]
    UnknownKind {
        /// The name.
        kind: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The kind does not accept its attributes.
    #[error(transparent)]
    Attr(#[from] AttrError),
}

impl Registry {
    /// A registry without kinds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind; `make` turns a spec, and who else is there, into an agent. It is also called
    /// to check a configuration, so it only looks at its arguments.
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    pub fn kind<A: Agent>(
        mut self,
        name: &str,
        make: impl Fn(&AgentSpec, &Directory) -> Result<A, AttrError> + Send + Sync + 'static,
    ) -> Self {
        let make: Make = Arc::new(move |spec, directory| {
            make(spec, directory).map(|agent| Box::new(agent) as _)
        });
        let taken = self.kinds.insert(name.to_owned(), make).is_some();
        assert!(!taken, "there are two kinds `{name}`");
        self
    }

    /// The names of all kinds, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Makes the agent of `spec`.
    ///
    /// # Errors
    /// If there is no such kind, or it does not accept the spec.
    pub fn make(
        &self,
        spec: &AgentSpec,
        directory: &Directory,
    ) -> Result<Box<dyn ErasedAgent>, MakeError> {
        let make = self.kinds.get(&spec.kind).ok_or_else(|| MakeError::UnknownKind {
            kind: spec.kind.clone(),
            known: self.names().map(str::to_owned).collect(),
        })?;
        Ok(make(spec, directory)?)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registry").field(&self.kinds.keys()).finish()
    }
}
