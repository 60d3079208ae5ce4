//! One source against the schema: every key known, every value of its form and within its bounds.
//!
//! What is wrong is reported and taken out, so that the rest can be looked at as well.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value as Json;

use super::forms::{Form, GREATEST, LEAST};
use super::nearest::{any_of, nearest};
use super::place::KeyPath;
use super::problem::Problem;
use super::schema::{Schema, below, properties, words};
use super::tree::{Entry, Table, Tree, Value};
use super::units::{duration, size};

/// What a check found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Keys that were set, but wrongly, and are now missing for no other reason.
    pub spoiled: BTreeSet<KeyPath>,
}

/// Takes out of `tree` what `schema` does not allow, and says why.
pub fn check(schema: &Schema, tree: &mut Tree) -> Findings {
    let mut check = Check { schema, path: KeyPath::default(), found: Findings::default() };
    check.value(schema.root(), tree);
    check.found
}

/// The keys that the merged `tree` lacks, apart from those that were `spoiled`.
#[must_use]
pub fn missing(schema: &Schema, tree: &Tree, spoiled: &BTreeSet<KeyPath>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut open = vec![KeyPath::default()];
    while let Some(path) = open.pop() {
        let Some(table) = tree.at(&path.0).and_then(Tree::table) else { continue };
        open.extend(table.keys().map(|key| path.join(key)));
        let required = schema.at(&path.0).and_then(|schema| schema.get("required")?.as_array());
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            let wanted = path.join(name);
            if !table.contains_key(name) && !spoiled.contains(&wanted) {
                let help = schema.at(&wanted.0).map(first_sentence).unwrap_or_default();
                let problem =
                    Problem::new(tree.nearest(&path), format!("`{path}` has no `{name}`"));
                problems.push(problem.help(format!("`{name}`: {help}")));
            }
        }
    }
    problems
}

/// The first sentence of a key's documentation.
fn first_sentence(schema: &Json) -> String {
    let text = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    let text = text.replace('\n', " ");
    text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
}

struct Check<'a> {
    schema: &'a Schema,
    path: KeyPath,
    found: Findings,
}

