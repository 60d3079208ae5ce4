//! Job files: read as cluster files are, checked against the schema of jobs.

use dx_scheduler::job::{self, JobSpec, Jobs};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use serde_path_to_error::Segment;

use super::check::check;
use super::layers::merge;
use super::parse::{self, assignment};
use super::place::{Layer, Place, Source};
use super::problem::{Problem, Report};
use super::schema::Schema;
use super::tree::{Tree, Value};

/// A job as files and `--set` say it.
#[derive(Clone, Debug)]
pub struct JobFile {
    /// What they say.
    pub spec: JobSpec,
    tree: Tree,
    sources: Vec<Source>,
}

/// Several jobs as a file and `--set` say them.
#[derive(Clone, Debug)]
pub struct JobsFile {
    /// What they say.
    pub jobs: Jobs,
    tree: Tree,
    sources: Vec<Source>,
}

/// Whether a file has several jobs: a table `job` of them. One that cannot be read has not.
#[must_use]
pub fn has_several(source: &Source) -> bool {
    parse::document(source, 0).is_ok_and(|tree| tree.entry(&["job".to_owned()]).is_some())
}

/// Reads a job: of at most one file, and what is `--set` over it.
///
/// # Errors
/// If a key is unknown or a value is not of its form. Whether it makes a sensible job is for
/// [`JobSpec::problems`].
pub fn read(sources: Vec<Source>) -> Result<JobFile, Report> {
    let (spec, tree, sources) = load(sources, &Schema::of_jobs())?;
    Ok(JobFile { spec, tree, sources })
}

/// Reads several jobs. Their `--set` keys begin with `job.` and the name of one.
///
/// # Errors
/// As [`read`]. Whether they make sensible jobs is for [`Jobs::problems`].
pub fn read_several(sources: Vec<Source>) -> Result<JobsFile, Report> {
    let (jobs, tree, sources) = load(sources, &Schema::of_several_jobs())?;
    Ok(JobsFile { jobs, tree, sources })
}

fn load<T: DeserializeOwned>(
    sources: Vec<Source>,
    schema: &Schema,
) -> Result<(T, Tree, Vec<Source>), Report> {
    let mut all = vec![Source::new(Layer::Default, "default", "")];
    all.extend(sources);
    let (mut trees, mut problems) = (Vec::new(), Vec::new());
    for (index, source) in all.iter().enumerate().skip(1) {
        let known: Vec<&Tree> = trees.iter().collect();
        let parsed = if source.layer.is_file() {
            parse::document(source, index)
        } else {
            assignment::parse(source, index, schema, &known).map_err(|problem| vec![*problem])
        };
        match parsed {
            Ok(mut tree) => {
                problems.extend(check(schema, &mut tree).problems);
                trees.push(tree);
            }
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(Report::new(all, problems));
    }
    let tree = merge(schema, &trees.iter().collect::<Vec<_>>());
    match serde_path_to_error::deserialize(tree.to_json()) {
        Ok(value) => Ok((value, tree, all)),
        Err(error) => {
            let keys = error.path().iter().map(segment).collect::<Vec<_>>();
            let place = place(&tree, &keys);
            let reason = error.inner().to_string();
            let name = error.path().to_string();
            let what = if keys.is_empty() { "the job".to_owned() } else { format!("`{name}`") };
            let problem = at(place, format!("{what} is wrong")).label(reason);
            Err(Report::new(all, vec![problem]))
        }
    }
}

impl JobFile {
    /// `problems` where they stand, if this is where they come from.
    #[must_use]
    pub fn report(&self, problems: &[job::Problem]) -> Report {
        report(&self.tree, &self.sources, &self.spec.problems(), problems)
    }
}

impl JobsFile {
    /// Everything that is wrong with the jobs, where it stands; `None`, if nothing is.
    #[must_use]
    pub fn problems(&self) -> Option<Report> {
        let problems = self.jobs.problems();
        let report = || report(&self.tree, &self.sources, &problems, &problems);
        (!problems.is_empty()).then(report)
    }
}

fn report(
    tree: &Tree,
    sources: &[Source],
    own: &[job::Problem],
    problems: &[job::Problem],
) -> Report {
    let shown = problems.iter().map(|problem| {
        let keys: Vec<String> = problem.key.split('.').map(str::to_owned).collect();
        let is_own = own.contains(problem);
        let place = if is_own { place(tree, &keys) } else { Place::of_defaults() };
        at(place, format!("`{}`: {}", problem.key, problem.what))
    });
    Report::new(sources.to_vec(), shown.collect())
}

fn at(place: Place, message: String) -> Problem {
    let is_written = place.source != Place::DEFAULTS;
    let problem = Problem::new(place.clone(), message);
    Problem { place: is_written.then_some(place), ..problem }
}

fn segment(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => index.to_string(),
        Segment::Map { key } => key.clone(),
        Segment::Enum { variant } => variant.clone(),
        Segment::Unknown => String::new(),
    }
}

/// The place of what stands at `keys`, or of the nearest above it.
fn place(tree: &Tree, keys: &[String]) -> Place {
    let Some((first, rest)) = keys.split_first() else { return tree.place.clone() };
    let below = match &tree.value {
        Value::Table(table) => table.get(first).map(|entry| (&entry.key, &entry.tree)),
        Value::List(items) => {
            first.parse().ok().and_then(|at: usize| items.get(at)).map(|item| (&item.place, item))
        }
        _ => None,
    };
    match below {
        Some((key, tree)) if rest.is_empty() && tree.table().is_some() => key.clone(),
        Some((_, tree)) => place(tree, rest),
        None => tree.place.clone(),
    }
}

/// `schema` with what has several forms written as our own checks understand it: options without
/// null, and an enumeration some of whose variants are tables as one table.
pub(super) fn plain(mut schema: Json) -> Json {
    let Some(object) = schema.as_object_mut() else { return schema };
    for value in object.values_mut() {
        *value = match value.take() {
            Json::Array(items) => Json::Array(items.into_iter().map(plain).collect()),
            other => plain(other),
        };
    }
    if let Some(Json::Array(types)) = object.get("type") {
        let mut some = types.iter().filter(|one| *one != "null").cloned();
        match (some.next(), some.next()) {
            (Some(one), None) => object.insert("type".to_owned(), one),
            // What may be of several types is for whoever reads it.
            _ => object.remove("type"),
        };
    }
    if let Some(Json::Array(branches)) = object.get("anyOf") {
        let mut some = branches.iter().filter(|branch| branch["type"] != "null");
        if let (Some(Json::Object(only)), None) = (some.next(), some.next()) {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Json::Array(branches)) = object.get("oneOf") {
        let (tables, words): (Vec<_>, Vec<_>) =
            branches.iter().cloned().partition(|branch| branch["type"] == "object");
        if !tables.is_empty() {
            object.remove("oneOf");
            let properties: serde_json::Map<String, Json> = tables
                .iter()
                .filter_map(|table| table["properties"].as_object().cloned())
                .flatten()
                .collect();
            let table = json!({
                "type": "object", "properties": properties, "additionalProperties": false,
            });
            if words.is_empty() {
                object.extend(table.as_object().cloned().unwrap_or_default());
            } else {
                object.insert("anyOf".to_owned(), json!([{ "oneOf": words }, table]));
            }
        }
    }
    schema
}
