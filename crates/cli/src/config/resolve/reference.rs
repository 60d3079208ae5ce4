//! Attributes that name other agents.

use crate::config::place::KeyPath;
use crate::config::rules::Broken;
use crate::config::schema::{Schema, is_agent};
use crate::config::tree::{Table, Tree, Value};

/// Attributes that name an agent which is not there.
pub(super) fn dangling(tree: &Tree, schema: &Schema) -> Vec<Broken> {
    let none = Table::new();
    let agents = tree.table().and_then(|root| root.get("agent")?.tree.table()).unwrap_or(&none);
    let mut broken = Vec::new();
    for id in agents.keys() {
        let attr = KeyPath::new(["agent", id, "attr"]);
        for (key, entry) in tree.at(&attr.0).and_then(Tree::table).into_iter().flatten() {
            let path = attr.join(key);
            let Value::Integer(target) = entry.tree.value else { continue };
            let is_reference = schema.at(&path.0).is_some_and(is_agent);
            if is_reference && !agents.contains_key(&target.to_string()) {
                let message =
                    format!("agent {id} has the {key} {target}, and there is no such agent");
                broken.push(Broken::new(path, message).help(known(agents)));
            }
        }
    }
    broken
}

/// The agents that there are, in the order of their ids.
fn known(agents: &Table) -> String {
    let mut ids: Vec<u32> = agents.keys().filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    let listed: Vec<String> = ids.iter().take(MAX_LISTED).map(u32::to_string).collect();
    let more = if ids.len() > MAX_LISTED { ", ..." } else { "" };
    format!("the agents are {}{more}", listed.join(", "))
}

/// How many agents an error lists: about a line.
const MAX_LISTED: usize = 16;
