//! Texts to trees.

pub mod assignment;
mod json;
mod seed;
mod toml;

use super::kind::Kinds;
use super::place::Source;
use super::problem::Problem;
use super::tree::Tree;

/// The document that `source`, the `index`th, is: JSON where its name ends in `.json` or it begins
/// with a brace, else TOML.
///
/// # Errors
/// If it cannot be read as such; every mistake is reported that can be.
pub fn file(source: &Source, index: usize, kinds: &Kinds) -> Result<Tree, Vec<Problem>> {
    let is_toml = source.name.ends_with(".toml");
    let is_json = source.name.ends_with(".json") || source.text.trim_start().starts_with('{');
    if is_json && !is_toml {
        json::parse(&source.text, index).map(|tree| seed::to_cluster_file(tree, kinds))
    } else {
        toml::parse(&source.text, index)
    }
}
