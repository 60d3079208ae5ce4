//! Layers upon layers: which value wins, and where it came from.
//!
//! The `config` crate merges. A value goes in as its number in a list and comes out as that number,
//! so that nothing is converted on the way and its place is never lost.

use std::collections::BTreeMap;

use ::config::{Config, ConfigError, Map, Source, Value as Merged, ValueKind};

use super::place::Place;
use super::schema::Schema;
use super::tree::{Entry, Table, Tree, Value};

/// Merges `trees`, of which later ones win, key by key.
#[must_use]
pub fn merge(schema: &Schema, trees: &[&Tree]) -> Tree {
    let mut layering = Layering { schema, values: Vec::new(), headers: BTreeMap::new() };
    let mut builder = Config::builder();
    for tree in trees {
        let table = layering.encode_table(tree.table().unwrap_or(&Table::new()), &[]);
        builder = builder.add_source(Layer(table));
    }
    let merged = builder.build().expect("a layer in memory is always there");
    let table = merged.cache.into_table().expect("layers are tables, and so is what they merge to");
    let place = trees.first().map_or_else(Place::of_defaults, |tree| tree.place.clone());
    Tree { place, value: Value::Table(layering.decode_table(table, &[])) }
}

#[derive(Clone, Debug)]
struct Layer(Map<String, Merged>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Merged>, ConfigError> {
        Ok(self.0.clone())
    }
}

struct Layering<'a> {
    schema: &'a Schema,
    /// Every value of every layer; what is merged are indices of this list.
    values: Vec<Entry>,
    /// Where each table is first mentioned, defaults aside.
    headers: BTreeMap<Vec<String>, Place>,
}

impl Layering<'_> {
    fn encode_table(&mut self, table: &Table, path: &[String]) -> Map<String, Merged> {
        let mut map = Map::new();
        for (key, entry) in table {
            let path: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
            let kind = match &entry.tree.value {
                Value::Table(table) if !self.schema.is_atomic(&path) => {
                    let header = self.headers.entry(path.clone()).or_insert(entry.key.clone());
                    if header.source == Place::DEFAULTS {
                        *header = entry.key.clone();
                    }
                    ValueKind::Table(self.encode_table(table, &path))
                }
                _ => {
                    self.values.push(entry.clone());
                    ValueKind::U64(self.values.len() as u64 - 1)
                }
            };
            map.insert(key.clone(), Merged::new(None, kind));
        }
        map
    }

    fn decode_table(&self, map: Map<String, Merged>, path: &[String]) -> Table {
        map.into_iter()
            .map(|(key, value)| {
                let path: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
                let entry = match value.kind {
                    ValueKind::U64(index) => self.values[index as usize].clone(),
                    ValueKind::Table(map) => {
                        let place = self.headers[&path].clone();
                        let value = Value::Table(self.decode_table(map, &path));
                        Entry { key: place.clone(), tree: Tree { place, value } }
                    }
                    other => unreachable!("only numbers and tables went in, and not {other}"),
                };
                (key, entry)
            })
            .collect()
    }
}
