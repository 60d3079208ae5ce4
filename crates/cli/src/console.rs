//! Where agents print: a port of their own node, which the node's process writes to its standard
//! output.
//!
//! An agent owns no terminal. It [says](say) a line, which is a message like any other: it
//! leaves when the step is done, waits its turn, and is refused where the output cannot keep up,
//! so that a terminal that stands still never holds up an agent.

use std::fmt::Write;

use dx_agents::{AgentId, Context, Message, NodeId};
use serde::{Deserialize, Serialize};

/// A line for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(pub String);

impl Message for Line {
    const NAME: &'static str = "dx.line";
}

/// The count of the console's id; see [`WELL_KNOWN`](dx_agents::id::WELL_KNOWN).
const CONSOLE: u32 = 1;

/// The console of `node`.
#[must_use]
pub fn console(node: NodeId) -> AgentId {
    AgentId::dynamic(node, CONSOLE)
}

/// Prints a line on the node of the agent whose step this is.
pub fn say(cx: &mut Context, line: impl Into<String>) {
    cx.send(console(cx.node()), Line(line.into()));
}

/// `agent` as the cluster file calls it.
#[must_use]
pub fn called(agent: AgentId) -> String {
    if agent.spawned_by().is_some() { agent.to_string() } else { agent.0.to_string() }
}

/// Characters of a payload that are shown.
const SHOWN: usize = 200;

/// `bytes` as people can read them in one line, whatever is in them: control characters are
/// escaped, and of a long text there is the beginning and the length.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    // A character has at most four bytes.
    let beginning = &bytes[..bytes.len().min(4 * SHOWN)];
    let text = String::from_utf8_lossy(beginning);
    let mut line = String::new();
    for c in text.chars().take(SHOWN) {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    if beginning.len() < bytes.len() || text.chars().nth(SHOWN).is_some() {
        write!(line, "... ({} bytes)", bytes.len()).expect("a string takes all text");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_shown_is_one_line_without_control_characters() {
        assert_eq!(shown(b"costs $5\n\0\x1b[31m"), "costs $5\\n\\u{0}\\u{1b}[31m");
        assert_eq!(shown("täglich".as_bytes()), "täglich");
        assert_eq!(shown(&[0xff]), "\u{fffd}");
    }

    #[test]
    fn of_a_long_text_the_beginning_and_the_length_are_shown() {
        assert_eq!(shown(&[b'x'; SHOWN]), "x".repeat(SHOWN));
        let long = vec![b'x'; 1 << 20];
        assert_eq!(shown(&long), format!("{}... (1048576 bytes)", "x".repeat(SHOWN)));
    }
}
