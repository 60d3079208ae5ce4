//! The program with the kinds of agents that it knows: those of dx, and those of whoever embeds
//! it.

use std::process::ExitCode;

use dx_agents::{Agent, AgentSpec, AttrError, Directory, Registry};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bench::laboratory::Laboratory;
use crate::config::Kinds;
use crate::kinds::{echo, ping};

/// A `dx` with kinds of one's own. `dx up` starts its nodes by running the same program again, so
/// they know them, too.
///
/// ```no_run
/// # use dx_agents::{Agent, AgentId, Context};
/// use dx::console::say;
/// use dx::kinds::Text;
///
/// /// The attributes of a parrot.
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Attr {
///     /// What it says to everything.
///     word: String,
/// }
///
/// struct Parrot(Attr);
///
/// impl Agent for Parrot {
///     type Message = Text;
///
///     fn message(&mut self, _from: AgentId, _message: Text, cx: &mut Context) {
///         say(cx, self.0.word.as_str());
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     dx::Program::new().kind("parrot", |attr, _me, _directory| Ok(Parrot(attr))).run()
/// }
/// ```
#[derive(Clone)]
pub struct Program {
    registry: Registry,
    kinds: Kinds,
    pub(crate) laboratory: Option<Laboratory>,
}

impl Default for Program {
    fn default() -> Self {
        Self::new()
    }
}

impl Program {
    /// `dx` as it is.
    #[must_use]
    pub fn new() -> Self {
        let (registry, kinds) = (Registry::new(), Kinds::new());
        Self { registry, kinds, laboratory: None }
            .kind(echo::KIND, |attr, _, _| Ok(echo::Echo::new(attr)))
            .kind(ping::KIND, |attr, _, directory| ping::Ping::new(attr, directory))
    }

    /// Adds a kind of agents. `make` turns its attributes, what else its table says, and who else
    /// is there, into an agent. It is also called to check a configuration, so it only looks at
    /// its arguments. What is wrong with attributes is pointed at in the cluster file.
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    pub fn kind<T: DeserializeOwned + JsonSchema, A: Agent>(
        mut self,
        name: &str,
        make: impl Fn(T, &AgentSpec, &Directory) -> Result<A, AttrError> + Clone + Send + Sync + 'static,
    ) -> Self {
        let check = make.clone();
        self.kinds = self
            .kinds
            .attr::<T>(name)
            .check(name, move |spec, directory| check(spec.attr()?, spec, directory).map(drop));
        self.registry =
            self.registry.kind(name, move |spec, directory| make(spec.attr()?, spec, directory));
        self
    }

    /// Gives the benches something that makes networks.
    #[must_use]
    pub fn laboratory(mut self, laboratory: Laboratory) -> Self {
        self.laboratory = Some(laboratory);
        self
    }

    /// What makes agents of each kind.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What cluster files may ask of each kind.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Runs it on the process's own arguments.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        crate::run_program(self)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("registry", &self.registry).finish_non_exhaustive()
    }
}
