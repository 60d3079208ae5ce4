//! Texts to trees.

pub mod assignment;
mod json;
mod seed;
mod toml;

use std::ffi::OsStr;
use std::path::Path;

use super::kind::Kinds;
use super::place::Source;
use super::problem::Problem;
use super::tree::Tree;

/// The cluster file that `source`, the `index`th, is.
///
/// # Errors
/// As [`document`].
pub fn file(source: &Source, index: usize, kinds: &Kinds) -> Result<Tree, Vec<Problem>> {
    let tree = document(source, index)?;
    Ok(if is_json(source) { seed::to_cluster_file(tree, kinds) } else { tree })
}

/// The document that `source`, the `index`th, is: JSON where its name ends in `.json` or it begins
/// with a brace, else TOML.
///
/// # Errors
/// If it cannot be read as such; every mistake is reported that can be.
pub fn document(source: &Source, index: usize) -> Result<Tree, Vec<Problem>> {
    if is_json(source) {
        json::parse(&source.text, index)
    } else {
        toml::parse(&source.text, index)
    }
}

fn is_json(source: &Source) -> bool {
    let extension = Path::new(&source.name).extension().map(OsStr::to_ascii_lowercase);
    match extension.as_ref().and_then(|name| name.to_str()) {
        Some("json") => true,
        Some("toml") => false,
        _ => source.text.trim_start().starts_with('{'),
    }
}
