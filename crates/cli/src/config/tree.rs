//! A document as it was written: values, each with its place.

use std::collections::BTreeMap;

use serde_json::Number;

use super::place::{KeyPath, Place};

/// How deep tables and lists may be nested. A cluster file needs six levels; attributes may need
/// a few of their own.
pub const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// Where the value is. Of a table with a header: the header.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// A value, of TOML or JSON alike.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: only JSON can say it, and no key accepts it.
    Null,
    /// True or false.
    Boolean(bool),
    /// A number without a fraction.
    Integer(i128),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A table.
    Table(Table),
}

/// A table's entries by key.
pub type Table = BTreeMap<String, Entry>;

/// A key of a table with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key is.
    pub key: Place,
    /// What it is set to.
    pub tree: Tree,
}

impl Tree {
    /// An empty table.
    #[must_use]
    pub fn empty(place: Place) -> Self {
        Self { place, value: Value::Table(Table::new()) }
    }

    /// The entries, if it is a table.
    #[must_use]
    pub fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Sets a key. Does nothing if this is not a table.
    pub fn insert(&mut self, key: String, entry: Entry) {
        if let Value::Table(table) = &mut self.value {
            table.insert(key, entry);
        }
    }

    /// What stands at `path`, which may be empty.
    #[must_use]
    pub fn at(&self, path: &[String]) -> Option<&Self> {
        if path.is_empty() { Some(self) } else { self.entry(path).map(|entry| &entry.tree) }
    }

    /// What stands at `path` below, with its key.
    #[must_use]
    pub fn entry(&self, path: &[String]) -> Option<&Entry> {
        let (first, rest) = path.split_first()?;
        let entry = self.table()?.get(first)?;
        if rest.is_empty() { Some(entry) } else { entry.tree.entry(rest) }
    }

    /// The place that tells most about `path`: of the value, else of the nearest key above it that
    /// somebody wrote.
    #[must_use]
    pub fn nearest(&self, path: &KeyPath) -> Place {
        let mut place = &self.place;
        for end in 1..=path.0.len() {
            let Some(entry) = self.entry(&path.0[..end]) else { break };
            let is_value = end == path.0.len() && entry.tree.table().is_none();
            let here = if is_value { &entry.tree.place } else { &entry.key };
            if here.source != Place::DEFAULTS {
                place = here;
            }
        }
        place.clone()
    }

    /// The value without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Boolean(value) => Json::Bool(*value),
            Value::Integer(value) => Number::from_i128(*value).map_or(Json::Null, Json::Number),
            Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(list) => list.iter().map(Self::to_json).collect(),
            Value::Table(table) => Json::Object(
                table.iter().map(|(k, entry)| (k.clone(), entry.tree.to_json())).collect(),
            ),
        }
    }

    /// What was made by a program, as a tree; all of it at one place.
    #[must_use]
    pub fn of_json(json: serde_json::Value, place: &Place) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Boolean(value),
            Json::Number(number) => number
                .as_i128()
                .map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Integer),
            Json::String(text) => Value::Text(text),
            Json::Array(list) => {
                Value::List(list.into_iter().map(|item| Self::of_json(item, place)).collect())
            }
            Json::Object(map) => Value::Table(
                map.into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| {
                        let tree = Self::of_json(value, place);
                        (key, Entry { key: place.clone(), tree })
                    })
                    .collect(),
            ),
        };
        Self { place: place.clone(), value }
    }
}
