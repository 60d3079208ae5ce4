//! From sources to a cluster, or to everything that is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{check, missing};
use super::cluster::Cluster;
use super::kind::Kinds;
use super::layers::merge;
use super::parse::{self, assignment};
use super::place::{Layer, Place, Source};
use super::problem::{Problem, Report};
use super::resolve::resolve;
use super::schema::Schema;
use super::secret;
use super::tree::Tree;

/// A configuration that is right.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub cluster: Cluster,
    /// Every value and its place: what `dx config show` prints.
    pub tree: Tree,
    /// What it was read from.
    pub sources: Vec<Source>,
    /// What it was checked against.
    pub schema: Schema,
}

/// Reads `sources`, of which later ones win within their layer, and checks them.
///
/// # Errors
/// If anything is wrong with them: all that can be found is in the report.
pub fn load(sources: Vec<Source>, kinds: &Kinds) -> Result<Loaded, Report> {
    let mut all = vec![Source::new(Layer::Default, "default", "")];
    all.extend(sources);
    all.sort_by_key(|source| source.layer); // stable: files stay in the order given
    let mut loading = Loading { schema: Schema::new(kinds), problems: Vec::new() };
    match loading.load(&all) {
        Some((cluster, tree)) if loading.problems.is_empty() => {
            Ok(Loaded { cluster, tree, sources: all, schema: loading.schema })
        }
        _ => Err(Report::new(secret::mask(all, &loading.schema), loading.problems)),
    }
}

struct Loading {
    schema: Schema,
    problems: Vec<Problem>,
}

impl Loading {
    fn load(&mut self, sources: &[Source]) -> Option<(Cluster, Tree)> {
        let (mut trees, is_readable) = self.parse(sources);
        self.schema.learn(trees.iter().map(|(_, tree)| tree));
        let mut spoiled = BTreeSet::new();
        for (_, tree) in &mut trees {
            let found = check(&self.schema, tree);
            self.problems.extend(found.problems);
            spoiled.extend(found.spoiled);
        }
        self.problems.extend(twice(sources, &trees));
        if !is_readable {
            return None; // What is missing may stand where nothing could be read.
        }
        let layers: Vec<&Tree> = trees.iter().map(|(_, tree)| tree).collect();
        let defaults = self.schema.defaults(&layers, &Place::of_defaults());
        let merged = merge(&self.schema, &[vec![&defaults], layers].concat());
        self.problems.extend(missing(&self.schema, &merged, &spoiled));
        let is_right_so_far = self.problems.is_empty();
        let (cluster, problems) =
            resolve(&merged, &self.schema, sources, &spoiled, is_right_so_far);
        self.problems.extend(problems);
        Some((cluster?, merged))
    }

    /// The trees of all sources that can be read, and whether all files can: they come first, since
    /// they name the nodes and agents that the others speak of.
    fn parse(&mut self, sources: &[Source]) -> (Vec<(usize, Tree)>, bool) {
        let mut trees = Vec::new();
        for (index, source) in sources.iter().enumerate().filter(|(_, s)| s.layer.is_file()) {
            match parse::file(source, index, self.schema.kinds()) {
                Ok(tree) => trees.push((index, tree)),
                Err(problems) => self.problems.extend(problems),
            }
        }
        let are_files_readable = self.problems.is_empty();
        self.schema.learn(trees.iter().map(|(_, tree)| tree));
        let files = trees.clone();
        let files: Vec<&Tree> = files.iter().map(|(_, tree)| tree).collect();
        for (index, source) in sources.iter().enumerate().filter(|(_, s)| s.layer > Layer::File) {
            match assignment::parse(source, index, &self.schema, &files) {
                Ok(tree) => {
                    self.schema.learn([&tree]);
                    trees.push((index, tree));
                }
                Err(problem) => self.problems.push(*problem),
            }
        }
        (trees, are_files_readable)
    }
}

/// Nodes and agents that two files define. A file may change keys of what another defines; it
/// defines it itself if it gives a node's `id` or an agent's `kind`.
fn twice(sources: &[Source], trees: &[(usize, Tree)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (section, key) in [("node", "id"), ("agent", "kind")] {
        let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
        for (index, tree) in trees {
            if !sources[*index].layer.is_file() {
                continue;
            }
            let table = tree.table().and_then(|root| root.get(section)?.tree.table());
            for (name, entry) in table.into_iter().flatten() {
                let Some(here) = entry.tree.table().and_then(|table| table.get(key)) else {
                    continue;
                };
                if let Some(earlier) = first.get(name.as_str()) {
                    problems.push(
                        Problem::new(
                            here.key.clone(),
                            format!("{section} `{name}` is defined twice"),
                        )
                        .other((*earlier).clone(), "it is defined here")
                        .help(format!("leave out `{key}` here to change the other keys only")),
                    );
                } else {
                    first.insert(name, &here.key);
                }
            }
        }
    }
    problems
}
