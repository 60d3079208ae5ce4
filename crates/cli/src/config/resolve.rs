//! From the merged layers to the cluster.

mod agent;
mod node;

use std::collections::BTreeSet;
use std::path::Path;

use dx_agents::Directory;
use dx_transport::id::ClusterId;
use serde::de::DeserializeOwned;

use super::cluster::Cluster;
use super::file::ClusterTable;
use super::place::{KeyPath, Layer, Source};
use super::problem::Problem;
use super::rules::{self, Broken};
use super::schema::{Schema, is_agent};
use super::tree::{Entry, Tree};

/// The cluster that `tree` describes, and all that is wrong with it. There is no cluster only where
/// what is wrong has been reported already, or is in the list.
pub fn resolve(
    tree: &Tree,
    schema: &Schema,
    sources: &[Source],
) -> (Option<Cluster>, Vec<Problem>) {
    let mut resolver = Resolver { tree, broken: Vec::new(), unreadable: BTreeSet::new() };
    let cluster = resolver.cluster(sources);
    if let Some(cluster) = &cluster {
        resolver.broken.extend(rules::broken(cluster));
        resolver.broken.extend(references(tree, schema, cluster));
        // A kind may take for granted that what its schema says is so.
        if resolver.broken.is_empty() && resolver.unreadable.is_empty() {
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
    /// Names of nodes that are there, but wrong: whoever refers to them is not at fault.
    unreadable: BTreeSet<String>,
}

impl Resolver<'_> {
    fn cluster(&mut self, sources: &[Source]) -> Option<Cluster> {
        let entry = self.tree.table()?.get("cluster")?;
        let table: ClusterTable = read(entry)?;
        let name = self.name(table.name.as_deref(), sources)?;
        let mut nodes = self.nodes(&table.transport);
        let agents = self.agents(&table.transport, &mut nodes);
        nodes.sort_by_key(|node| node.id);
        Some(Cluster {
            name,
            transport: table.transport,
            insecure: table.insecure,
            timing: table.timing,
            dialing: table.dialing,
            bounds: table.bounds,
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

/// Attributes that name an agent which is not there.
fn references(tree: &Tree, schema: &Schema, cluster: &Cluster) -> Vec<Broken> {
    let mut broken = Vec::new();
    let agents = tree.entry(&["agent".to_owned()]).and_then(|entry| entry.tree.table());
    let exists = |id: i128| agents.is_some_and(|agents| agents.contains_key(&id.to_string()));
    for agent in &cluster.agents {
        let id = agent.id.0.to_string();
        let path = KeyPath::new(["agent", &id, "attr"]);
        let attr = tree.at(&path.0).and_then(Tree::table);
        for (key, entry) in attr.into_iter().flatten() {
            let path = path.join(key);
            if schema.at(&path.0).is_some_and(is_agent)
                && let super::tree::Value::Integer(target) = entry.tree.value
                && !exists(target)
            {
                let message =
                    format!("agent {id} has the {key} {target}, and there is no such agent");
                let known: Vec<&str> = agents
                    .into_iter()
                    .flatten()
                    .map(|(id, _)| id.as_str())
                    .take(MAX_LISTED)
                    .collect();
                let more = if agents.is_some_and(|agents| agents.len() > MAX_LISTED) {
                    ", ..."
                } else {
                    ""
                };
                broken.push(
                    Broken::new(path, message)
                        .help(format!("there are {}{more}", known.join(", "))),
                );
            }
        }
    }
    broken
}

/// How many agents an error lists.
const MAX_LISTED: usize = 16;

/// Agents that their own kinds do not accept.
fn refused(schema: &Schema, cluster: &Cluster) -> Vec<Broken> {
    let directory = Directory::new(cluster.agents.iter().cloned());
    let mut broken = Vec::new();
    for spec in &cluster.agents {
        if let Err(error) = schema.kinds().accept(spec, &directory) {
            let mut path = KeyPath::new(["agent", &spec.id.0.to_string(), "attr"]);
            path.0.extend(error.key.split('.').filter(|key| !key.is_empty()).map(str::to_owned));
            broken.push(Broken::new(path, error.message));
        }
    }
    broken
}

fn point_at(tree: &Tree, broken: &Broken) -> Problem {
    let problem = Problem::new(tree.nearest(&broken.path), &broken.message);
    let problem = match &broken.other {
        Some((path, label)) => problem.other(tree.nearest(path), *label),
        None => problem,
    };
    Problem { help: broken.help.clone(), ..problem }
}
