//! An agent that prints what it is sent, and answers what it is asked.

use dx_agents::{Agent, AgentId, AgentSpec, Context};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;
use crate::console;

/// The name of the kind.
pub const KIND: &str = "echo";

/// The attributes of an echo, which prints what it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Attr {
    /// Whether it also sends back what it was asked.
    pub reply: bool,
}

impl Default for Attr {
    fn default() -> Self {
        Self { reply: true }
    }
}

/// The agent.
#[derive(Debug)]
pub struct Echo {
    attr: Attr,
}

impl Echo {
    /// An echo of these attributes.
    #[must_use]
    pub fn new(attr: Attr) -> Self {
        Self { attr }
    }
}

impl Agent for Echo {
    type Message = Text;

    fn message(&mut self, from: AgentId, message: Text, cx: &mut Context) {
        let text = console::shown(message.bytes());
        let me = cx.me().0;
        console::say(
            cx,
            format!("Echo agent {me} received from agent {}: {text}", console::called(from)),
        );
        if let Some(asked) = cx.asked().filter(|_| self.attr.reply) {
            cx.reply(asked, message);
        }
    }
}

/// Whether the agent of `spec` answers what it is asked: only of an echo that is known.
#[must_use]
pub fn answers(spec: &AgentSpec) -> bool {
    spec.kind == KIND && spec.attr::<Attr>().is_ok_and(|attr| attr.reply)
}
