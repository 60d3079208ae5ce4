//! From the merged layers to the cluster.

mod agent;
mod node;
mod reference;

use std::collections::BTreeSet;
use std::path::Path;

use dx_agents::Directory;
use dx_transport::id::ClusterId;
use serde::de::DeserializeOwned;

use super::cluster::Cluster;
use super::file::ClusterTable;
use super::place::{KeyPath, Layer, Place, Source};
use super::problem::Problem;
use super::rules::{self, Broken};
use super::schema::Schema;
use super::settings::JobsTable;
use super::tree::{Entry, Tree};

/// The cluster that `tree` describes, and all that is wrong with it. There is no cluster only where
/// what is wrong has been reported already, or is in the list.
pub fn resolve(
    tree: &Tree,
    schema: &Schema,
    sources: &[Source],
    spoiled: &BTreeSet<KeyPath>,
    is_right_so_far: bool,
) -> (Option<Cluster>, Vec<Problem>) {
    let mut resolver = Resolver { tree, broken: Vec::new(), spoiled, unreadable: BTreeSet::new() };
    let cluster = resolver.cluster(sources);
    if let Some(cluster) = &cluster {
        resolver.broken.extend(rules::broken(cluster));
        resolver.broken.extend(reference::dangling(tree, schema));
        // A kind may take for granted that what its schema says is so.
        if is_right_so_far && resolver.broken.is_empty() && resolver.unreadable.is_empty() {
            resolver.broken.extend(refused(schema, cluster));
        }
    }
    let problems = resolver.broken.iter().map(|broken| point_at(tree, broken)).collect();
    (cluster, problems)
}

/// Reads one thing after the other; what cannot be read is noted and left out.
struct Resolver<'a> {
    tree: &'a Tree,
    broken: Vec<Broken>,
    /// Keys that were set, but wrongly.
    spoiled: &'a BTreeSet<KeyPath>,
    /// Names of nodes that are there, but wrong: whoever refers to them is not at fault.
    unreadable: BTreeSet<String>,
}

impl Resolver<'_> {
    fn cluster(&mut self, sources: &[Source]) -> Option<Cluster> {
        let entry = self.tree.table()?.get("cluster")?;
        let table: ClusterTable = read(entry)?;
        let jobs: JobsTable = read(self.tree.table()?.get("jobs")?)?;
        let mut nodes = self.nodes(&table.transport);
        let agents = self.agents(&table.transport, &mut nodes);
        nodes.sort_by_key(|node| node.id);
        Some(Cluster {
            name: self.name(table.name.as_deref(), sources)?,
            transport: table.transport,
            insecure: table.insecure,
            timing: table.timing,
            dialing: table.dialing,
            bounds: table.bounds,
            jobs,
            nodes,
            agents,
        })
    }

    /// The name that was given, or else that of the first cluster file.
    fn name(&mut self, given: Option<&str>, sources: &[Source]) -> Option<ClusterId> {
        let file = sources.iter().find(|source| source.layer == Layer::File);
        let stem = file.and_then(|file| Path::new(&file.name).file_stem()?.to_str());
        let name = given.or(stem).unwrap_or(DEFAULT_NAME);
        let parsed = name.parse::<ClusterId>();
        if let Err(error) = &parsed {
            let broken = Broken::new(KeyPath::new(["cluster", "name"]), error.to_string());
            self.broken.push(match given {
                Some(_) => broken,
                None => broken.help("it is the file's name: set `name` in `[cluster]`"),
            });
        }
        parsed.ok()
    }

    fn section(&self, name: &str) -> Vec<(String, Entry)> {
        let section = self.tree.table().and_then(|root| root.get(name)?.tree.table());
        section.into_iter().flatten().map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }
}

/// The cluster's name where neither a file nor a key gives one.
const DEFAULT_NAME: &str = "local";

/// `entry` as a type; `None` where it lacks what was found to be wrong.
fn read<T: DeserializeOwned>(entry: &Entry) -> Option<T> {
    serde_json::from_value(entry.tree.to_json()).ok()
}

/// Agents that their own kinds do not accept.
fn refused(schema: &Schema, cluster: &Cluster) -> Vec<Broken> {
    let directory = Directory::new(cluster.agents.iter().cloned());
    let mut broken = Vec::new();
    for spec in &cluster.agents {
        if let Err(error) = schema.kinds().accept(spec, &directory) {
            let mut path = KeyPath::new(["agent", &spec.id.0.to_string(), "attr"]);
            path.0.extend(error.key.split('.').filter(|key| !key.is_empty()).map(str::to_owned));
            broken.push(Broken::new(path, format!("agent {}: {}", spec.id.0, error.message)));
        }
    }
    broken
}

/// The problem, where somebody wrote something that is part of it.
fn point_at(tree: &Tree, broken: &Broken) -> Problem {
    let is_written = |place: &Place| place.source != Place::DEFAULTS;
    let place = tree.nearest(&broken.path);
    let is_exact = tree.entry(&broken.path.0).is_some_and(|entry| is_written(&entry.tree.place));
    let other = broken.other.as_ref().and_then(|(path, label)| {
        let entry = tree.entry(&path.0).filter(|entry| is_written(&entry.tree.place))?;
        Some((entry.tree.place.clone(), *label))
    });
    let problem = match other {
        Some((other, label)) if is_exact => {
            Problem::new(place, &broken.message).other(other, label)
        }
        Some((other, label)) => Problem::new(other, &broken.message).label(label),
        None => Problem::new(place, &broken.message),
    };
    let place = problem.place.clone().filter(is_written);
    Problem { help: broken.help.clone(), place, ..problem }
}