impl Check<'_> {
    /// Whether `tree` is as `schema` says, at least after what is wrong below was taken out.
    fn value(&mut self, schema: &Json, tree: &mut Tree) -> bool {
        if let Some(branches) = schema.get("anyOf").and_then(Json::as_array) {
            let is_table = tree.table().is_some();
            let fits = branches.iter().find(|branch| (branch["type"] == "object") == is_table);
            return self.value(fits.unwrap_or(&branches[0]), tree);
        }
        match &mut tree.value {
            Value::Table(table) if is(schema, "object") => {
                self.table(schema, table);
                true
            }
            Value::List(items) if is(schema, "array") => {
                let items_schema = schema.get("items").cloned().unwrap_or(Json::Bool(true));
                let count = self.found.problems.len();
                items.retain_mut(|item| self.value(&items_schema, item));
                self.found.problems.len() == count
            }
            _ => self.scalar(schema, tree),
        }
    }

    fn table(&mut self, schema: &Json, table: &mut Table) {
        let mut kept = Table::new();
        for (key, mut entry) in std::mem::take(table) {
            self.path.0.push(key.clone());
            let allowed = match self.below(schema, &key) {
                Some(below) => {
                    self.key(schema, &key, &entry) && self.value(&below, &mut entry.tree)
                }
                None if takes_anything(schema) => self.anything(&entry.tree),
                None => self.unknown(schema, &key, &entry),
            };
            if allowed {
                kept.insert(key, entry);
            } else {
                self.found.spoiled.insert(self.path.clone());
            }
            self.path.0.pop();
        }
        *table = kept;
    }

    /// The schema of the value at `key`, to which the path leads already.
    fn below(&self, schema: &Json, key: &str) -> Option<Json> {
        if let [section, id, attr] = &self.path.0[..]
            && section == "agent"
            && attr == "attr"
            && let Some(schema) = self.schema.attr_of(id)
        {
            return Some(schema.clone());
        }
        below(schema, key).cloned()
    }

    /// Whether `key` is a name that the schema allows for keys that can be chosen freely.
    fn key(&mut self, schema: &Json, key: &str, entry: &Entry) -> bool {
        let is_free = schema.get("propertyNames").is_some();
        let (fits, rule) = match self.path.0[0].as_str() {
            "agent" => (key.parse::<u32>().is_ok_and(|id| id.to_string() == key), AGENT_RULE),
            _ => (is_name(key), NAME_RULE),
        };
        if is_free && !fits {
            let problem = Problem::new(entry.key.clone(), format!("`{key}` is not {rule}"));
            self.found.problems.push(problem);
        }
        !is_free || fits
    }

    /// JSON's null is the one thing that never is a value.
    fn anything(&mut self, tree: &Tree) -> bool {
        let is_null = tree.value == Value::Null;
        if is_null {
            let problem = Problem::new(tree.place.clone(), format!("{} is null", self.name()));
            self.found.problems.push(problem.help("leave out a key that has no value"));
        }
        !is_null
    }

    fn unknown(&mut self, schema: &Json, key: &str, entry: &Entry) -> bool {
        let keys: Vec<&str> = properties(schema).map(|(name, _)| name.as_str()).collect();
        let above = &self.path.0[..self.path.0.len() - 1];
        let within =
            if above.is_empty() { String::new() } else { format!(" in `{}`", above.join(".")) };
        let problem = Problem::new(entry.key.clone(), format!("there is no key `{key}`{within}"));
        let problem = if let Some(meant) = nearest(key, keys.iter().copied()) {
            let above = KeyPath(above.to_vec());
            self.found.spoiled.insert(above.join(meant));
            problem.label(format!("did you mean `{meant}`?"))
        } else if let Some(home) = home_of(self.schema.root(), key, &mut Vec::new()) {
            problem.label(format!("did you mean `{home}`?"))
        } else if keys.is_empty() {
            problem.help("it takes no keys")
        } else {
            problem.help(format!("the keys here are {}", any_of(keys).replace(" or ", " and ")))
        };
        self.found.problems.push(problem);
        false
    }

    fn scalar(&mut self, schema: &Json, tree: &Tree) -> bool {
        let verdict = match (&tree.value, Form::of(schema)) {
            (Value::Null, _) => return self.anything(tree),
            (Value::Text(text), Some(Form::Duration)) => in_range(schema, text, duration::parse),
            (Value::Text(text), Some(Form::Size)) => in_range(schema, text, size::parse),
            (Value::Text(text), Some(form @ Form::Ip)) => match text.parse::<IpAddr>() {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("expected {form}")),
            },
            (Value::Text(text), Some(form @ Form::Socket)) => match text.parse::<SocketAddr>() {
                Ok(address) if address.port() > 0 => Ok(()),
                _ => Err(format!("expected {form}")),
            },
            (Value::Integer(number), Some(form @ Form::Duration)) => {
                Err(wrong_unit(form, &duration::parse(&number.to_string())))
            }
            (Value::Integer(number), Some(form @ Form::Size)) => {
                Err(wrong_unit(form, &size::parse(&number.to_string())))
            }
            (Value::Text(text), None) if is(schema, "string") => is_word(schema, text),
            (Value::Integer(number), _) if is(schema, "integer") => in_bounds(schema, *number),
            (Value::Integer(number), _) if is(schema, "number") => in_reals(schema, *number as f64),
            (Value::Float(number), _) if is(schema, "number") => in_reals(schema, *number),
            (Value::Boolean(_), _) if is(schema, "boolean") => Ok(()),
            _ if schema.get("type").is_none() && words(schema).is_empty() => Ok(()),
            (Value::Text(text), _) if !words(schema).is_empty() => is_word(schema, text),
            (value, _) => Err(format!("expected {}, found {}", expected(schema), found(value))),
        };
        if let Err(label) = &verdict {
            let problem = Problem::new(tree.place.clone(), format!("{} is wrong", self.name()));
            self.found.problems.push(problem.label(label));
        }
        verdict.is_ok()
    }

    fn name(&self) -> String {
        format!("`{}`", self.path)
    }
}

const AGENT_RULE: &str =
    "the id of an agent: a number from 0 to 4294967295, without leading zeros, is";
