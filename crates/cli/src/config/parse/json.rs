//! JSON with places.
//!
//! `serde_json` lends each key and value as the slice of the text that it was read from; where a
//! slice lies is its place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::tree::{Entry, MAX_DEPTH, Table, Tree, Value};

/// The document that `text` is, as the `source`th source.
///
/// # Errors
/// If it is no JSON, names a key twice, or is nested too deeply.
pub fn parse(text: &str, source: usize) -> Result<Tree, Vec<Problem>> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let byte = byte_at(text, error.line(), error.column());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        let place = Place::new(source, byte..byte + 1);
        return Err(vec![Problem::new(place, format!("this is no JSON: {message}"))]);
    }
    let mut reader = Reader { text, source, problems: Vec::new() };
    let tree = reader.tree(text.trim_matches([' ', '\t', '\r', '\n']), 0);
    if reader.problems.is_empty() { Ok(tree) } else { Err(reader.problems) }
}

/// The byte that `serde_json` means; its columns count bytes.
fn byte_at(text: &str, line: usize, column: usize) -> usize {
    let lines: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut byte = (lines + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

struct Reader<'a> {
    text: &'a str,
    source: usize,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn place(&self, part: &str) -> Place {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        Place::new(self.source, start..start + part.len())
    }

    fn tree(&mut self, part: &'a str, depth: usize) -> Tree {
        let place = self.place(part);
        if depth > MAX_DEPTH {
            self.problems.push(Problem::new(place.clone(), "this is nested too deeply"));
            return Tree { place, value: Value::Null };
        }
        let value = match part.as_bytes()[0] {
            b'{' => Value::Table(self.table(part, depth)),
            b'[' => {
                let List(items) = valid(part);
                Value::List(items.iter().map(|item| self.tree(item.get(), depth + 1)).collect())
            }
            b'"' => Value::Text(valid(part)),
            b't' | b'f' => Value::Boolean(valid(part)),
            b'n' => Value::Null,
            _ => self.number(part),
        };
        Tree { place, value }
    }

    fn table(&mut self, part: &'a str, depth: usize) -> Table {
        let Map(entries) = valid(part);
        let mut table = Table::new();
        for (key, value) in entries {
            let place = self.place(key.get());
            let name: String = valid(key.get());
            let tree = self.tree(value.get(), depth + 1);
            let entry = Entry { key: place.clone(), tree };
            if let Some(earlier) = table.insert(name.clone(), entry) {
                let problem = Problem::new(place, format!("the key `{name}` is there twice"));
                self.problems.push(problem.other(earlier.key, "it is already here"));
            }
        }
        table
    }

    fn number(&mut self, part: &str) -> Value {
        let number: Option<Number> = serde_json::from_str(part).ok();
        let integer = number.as_ref().and_then(Number::as_i128).map(Value::Integer);
        let float = number.as_ref().and_then(Number::as_f64).map(Value::Float);
        integer.or(float).unwrap_or_else(|| {
            self.problems.push(Problem::new(self.place(part), "this number is too large"));
            Value::Null
        })
    }
}

fn valid<'a, T: Deserialize<'a>>(part: &'a str) -> T {
    serde_json::from_str(part)
        .expect("the whole text was found to be JSON before its parts are read")
}

struct List<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<'de>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(List(list))
            }
        }
        from.deserialize_seq(Items)
    }
}

/// A map's entries in order, those of equal keys included.
struct Map<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Map<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Map<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Map<'de>, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Map(map))
            }
        }
        from.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_has_its_place() {
        let text = "\n {\"a\": [1, \"ü\", {\"b\" : 2.5}],\n  \"c\\u0061\": true}\n";
        let tree = parse(text, 7).unwrap();
        let at = |place: &Place| &text[place.start..place.end];
        let table = tree.table().unwrap();
        assert_eq!((at(&table["a"].key), at(&table["ca"].key)), ("\"a\"", "\"c\\u0061\""));
        assert_eq!((at(&table["ca"].tree.place), table["ca"].key.source), ("true", 7));
        let Value::List(items) = &table["a"].tree.value else { panic!("not a list") };
        let parts: Vec<_> = items.iter().map(|item| at(&item.place)).collect();
        assert_eq!(parts, ["1", "\"ü\"", "{\"b\" : 2.5}"]);
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        let problems = parse("{\"a\": 1, \"a\": 2}", 0).unwrap_err();
        assert_eq!(problems[0].message, "the key `a` is there twice");
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow() {
        let text = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(parse(&text, 0).unwrap_err()[0].message.contains("too deeply"));
    }

    #[test]
    fn what_is_no_json_is_pointed_at() {
        let text = "{\"a\": 1,\n \"b\" 2}";
        let problem = &parse(text, 0).unwrap_err()[0];
        assert_eq!(problem.place, Some(Place::new(0, text.find('2').unwrap()..text.len() - 1)));
        assert!(parse("", 0).is_err());
    }
}
