//! Values that are never shown.

use super::parse;
use super::place::Source;
use super::schema::{Schema, is_secret};
use super::tree::Tree;

/// `sources` with every secret in them overwritten by asterisks, byte for byte, so that places
/// stay right.
#[must_use]
pub fn mask(mut sources: Vec<Source>, schema: &Schema) -> Vec<Source> {
    let mut spans = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let tree = if source.layer.is_file() {
            parse::file(source, index, schema.kinds()).ok()
        } else {
            parse::assignment::parse(source, index, schema, &[]).ok()
        };
        if let Some(tree) = tree {
            collect(&tree, &mut Vec::new(), schema, &mut spans);
        }
    }
    for (index, start, end) in spans {
        let text = &mut sources[index].text;
        if let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) {
            *text = format!("{before}{}{after}", "*".repeat(end - start));
        }
    }
    sources
}

fn collect(
    tree: &Tree,
    path: &mut Vec<String>,
    schema: &Schema,
    spans: &mut Vec<(usize, usize, usize)>,
) {
    if schema.at(path).is_some_and(is_secret) {
        spans.push((tree.place.source, tree.place.start, tree.place.end));
        return;
    }
    for (key, entry) in tree.table().into_iter().flatten() {
        path.push(key.clone());
        collect(&entry.tree, path, schema, spans);
        path.pop();
    }
}
