//! A node's agents in Prometheus' text format, version 0.0.4; the links are the mesh's own.

use std::fmt::{Display, Write};

use crate::mesh::status::{LinkStatus, NodeStatus, OutboxStatus};
use crate::runtime::AgentStatus;

type Value<T> = fn(&T) -> u64;

/// Name without prefix, help, value. Names of counters end in `_total`.
const AGENTS: &[(&str, &str, Value<AgentStatus>)] = &[
    ("steps_total", "Steps taken.", |a| a.steps),
    ("mailbox_messages", "Messages that wait.", |a| a.waiting as u64),
    ("mailbox_bytes", "Their bytes.", |a| a.waiting_bytes as u64),
    ("dropped_total", "Messages dropped by a full mailbox.", |a| a.dropped),
    ("refused_total", "Messages refused by a full mailbox.", |a| a.refused),
    ("restarts_total", "Restarts.", |a| a.restarts),
    ("slow_steps_total", "Steps that took longer than a millisecond.", |a| a.slow_steps),
    ("longest_step_microseconds", "The longest of those.", |a| a.longest_step_us),
];

const OUTBOXES: &[(&str, &str, Value<OutboxStatus>)] = &[
    ("out_messages", "Messages sent and not known to be handled.", |o| o.out),
    ("share_messages", "Messages that may be.", |o| o.share),
    ("waiting_messages", "Messages that wait for credit or room.", |o| o.waiting as u64),
    ("waiting_bytes", "Their bytes.", |o| o.waiting_bytes as u64),
];

/// Appends the metrics of `status` to those of its mesh.
pub fn prometheus(mut text: String, status: &NodeStatus) -> String {
    let node = &status.node;
    for (name, help, value) in AGENTS {
        family(&mut text, "dx_agent_", name, help);
        for agent in &status.agents.agents {
            let labels: [(&str, &dyn Display); 3] =
                [("node", node), ("agent", &agent.id), ("kind", &agent.kind)];
            line(&mut text, "dx_agent_", name, &labels, value(agent));
        }
    }
    for (name, help, value) in OUTBOXES {
        family(&mut text, "dx_outbox_", name, help);
        for (link, outbox) in status.links.iter().flat_map(outboxes) {
            let labels: [(&str, &dyn Display); 3] =
                [("node", node), ("peer", &link.node), ("agent", &outbox.agent)];
            line(&mut text, "dx_outbox_", name, &labels, value(outbox));
        }
    }
    let name = "dead_letters_total";
    family(&mut text, "dx_node_", name, "Messages that reached nobody, by reason.");
    for (reason, &count) in &status.agents.dead_letters {
        line(&mut text, "dx_node_", name, &[("node", node), ("reason", reason)], count);
    }
    family(&mut text, "dx_node_", "open_asks", "Questions to other nodes that are open.");
    line(&mut text, "dx_node_", "open_asks", &[("node", node)], status.open_asks as u64);
    text
}

fn outboxes(link: &LinkStatus) -> impl Iterator<Item = (&LinkStatus, &OutboxStatus)> {
    link.outboxes.iter().map(move |outbox| (link, outbox))
}

fn family(text: &mut String, prefix: &str, name: &str, help: &str) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    writeln!(text, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}")
        .expect("a String takes all");
}

fn line(text: &mut String, prefix: &str, name: &str, labels: &[(&str, &dyn Display)], value: u64) {
    let labels: Vec<String> =
        labels.iter().map(|(key, label)| format!("{key}=\"{}\"", escape(label))).collect();
    writeln!(text, "{prefix}{name}{{{}}} {value}", labels.join(",")).expect("a String takes all");
}

fn escape(label: &dyn Display) -> String {
    label.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
