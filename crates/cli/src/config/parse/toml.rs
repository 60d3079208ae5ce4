//! TOML with places.

use ::toml::Spanned;
use ::toml::de::{DeArray, DeTable, DeValue};

use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::tree::{Entry, MAX_DEPTH, Table, Tree, Value};

/// The document that `text` is, as the `source`th source.
///
/// # Errors
/// If it is no TOML (every mistake is reported), has a date or time, or is nested too deeply.
pub fn parse(text: &str, source: usize) -> Result<Tree, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let problem = |error: ::toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        let message = format!("this is no TOML: {}", error.message().replace('\n', ", "));
        Problem::new(Place::new(source, span), message)
    };
    let problems: Vec<Problem> = errors.into_iter().map(problem).collect();
    if !problems.is_empty() {
        return Err(problems); // Values that were mended to go on are not what somebody wrote.
    }
    let mut reader = Reader { source, problems };
    let place = Place::new(source, document.span());
    let value = Value::Table(reader.table(document.get_ref(), 0));
    if reader.problems.is_empty() { Ok(Tree { place, value }) } else { Err(reader.problems) }
}

struct Reader {
    source: usize,
    problems: Vec<Problem>,
}

impl Reader {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Table {
        let mut entries = Table::new();
        for (key, value) in table {
            let tree = self.tree(value, depth + 1);
            let key_place = Place::new(self.source, key.span());
            entries.insert(key.get_ref().to_string(), Entry { key: key_place, tree });
        }
        entries
    }

    fn list(&mut self, list: &DeArray<'_>, depth: usize) -> Vec<Tree> {
        list.iter().map(|item| self.tree(item, depth + 1)).collect()
    }

    fn tree(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Tree {
        let place = Place::new(self.source, value.span());
        if depth > MAX_DEPTH {
            self.problems.push(Problem::new(place.clone(), "this is nested too deeply"));
            return Tree { place, value: Value::Null };
        }
        let read = match value.get_ref() {
            DeValue::Boolean(value) => Ok(Value::Boolean(*value)),
            DeValue::String(text) => Ok(Value::Text(text.to_string())),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map(Value::Integer)
                .map_err(|_| "this number is too large"),
            DeValue::Float(number) => {
                number.as_str().parse().map(Value::Float).map_err(|_| "this number cannot be read")
            }
            DeValue::Datetime(_) => Err("no key takes a date or time: write a text"),
            DeValue::Array(list) => Ok(Value::List(self.list(list, depth))),
            DeValue::Table(table) => Ok(Value::Table(self.table(table, depth))),
        };
        let value = read.unwrap_or_else(|message| {
            self.problems.push(Problem::new(place.clone(), message));
            Value::Null
        });
        Tree { place, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_has_its_place() {
        let text = "[cluster]\nname = 'a'\n[cluster.timing]\nsilence = \"3s\"\n";
        let tree = parse(text, 0).unwrap();
        let at = |place: &Place| &text[place.start..place.end];
        let path = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        let silence = tree.entry(&path(&["cluster", "timing", "silence"])).unwrap();
        assert_eq!((at(&silence.key), at(&silence.tree.place)), ("silence", "\"3s\""));
        let timing = tree.entry(&path(&["cluster", "timing"])).unwrap();
        assert_eq!(at(&timing.key), "timing");
    }

    #[test]
    fn all_mistakes_are_reported_and_not_only_the_first() {
        let problems = parse("a = \nb = 1\nc = [1,\nd 5\n", 0).unwrap_err();
        assert!(problems.len() >= 2, "{problems:?}");
    }

    #[test]
    fn numbers_are_read_whatever_their_base() {
        let tree = parse("a = 0xff\nb = 1_000\nc = -3", 0).unwrap();
        let value = |key: &str| tree.table().unwrap()[key].tree.value.clone();
        assert_eq!(value("a"), Value::Integer(255));
        assert_eq!(value("b"), Value::Integer(1000));
        assert_eq!(value("c"), Value::Integer(-3));
    }
}
