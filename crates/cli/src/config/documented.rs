//! The built-in defaults as a file that explains itself: `configs/default.toml`.

use serde_json::Value as Json;

use super::file::SECTIONS;
use super::forms::{GREATEST, LEAST};
use super::kind::Kinds;
use super::schema::{Schema, properties, words};
use super::show::toml_text;

/// Every key of a cluster file with its documentation, range and default. Keys without a default
/// are commented out, with an example.
#[must_use]
pub fn documented() -> String {
    let schema = Schema::new(&Kinds::new());
    let mut lines = Vec::new();
    for section in SECTIONS {
        write_section(&mut lines, section, &schema.root()["properties"][section], false);
    }
    lines.push(String::new());
    HEADER.to_owned() + &lines.join("\n")
}

const HEADER: &str = "\
# Everything that can be set, with its default. Written by `dx config default`.
#
# Later layers win, key by key: these defaults, /etc/dx/dx.toml, $XDG_CONFIG_HOME/dx/dx.toml,
# cluster files in the order given, variables as in DX_CLUSTER__TRANSPORT=quic,
# `--set cluster.transport=quic`, options of their own. `dx config show` says where each value
# came from.
#
# Durations and sizes carry their units: \"250ms\", \"30s\", \"64KiB\", \"16MiB\".
";

/// Writes the table called `name`; of a map, the table of an example. What has no place in a file
/// without nodes and agents is commented out.
fn write_section(lines: &mut Vec<String>, name: &str, schema: &Json, is_comment: bool) {
    let entry = schema.get("additionalProperties").filter(|entry| entry.is_object());
    lines.push(String::new());
    comment(lines, schema);
    let (name, schema, is_comment) = match entry {
        Some(entry) => {
            let example = schema["propertyNames"]["examples"][0].as_str().unwrap_or("NAME");
            (format!("{name}.{example}"), entry, true)
        }
        None => (name.to_owned(), schema, is_comment),
    };
    let mark = if is_comment { "#" } else { "" };
    lines.push(format!("{mark}[{name}]"));
    for (key, schema) in in_order(schema).filter(|(_, schema)| !is_section(schema)) {
        lines.push(String::new());
        comment(lines, schema);
        let value = schema.get("default").filter(|default| !default.is_null());
        let mark = if value.is_none() { "#" } else { mark };
        let example = schema.get("examples").and_then(|examples| examples.get(0));
        let value = value.or(example).cloned().unwrap_or_default();
        lines.push(format!("{mark}{key} = {}", toml_text(&value)));
    }
    for (key, schema) in in_order(schema).filter(|(_, schema)| is_section(schema)) {
        write_section(lines, &format!("{name}.{key}"), schema, is_comment);
    }
}

/// Required keys first, then the others.
fn in_order(schema: &Json) -> impl Iterator<Item = (&String, &Json)> {
    let required = schema.get("required").and_then(Json::as_array);
    let is_required = move |key: &str| required.is_some_and(|keys| keys.iter().any(|k| k == key));
    let first = properties(schema).filter(move |(key, _)| is_required(key));
    first.chain(properties(schema).filter(move |(key, _)| !is_required(key)))
}

fn is_section(schema: &Json) -> bool {
    schema.get("properties").is_some()
}

fn comment(lines: &mut Vec<String>, schema: &Json) {
    let description = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    for line in description.lines() {
        lines.push(format!("# {line}"));
    }
    if let Some(range) = range(schema) {
        lines.push(format!("# {range}."));
    }
}

fn range(schema: &Json) -> Option<String> {
    let bound = |name: &str| schema.get(name).filter(|bound| !bound.is_null());
    let text = |bound: &Json| bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
    match (bound(LEAST).or(bound("minimum")), bound(GREATEST).or(bound("maximum"))) {
        (Some(least), Some(greatest)) => {
            Some(format!("Range: {} to {}", text(least), text(greatest)))
        }
        _ if words(schema).is_empty() => None,
        _ => Some(format!("One of {}", words(schema).join(", "))),
    }
}
