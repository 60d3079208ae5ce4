//! The program with the kinds of agents that it knows: those of dx, and those of whoever embeds
//! it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use dx_agents::{Agent, AgentId, AgentSpec, AttrError, Directory, Registry};
use dx_sim::Sim;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bench::laboratory::Laboratory;
use crate::config::Kinds;
use crate::kinds::{echo, heard, job_agents, ping, ring_member};
use crate::simulate::Rules;

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
    rules: Rules,
    /// The kind that was added last: rules are about it.
    latest: Option<String>,
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
        let registry = job_agents::register(Registry::new());
        let (kinds, rules) = (Kinds::new(), Rules::default());
        Self { registry, kinds, rules, latest: None, laboratory: None }
            .kind(echo::KIND, |attr, _, _| Ok(echo::Echo::new(attr)))
            .always(
                "an echo hears what each ping says in order, and nothing twice",
                heard::in_order(),
            )
            .kind(ping::KIND, |attr, _, directory| ping::Ping::new(attr, directory))
            .sometimes("a greeting is not answered", heard::is_lost)
            .progress("when all is mended, pings are answered again", heard::answers)
            .kind(ring_member::KIND, |attr, spec, directory| {
                ring_member::RingMember::new(&attr, spec, directory)
            })
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
        self.latest = Some(name.to_owned());
        self
    }

    /// What must hold in every simulation (`dx sim run`) of a cluster that has agents of the kind
    /// added last: looked at after each event. What `holds` remembers begins anew with each run.
    ///
    /// ```
    /// # use dx_agents::{Agent, AgentId, Context};
    /// # #[derive(serde::Deserialize, schemars::JsonSchema)] struct Attr {}
    /// struct Door { is_open: bool }
    /// # impl Agent for Door {
    /// #     type Message = dx::kinds::Text;
    /// #     fn message(&mut self, _: AgentId, _: dx::kinds::Text, _: &mut Context) {}
    /// # }
    /// # let _ =
    /// dx::Program::new()
    ///     .kind("door", |_: Attr, _, _| Ok(Door { is_open: false }))
    ///     .always("at most one door is open", |sim| {
    ///         match sim.agents_of::<Door>().filter(|(_, door)| door.is_open).count() {
    ///             0 | 1 => Ok(()),
    ///             open => Err(format!("{open} are")),
    ///         }
    ///     });
    /// ```
    #[must_use]
    pub fn always(
        mut self,
        name: &str,
        holds: impl FnMut(&Sim) -> Result<(), String> + Clone + Send + Sync + 'static,
    ) -> Self {
        self.rules.always(self.latest.as_deref(), name, holds);
        self
    }

    /// What should hold at least once in all runs of a simulation together: if it never does, they
    /// prove less than they seem to. As [`always`](Self::always) it is about the kind added last.
    #[must_use]
    pub fn sometimes(
        mut self,
        name: &'static str,
        holds: impl FnMut(&Sim) -> bool + Clone + Send + Sync + 'static,
    ) -> Self {
        self.rules.sometimes(self.latest.as_deref(), name, holds);
        self
    }

    /// What must go on in every simulation when all is mended: each agent's number must grow. As
    /// [`always`](Self::always) it is about the kind added last.
    #[must_use]
    pub fn progress(
        mut self,
        name: &str,
        count: impl Fn(&Sim) -> BTreeMap<AgentId, u64> + Send + Sync + 'static,
    ) -> Self {
        self.rules.progress(self.latest.as_deref(), name, count);
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

    /// What kinds promise in simulations.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
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
