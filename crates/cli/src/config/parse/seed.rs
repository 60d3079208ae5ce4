//! The older form of a cluster file: a JSON map from agents' ids to `kind`, `ip`, `port` and
//! `attr`, also spelled `ip_addr` and `attrs`.
//!
//! In it, and only in it, attributes may be texts of digits, and durations are numbers of
//! milliseconds.

use serde_json::Value as Json;

use crate::config::file::SECTIONS;
use crate::config::forms::Form;
use crate::config::kind::Kinds;
use crate::config::schema::below;
use crate::config::tree::{Entry, Table, Tree, Value};

/// `tree` as a cluster file of today, if it is of the older form; else as it is.
pub fn to_cluster_file(tree: Tree, kinds: &Kinds) -> Tree {
    let is_id = |key: &String| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    let is_older = tree.table().is_some_and(|table| {
        table.keys().any(is_id) && !table.keys().any(|key| SECTIONS.contains(&key.as_str()))
    });
    let place = tree.place.clone();
    match tree.value {
        Value::Table(agents) if is_older => {
            let agents = agents.into_iter().map(|(id, agent)| (id, modern(agent, kinds))).collect();
            let tree = Tree { place: place.clone(), value: Value::Table(agents) };
            let root = [("agent".to_owned(), Entry { key: place.clone(), tree })];
            Tree { place, value: Value::Table(root.into()) }
        }
        value => Tree { place, value },
    }
}

fn modern(mut agent: Entry, kinds: &Kinds) -> Entry {
    if let Value::Table(table) = &mut agent.tree.value {
        rename(table, "ip_addr", "ip");
        rename(table, "attrs", "attr");
        let kind = table.get("kind").and_then(|kind| kind.tree.text()).unwrap_or_default();
        if let Some(schema) = kinds.schema(kind)
            && let Some(attr) = table.get_mut("attr")
            && let Value::Table(attr) = &mut attr.tree.value
        {
            for (key, entry) in attr {
                if let Some(schema) = below(schema, key) {
                    read(&mut entry.tree.value, schema);
                }
            }
        }
    }
    agent
}

/// Gives a key its name of today, unless that is there as well: then both are looked at, and the
/// older is no key.
fn rename(table: &mut Table, older: &str, newer: &str) {
    if !table.contains_key(newer)
        && let Some(entry) = table.remove(older)
    {
        table.insert(newer.to_owned(), entry);
    }
}

/// Reads a text as what the kind wants, where it can be that.
fn read(value: &mut Value, schema: &Json) {
    let number = match value {
        Value::Integer(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    match (Form::of(schema), schema.get("type").and_then(Json::as_str), number) {
        (Some(Form::Duration), _, Some(millis)) => *value = Value::Text(format!("{millis}ms")),
        (_, Some("integer"), Some(number)) => *value = Value::Integer(number),
        (_, Some("boolean"), _) => {
            if let Value::Text(text) = value
                && let Ok(flag) = text.parse()
            {
                *value = Value::Boolean(flag);
            }
        }
        _ => {}
    }
}
