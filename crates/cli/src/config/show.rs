//! Every effective value, and where it came from.

use serde::Serialize;
use serde_json::Value as Json;

use super::file::SECTIONS;
use super::load::Loaded;
use super::place::{KeyPath, Layer};
use super::schema::is_secret;
use super::tree::{Entry, Tree, Value};

/// An effective value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The path of its key.
    pub key: String,
    /// The value; of a secret, asterisks.
    pub value: Json,
    /// Where it came from: `file:line`, the name of a variable or an option, or `default`.
    pub from: String,
    /// Whether the value is not shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// What is shown in the place of a secret.
pub const MASK: &str = "********";

/// All values of `loaded`, by section. Also what follows from others: the name that a file gives
/// its cluster, and the nodes that agents make by their addresses.
#[must_use]
pub fn settings(loaded: &Loaded) -> Vec<Setting> {
    let mut settings = Vec::new();
    collect(loaded, &loaded.tree, &KeyPath::default(), &mut settings);
    settings.extend(derived(loaded));
    settings.sort_by_key(|setting| sort_key(&setting.key));
    settings
}

/// The settings as TOML, one key to a line, each with its origin in a comment.
#[must_use]
pub fn text(settings: &[Setting]) -> String {
    let lines: Vec<String> = settings
        .iter()
        .map(|setting| format!("{} = {}", setting.key, toml_text(&setting.value)))
        .collect();
    let width = lines.iter().map(|line| line.chars().count()).filter(|w| *w <= MAX_WIDTH).max();
    let width = width.unwrap_or_default();
    let from = |(line, setting): (&String, &Setting)| format!("{line:width$}  # {}", setting.from);
    let lines: Vec<String> = lines.iter().zip(settings).map(from).collect();
    lines.join("\n") + "\n"
}

/// Longer lines have their comment after them, and do not push away those of the others.
const MAX_WIDTH: usize = 60;

/// `value` as TOML writes it within a line.
#[must_use]
pub fn toml_text(value: &Json) -> String {
    ::toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}

/// Numbers by their value, so that agent 10 follows agent 9.
fn sort_key(key: &str) -> Vec<(u64, String)> {
    let number = |part: &str| part.parse().unwrap_or(u64::MAX);
    let section = |part: &str| SECTIONS.iter().position(|section| *section == part);
    let section = |part: &str| section(part).map_or(u64::MAX, |position| position as u64);
    let parts = key.split('.').enumerate();
    parts
        .map(|(depth, part)| {
            (if depth == 0 { section(part) } else { number(part) }, part.to_owned())
        })
        .collect()
}

fn collect(loaded: &Loaded, tree: &Tree, path: &KeyPath, settings: &mut Vec<Setting>) {
    for (key, entry) in tree.table().into_iter().flatten() {
        let path = path.join(key);
        match &entry.tree.value {
            Value::Table(table)
                if !loaded.schema.is_atomic(&path.0) && !is_hidden(loaded, &path) =>
            {
                if table.is_empty() && path.0.len() > 1 {
                    continue;
                }
                collect(loaded, &entry.tree, &path, settings);
            }
            _ => settings.push(setting(loaded, &path, entry)),
        }
    }
}

fn is_hidden(loaded: &Loaded, path: &KeyPath) -> bool {
    loaded.schema.at(&path.0).is_some_and(is_secret)
}

fn setting(loaded: &Loaded, path: &KeyPath, entry: &Entry) -> Setting {
    let place = &entry.tree.place;
    let secret = is_hidden(loaded, path);
    Setting {
        key: path.0.iter().map(|key| quoted(key)).collect::<Vec<_>>().join("."),
        value: if secret { MASK.into() } else { entry.tree.to_json() },
        from: loaded.sources[place.source].describe(place.start),
        secret,
    }
}

/// A key as TOML wants it.
fn quoted(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let bare = !key.is_empty() && key.chars().all(is_bare);
    if bare { key.to_owned() } else { toml_text(&Json::String(key.to_owned())) }
}

fn derived(loaded: &Loaded) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut derive = |path: KeyPath, value: Json, from: String| {
        if loaded.tree.entry(&path.0).is_none() {
            settings.push(Setting { key: path.to_string(), value, from, secret: false });
        }
    };
    let file = loaded.sources.iter().find(|source| source.layer == Layer::File);
    let from = file.map_or("default".to_owned(), |file| format!("the name of {}", file.name));
    derive(KeyPath::new(["cluster", "name"]), loaded.cluster.name.as_str().into(), from);
    for node in &loaded.cluster.nodes {
        if loaded.tree.entry(&KeyPath::new(["node", node.name.as_str()]).0).is_some() {
            continue;
        }
        let from = || format!("ip and port of agent {}", node.id.0);
        derive(KeyPath::new(["node", node.name.as_str(), "id"]), node.id.0.into(), from());
        let address = node.address.to_string();
        derive(KeyPath::new(["node", node.name.as_str(), "address"]), address.into(), from());
    }
    settings
}
