//! One key set from outside of files: `--set cluster.name=a`, `DX_CLUSTER__NAME=a`.

use std::ops::Range;

use serde_json::Value as Json;

use super::toml;
use crate::config::file::SECTIONS;
use crate::config::place::{Layer, Place, Source};
use crate::config::problem::Problem;
use crate::config::schema::{Schema, properties};
use crate::config::tree::{Entry, Tree, Value};

/// What the name of each variable begins with.
pub const PREFIX: &str = "DX_";

/// What stands between keys in the name of a variable, where other sources have a dot: names of
/// keys have single underscores.
pub const SEPARATOR: &str = "__";

/// Whether a variable of the environment is meant to set a key: it begins with `DX_` and either
/// has `__` in it, or names a section and more. `DX_LOG` and `DX_CLUSTER` are other matters.
#[must_use]
pub fn is_meant(variable: &str) -> bool {
    variable.strip_prefix(PREFIX).is_some_and(|rest| {
        let section = rest.split_once('_').map(|(section, _)| section.to_lowercase());
        rest.contains(SEPARATOR) || section.is_some_and(|name| SECTIONS.contains(&name.as_str()))
    })
}

/// The key and value of `source`, the `index`th, as a tree.
///
/// Text is read as the key's type wants it. `known` are the trees of files: a variable's name has
/// upper case only, and stands for the node that one of them names.
///
/// # Errors
/// If there is no key, or no value.
pub fn parse(
    source: &Source,
    index: usize,
    schema: &Schema,
    known: &[&Tree],
) -> Result<Tree, Box<Problem>> {
    let text = source.text.as_str();
    let whole = Place::new(index, 0..text.len());
    let Some(equals) = text.find('=') else {
        let help = format!("write `--set {}=VALUE`", text.trim());
        return Err(Box::new(Problem::new(whole, "this sets nothing").help(help)));
    };
    let keys = match source.layer {
        Layer::Environment => variable_keys(&text[..equals], schema, known),
        _ => dotted_keys(&text[..equals]),
    };
    let wrong = match keys.iter().find(|(key, _)| key.is_empty()) {
        Some((_, span)) => Some((span, "a key is missing here")),
        None if keys.len() == 1 && !schema.has_plain_keys() => {
            Some((&keys[0].1, "this is no key with a value"))
        }
        None => None,
    };
    if let Some((span, message)) = wrong {
        let is_variable = source.layer == Layer::Environment;
        let help = match (is_variable, schema.has_plain_keys()) {
            (true, _) => VARIABLE_HELP,
            (false, true) => SET_JOB_HELP,
            (false, false) => SET_HELP,
        };
        return Err(Box::new(Problem::new(Place::new(index, span.clone()), message).help(help)));
    }
    let path: Vec<String> = keys.iter().map(|(key, _)| key.clone()).collect();
    let start = equals + 1;
    let place = Place::new(index, start..text.len());
    let raw = &text[start..];
    let mut tree = Tree { value: value(raw, start, index, schema.at(&path)), place };
    for (key, span) in keys.into_iter().rev() {
        let key_place = Place::new(index, span);
        let entry = Entry { key: key_place.clone(), tree };
        tree = Tree { place: key_place, value: Value::Table([(key, entry)].into()) };
    }
    Ok(tree)
}

const VARIABLE_HELP: &str = "keys are set apart by `__`, as in DX_CLUSTER__NAME=a";
const SET_JOB_HELP: &str = "write a path and a value, as in `--set retry.max_attempts=3`";
const SET_HELP: &str = "write a path and a value, as in `--set cluster.name=a`";

fn dotted_keys(text: &str) -> Vec<(String, Range<usize>)> {
    pieces(text, 0, ".").map(|span| (text[span.clone()].trim().to_owned(), span)).collect()
}

/// Where the pieces of `text`, from byte `start` on, are.
fn pieces<'a>(
    text: &'a str,
    start: usize,
    between: &'a str,
) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut at = start;
    text[start..].split(between).map(move |piece| {
        let span = at..at + piece.len();
        at = span.end + between.len();
        span
    })
}

fn variable_keys(name: &str, schema: &Schema, known: &[&Tree]) -> Vec<(String, Range<usize>)> {
    let mut keys: Vec<(String, Range<usize>)> = Vec::new();
    for span in pieces(name, PREFIX.len(), SEPARATOR) {
        let path: Vec<String> = keys.iter().map(|(key, _)| key.clone()).collect();
        let key = meant_by(&name[span.clone()], &path, schema, known);
        keys.push((key, span));
    }
    keys
}

/// The key that a piece of a variable's name stands for: one of the schema or of a file that
/// differs in case and dashes only, else the piece in lower case.
fn meant_by(piece: &str, path: &[String], schema: &Schema, known: &[&Tree]) -> String {
    let plain = |key: &str| key.to_lowercase().replace('-', "_");
    let fixed = schema.at(path).into_iter().flat_map(properties).map(|(name, _)| name);
    let tables = known.iter().filter_map(|tree| tree.at(path)?.table());
    let mut keys = fixed.chain(tables.flat_map(|table| table.keys()));
    let found = keys.find(|key| plain(key) == plain(piece));
    found.cloned().unwrap_or_else(|| piece.to_lowercase())
}

/// What `raw`, which begins at byte `start` of its source, means for a key of `schema`.
fn value(raw: &str, start: usize, source: usize, schema: Option<&Json>) -> Value {
    let text = || Value::Text(raw.to_owned());
    let wanted = schema.and_then(|schema| schema.get("type")?.as_str());
    let has_words = schema.is_some_and(|schema| schema.get("oneOf").is_some());
    match wanted {
        Some("string") => text(),
        None if has_words => text(),
        Some("boolean") => raw.trim().parse().map_or_else(|_| text(), Value::Boolean),
        Some("integer") => raw.trim().parse().map_or_else(|_| text(), Value::Integer),
        Some("array") => as_toml(raw, start, source).unwrap_or_else(|| list(raw, start, source)),
        _ => as_toml(raw, start, source).unwrap_or_else(text),
    }
}

/// `raw` as a value of TOML, if it is one; blanks before it keep its places right.
fn as_toml(raw: &str, start: usize, source: usize) -> Option<Value> {
    let document = format!("v{}={raw}", " ".repeat(start - 2));
    let tree = toml::parse(&document, source).ok()?;
    match tree.value {
        Value::Table(mut table) if table.len() == 1 => Some(table.remove("v")?.tree.value),
        _ => None,
    }
}

/// A list without brackets: `controller,runner`.
fn list(raw: &str, start: usize, source: usize) -> Value {
    let items = pieces(raw, 0, ",").map(|span| {
        let value = Value::Text(raw[span.clone()].trim().to_owned());
        Tree { place: Place::new(source, start + span.start..start + span.end), value }
    });
    Value::List(items.collect())
}
