//! The schema of a cluster file, and of a job file, as JSON Schema. Editors read it, and so do our own checks: what
//! an editor accepts and what `dx` accepts cannot drift apart.

use std::collections::BTreeMap;

use dx_scheduler::job::{JobSpec, Jobs};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::file::File;
use super::forms::{Form, KEYWORD};
use super::job_file;
use super::kind::Kinds;
use super::place::Place;
use super::tree::{Entry, Tree};

/// The schema of a type, without references.
#[must_use]
pub fn of<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().into()
}

/// What a configuration may say, given the kinds of agents and which agent is of which.
#[derive(Clone, Debug)]
pub struct Schema {
    root: Value,
    kinds: Kinds,
    kind_of: BTreeMap<String, String>,
}

impl Schema {
    /// The schema of cluster files whose agents are of `kinds`.
    #[must_use]
    pub fn new(kinds: &Kinds) -> Self {
        let mut root = of::<File>();
        root["title"] = json!("dx cluster file");
        let agent = &mut root["properties"]["agent"]["additionalProperties"];
        agent["properties"]["kind"]["enum"] = kinds.names().collect();
        let described = kinds.names().filter_map(|name| Some((name, kinds.schema(name)?)));
        let by_kind: Vec<Value> = described
            .map(|(name, schema)| {
                json!({
                    "if": { "properties": { "kind": { "const": name } }, "required": ["kind"] },
                    "then": { "properties": { "attr": schema } },
                })
            })
            .collect();
        if !by_kind.is_empty() {
            agent["allOf"] = by_kind.into();
        }
        Self { root, kinds: kinds.clone(), kind_of: BTreeMap::new() }
    }

    /// The schema of job files.
    #[must_use]
    pub fn of_jobs() -> Self {
        let mut root = job_file::plain(of::<JobSpec>());
        root["title"] = json!("dx job file");
        Self { root, kinds: Kinds::new(), kind_of: BTreeMap::new() }
    }

    /// The schema of files of several jobs.
    #[must_use]
    pub fn of_several_jobs() -> Self {
        let mut root = job_file::plain(of::<Jobs>());
        root["title"] = json!("dx job file");
        Self { root, kinds: Kinds::new(), kind_of: BTreeMap::new() }
    }

    /// Whether the document has keys of its own, outside of all tables.
    #[must_use]
    pub fn has_plain_keys(&self) -> bool {
        properties(&self.root).any(|(_, schema)| schema["type"] != "object")
    }

    /// Learns from `trees` of which kind each agent is; the last to say so is right.
    pub fn learn<'a>(&mut self, trees: impl IntoIterator<Item = &'a Tree>) {
        for tree in trees {
            let agents = tree.entry(&["agent".to_owned()]).and_then(|entry| entry.tree.table());
            for (id, entry) in agents.into_iter().flatten() {
                let kind = entry.tree.entry(&["kind".to_owned()]);
                if let Some(kind) = kind.and_then(|kind| kind.tree.text()) {
                    self.kind_of.insert(id.clone(), kind.to_owned());
                }
            }
        }
    }

    /// The kinds of agents.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The whole, for editors.
    #[must_use]
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// What `path` may be; `None` if no such key is known, or anything may stand there.
    #[must_use]
    pub fn at(&self, path: &[String]) -> Option<&Value> {
        if let [section, id, attr, rest @ ..] = path
            && section == "agent"
            && attr == "attr"
            && let Some(schema) = self.attr_of(id)
        {
            return rest.iter().try_fold(schema, |schema, key| below(schema, key));
        }
        path.iter().try_fold(&self.root, |schema, key| below(schema, key))
    }

    /// What the `attr` of an agent may be, if its kind says so.
    #[must_use]
    pub fn attr_of(&self, id: &str) -> Option<&Value> {
        self.kinds.schema(self.kind_of.get(id)?)
    }

    /// Whether what stands at `path` is replaced as a whole, and not key by key.
    #[must_use]
    pub fn is_atomic(&self, path: &[String]) -> bool {
        self.at(path).is_some_and(|schema| schema.get("anyOf").is_some())
    }

    /// The lowest layer: every default, also of the nodes and agents that `trees` name. All of it
    /// at `place`.
    #[must_use]
    pub fn defaults(&self, trees: &[&Tree], place: &Place) -> Tree {
        let mut defaults = Tree::empty(place.clone());
        self.fill(&mut defaults, &[], trees, place);
        defaults
    }

    fn fill(&self, into: &mut Tree, path: &[String], trees: &[&Tree], place: &Place) {
        let Some(schema) = self.at(path) else { return };
        let mut names: Vec<String> = properties(schema).map(|(name, _)| name.clone()).collect();
        if schema.get("additionalProperties").is_some_and(Value::is_object) {
            let tables = trees.iter().filter_map(|tree| tree.at(path)?.table());
            names.extend(tables.flat_map(|table| table.keys().cloned()));
        }
        for name in names {
            let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
            let Some(schema) = self.at(&path) else { continue };
            let tree = if schema["type"] == "object" {
                let mut table = Tree::empty(place.clone());
                self.fill(&mut table, &path, trees, place);
                table
            } else {
                match schema.get("default") {
                    None | Some(Value::Null) => continue,
                    Some(default) => Tree::of_json(default.clone(), place),
                }
            };
            into.insert(name, Entry { key: place.clone(), tree });
        }
    }
}

/// The properties of an object's schema.
pub fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The schema of the value at `key` of an object.
#[must_use]
pub fn below<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(key));
    named.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
}

/// The words that a value may be, if it must be one of several.
#[must_use]
pub fn words(schema: &Value) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let described = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    listed.chain(described.filter_map(|one| one.get("const"))).filter_map(Value::as_str).collect()
}

/// Whether a value must never be shown.
#[must_use]
pub fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

/// Whether a value is the id of an agent.
#[must_use]
pub fn is_agent(schema: &Value) -> bool {
    schema.get(KEYWORD).is_some() && Form::of(schema) == Some(Form::Agent)
}
