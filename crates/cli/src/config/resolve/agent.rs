//! Agents, and where they live.

use dx_agents::{AgentId, AgentSpec, MailboxBounds, Options, Placement, Restart};
use dx_transport::id::NodeId;

use super::{Resolver, read};
use crate::config::cluster::NodeSpec;
use crate::config::file::{
    AgentTable, Always, OnFailure, PlacementName, RestartName, RestartTable, RestartValue,
};
use crate::config::nearest::nearest;
use crate::config::place::KeyPath;
use crate::config::rules::Broken;

impl Resolver<'_> {
    /// The agents, in the order of their ids; nodes that only they name are added to `nodes`.
    pub(super) fn agents(&mut self, transport: &str, nodes: &mut Vec<NodeSpec>) -> Vec<AgentSpec> {
        let read = |(id, entry): (String, _)| Some((id.parse().ok()?, read(&entry)?));
        let mut tables: Vec<(u32, AgentTable)> =
            self.section("agent").into_iter().filter_map(read).collect();
        // The lowest agent of an address names its node.
        tables.sort_by_key(|(id, _)| *id);
        let mut agents = Vec::new();
        for (id, table) in tables {
            let node = self.home(id, &table, transport, nodes);
            let options = self.options(id, &table);
            if let Some(node) = node {
                let attr = table.attr.into();
                agents.push(AgentSpec {
                    id: AgentId(id.into()),
                    kind: table.kind,
                    node,
                    attr,
                    options,
                });
            }
        }
        agents
    }

    fn home(
        &mut self,
        id: u32,
        table: &AgentTable,
        transport: &str,
        nodes: &mut Vec<NodeSpec>,
    ) -> Option<NodeId> {
        let id_text = id.to_string();
        let path = |key: &str| KeyPath::new(["agent", &id_text, key]);
        match (&table.node, table.ip, table.port) {
            (Some(name), None, None) => self.node_called(name, path("node"), nodes),
            (None, Some(ip), Some(port)) => self.node_at((ip, port), id, transport, nodes),
            (Some(_), ..) => {
                let key = if table.ip.is_some() { "ip" } else { "port" };
                let message = format!("agent {id} has a `node`, and `{key}` as well");
                let broken =
                    Broken::new(path(key), message).other(path("node"), "the node is here");
                self.broken.push(broken.help("leave out one of them"));
                None
            }
            (None, ip, port) => {
                if ["node", "ip", "port"].iter().any(|key| self.spoiled.contains(&path(key))) {
                    return None;
                }
                let message = match (ip, port) {
                    (Some(_), None) => format!("agent {id} has an `ip` and no `port`"),
                    (None, Some(_)) => format!("agent {id} has a `port` and no `ip`"),
                    _ => format!("agent {id} lives nowhere"),
                };
                let broken = Broken::new(KeyPath::new(["agent", &id_text]), message);
                self.broken
                    .push(broken.help("set `node` to the name of a node, or `ip` and `port`"));
                None
            }
        }
    }

    fn node_called(&mut self, name: &str, path: KeyPath, nodes: &[NodeSpec]) -> Option<NodeId> {
        if let Some(node) = nodes.iter().find(|node| node.name.as_str() == name) {
            return Some(node.id);
        }
        if !self.unreadable.contains(name) {
            let broken = Broken::new(path, format!("there is no node `{}`", name.escape_debug()));
            let names = nodes.iter().map(|node| node.name.as_str());
            self.broken.push(match nearest(name, names) {
                Some(meant) => broken.help(format!("did you mean `{meant}`?")),
                None => broken.help(format!("add `[node.{}]`", name.escape_debug())),
            });
        }
        None
    }

    fn options(&mut self, id: u32, table: &AgentTable) -> Options {
        let id = id.to_string();
        let path = |key: &str| KeyPath::new(["agent", &id, key]);
        if table.placement == PlacementName::Pool && table.pin.is_some() {
            let message =
                format!("agent {id} is bound to a processor, and has no thread of its own");
            self.broken.push(
                Broken::new(path("pin"), message)
                    .other(path("placement"), "it runs on the pool")
                    .help("set `placement = \"thread\"`, or leave out `pin`"),
            );
        }
        let placement = match table.placement {
            PlacementName::Pool => Placement::Pool,
            PlacementName::Thread => Placement::Thread { pin: table.pin },
        };
        let restart = restart(&table.restart).unwrap_or_else(|| {
            let message = "`restart` is either `on_failure` or `always`";
            self.broken.push(Broken::new(path("restart"), message));
            Restart::Never
        });
        let mailbox = MailboxBounds {
            messages: table.mailbox.messages,
            bytes: table.mailbox.bytes,
            full: table.mailbox.full,
        };
        Options { placement, shared: table.shared, mailbox, full: table.full, restart }
    }
}

fn restart(value: &RestartValue) -> Option<Restart> {
    let on_failure =
        |OnFailure { max, within, backoff }: OnFailure| Restart::OnFailure { max, within, backoff };
    let always = |Always { backoff }: Always| Restart::Always { backoff };
    match value.clone() {
        RestartValue::Name(RestartName::Never) => Some(Restart::Never),
        RestartValue::Name(RestartName::OnFailure) => Some(on_failure(OnFailure::default())),
        RestartValue::Name(RestartName::Always) => Some(always(Always::default())),
        RestartValue::Table(RestartTable { on_failure: Some(rule), always: None }) => {
            Some(on_failure(rule))
        }
        RestartValue::Table(RestartTable { on_failure: None, always: Some(rule) }) => {
            Some(always(rule))
        }
        RestartValue::Table(_) => None,
    }
}