const NAME_RULE: &str = "a name: 1 to 64 letters, digits, `-` or `_` are";

fn is_name(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&key.len()) && key.chars().all(allowed)
}

/// The full path of a key called `key`, wherever in the file's fixed tables it is.
fn home_of(schema: &Json, key: &str, path: &mut Vec<String>) -> Option<String> {
    for (name, below) in properties(schema) {
        path.push(name.clone());
        let found = if name == key { Some(path.join(".")) } else { home_of(below, key, path) };
        path.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

fn takes_anything(schema: &Json) -> bool {
    schema == &Json::Bool(true)
        || schema.get("additionalProperties") == Some(&Json::Bool(true))
        || schema.get("type").is_none()
        || schema["type"] == "object"
            && schema.get("properties").is_none()
            && schema.get("additionalProperties").is_none()
}

fn is(schema: &Json, name: &str) -> bool {
    match schema.get("type") {
        Some(Json::Array(types)) => types.iter().any(|one| one == name),
        Some(one) => one == name,
        None => schema.get("oneOf").is_none() && schema.get("enum").is_none(),
    }
}

fn is_word(schema: &Json, text: &str) -> Result<(), String> {
    let words = words(schema);
    if words.is_empty() || words.contains(&text) {
        return Ok(());
    }
    let list = any_of(words.iter().copied());
    Err(match nearest(text, words) {
        Some(meant) => format!("did you mean `{meant}`? It can be {list}"),
        None => format!("it can be {list}"),
    })
}

fn in_bounds(schema: &Json, number: i128) -> Result<(), String> {
    let bound = |name: &str| schema.get(name).and_then(Json::as_i64).map(i128::from);
    let least = bound("minimum").unwrap_or(i128::from(i64::MIN));
    let widest = match schema.get("format").and_then(Json::as_str) {
        Some("uint8") => i128::from(u8::MAX),
        Some("uint16") => i128::from(u16::MAX),
        Some("uint32") => i128::from(u32::MAX),
        _ => i128::from(i64::MAX),
    };
    let greatest = bound("maximum").unwrap_or(widest).min(widest);
    if (least..=greatest).contains(&number) {
        Ok(())
    } else {
        Err(format!("it can be {least} to {greatest}"))
    }
}

fn in_reals(schema: &Json, number: f64) -> Result<(), String> {
    let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
    let least = bound("minimum").unwrap_or(f64::NEG_INFINITY);
    let greatest = bound("maximum").unwrap_or(f64::INFINITY);
    if (least..=greatest).contains(&number) {
        Ok(())
    } else {
        Err(format!("it can be {least} to {greatest}"))
    }
}

fn in_range<T: PartialOrd>(
    schema: &Json,
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<(), String> {
    let value = parse(text)?;
    let bound = |name: &str| schema.get(name).and_then(Json::as_str);
    let read =
        |text: &str| parse(text).expect("the bounds in the schema are tested to be readable");
    let is_less = bound(LEAST).is_some_and(|least| value < read(least));
    let is_more = bound(GREATEST).is_some_and(|greatest| value > read(greatest));
    if is_less || is_more {
        let (least, greatest) = (bound(LEAST).unwrap_or("0"), bound(GREATEST).unwrap_or("any"));
        return Err(format!("it can be {least} to {greatest}"));
    }
    Ok(())
}

fn wrong_unit<T>(form: Form, parsed: &Result<T, String>) -> String {
    match parsed {
        Err(reason) => format!("{}, in quotes", reason.replace('`', "\"")),
        Ok(_) => format!("expected {form}, in quotes"),
    }
}

fn expected(schema: &Json) -> String {
    if let Some(form) = Form::of(schema) {
        return form.to_string();
    }
    let words = words(schema);
    if !words.is_empty() {
        return any_of(words);
    }
    match schema.get("type").and_then(Json::as_str) {
        Some("boolean") => "`true` or `false`",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("array") => "a list",
        Some("object") => "a table",
        _ => "a text in quotes",
    }
    .to_owned()
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => format!("`{value}`"),
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number:?}"),
        Value::Text(_) => "a text".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}
