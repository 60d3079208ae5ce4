//! The order of jobs that are submitted together: what others wait for comes first.

use std::collections::{BTreeMap, BTreeSet};

use super::{Dependency, JobRef, JobSpec, Jobs, Problem};

/// The most jobs in one submission. A guess: what has more is an array.
pub const MAX_JOBS: usize = 10_000;

/// The most names of a cycle that are said.
const MAX_SAID: usize = 20;

impl Jobs {
    /// Everything that is wrong with them, as far as they know themselves; nothing, if they can be
    /// taken by a cluster that has the other jobs that they name.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        if self.job.is_empty() {
            return vec![Problem::new("job", "there is none: give at least one")];
        }
        if self.job.len() > MAX_JOBS {
            let what =
                format!("there are {}; at most {MAX_JOBS} are taken at once", self.job.len());
            return vec![Problem::new("job", what)];
        }
        let mut problems = Vec::new();
        for (name, spec) in &self.job {
            let keyed = |it: Problem| Problem::new(format!("{}{}", prefix(name), it.key), it.what);
            problems.extend(spec.problems().into_iter().map(keyed));
            if let Err(what) = check_name(name) {
                problems.push(Problem::new(prefix(name).trim_end_matches('.'), what));
            }
        }
        problems.extend(in_order(&self.job).err().unwrap_or_default());
        problems
    }
}

/// A name that others can wait for.
fn check_name(name: &str) -> Result<(), String> {
    match name.parse::<Dependency>() {
        Ok(Dependency { job: JobRef::Name(it), each: false }) if it == name => Ok(()),
        Ok(Dependency { job: JobRef::Number(_), .. }) => {
            Err(format!("`{name}` is a number, as jobs have that were taken: use a word"))
        }
        _ => Err(format!(
            "`{name}` is no name: it is not empty, has no space around it, and does not end in `:each`"
        )),
    }
}

/// The names that a job waits for, with the key where it says so.
fn names(spec: &JobSpec) -> impl Iterator<Item = (String, &str)> {
    spec.after().filter_map(|(when, at, it)| match &it.job {
        JobRef::Name(name) => Some((format!("{}.{at}", when.key()), name.as_str())),
        JobRef::Number(_) => None,
    })
}

/// The jobs' names, each behind those of all that it waits for.
///
/// # Errors
/// Names that are none, and a cycle.
pub(crate) fn in_order(jobs: &BTreeMap<String, JobSpec>) -> Result<Vec<String>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, spec) in jobs {
        let count = left.entry(name).or_default();
        for (key, on) in names(spec) {
            if jobs.contains_key(on) {
                *count += 1;
                after.entry(on).or_default().push(name);
            } else {
                let what = format!("no job of this submission is named `{on}`");
                problems.push(Problem::new(format!("{}{key}", prefix(name)), what));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let free = left.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name);
    let mut ready: BTreeSet<&str> = free.collect();
    let mut order = Vec::new();
    while let Some(name) = ready.pop_first() {
        left.remove(name);
        order.push(name.to_owned());
        for &next in after.get(name).into_iter().flatten() {
            let count = left.get_mut(next).expect("it waits for this one still");
            *count -= 1;
            if *count == 0 {
                ready.insert(next);
            }
        }
    }
    if left.is_empty() { Ok(order) } else { Err(vec![cycle(jobs, &left)]) }
}

/// What stands before a key of a job in a submission of several; of a single job, nothing.
pub(crate) fn prefix(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("job.{name}.") }
}

/// A cycle among those that nothing can come before.
fn cycle(jobs: &BTreeMap<String, JobSpec>, left: &BTreeMap<&str, usize>) -> Problem {
    let next = |name: &str| {
        let of = |(key, on): (String, &str)| left.get_key_value(on).map(|(on, _)| (key, *on));
        names(&jobs[name]).find_map(of).expect("each of them waits for another")
    };
    let mut path: Vec<(&str, String)> = Vec::new();
    let mut at = *left.keys().next().expect("some are left");
    let begin = loop {
        if let Some(begin) = path.iter().position(|(name, _)| *name == at) {
            break begin;
        }
        let (key, on) = next(at);
        path.push((at, key));
        at = on;
    };
    let ring = &path[begin..];
    let (first, key) = &ring[0];
    let mut said: Vec<String> =
        ring.iter().skip(1).take(MAX_SAID).map(|(name, _)| format!("`{name}`")).collect();
    if ring.len() > MAX_SAID {
        said.push(format!("{} more", ring.len() - MAX_SAID - 1));
    }
    said.push(format!("`{first}`"));
    let what = format!("a cycle: `{first}` waits for {}", said.join(", which waits for "));
    Problem::new(format!("{}{key}", prefix(first)), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(edges: &[(&str, &[&str])]) -> BTreeMap<String, JobSpec> {
        let job = |(name, after): &(&str, &[&str])| {
            let after_ok = after.iter().map(|on| on.parse().unwrap()).collect();
            ((*name).to_owned(), JobSpec { after_ok, ..JobSpec::default() })
        };
        edges.iter().map(job).collect()
    }

    #[test]
    fn what_others_wait_for_comes_first() {
        let diamond = jobs(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]);
        assert_eq!(in_order(&diamond).unwrap(), ["d", "b", "c", "a"]);
    }

    #[test]
    fn a_cycle_is_named_and_nothing_beside_it() {
        let ring = jobs(&[("z", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a:each"])]);
        let problems = in_order(&ring).unwrap_err();
        let said = "a cycle: `a` waits for `b`, which waits for `c`, which waits for `a`";
        assert_eq!(problems, [Problem::new("job.a.after_ok.0", said)]);
        let own = in_order(&jobs(&[("a", &["a"])])).unwrap_err();
        assert_eq!(own[0].what, "a cycle: `a` waits for `a`");
    }

    #[test]
    fn every_name_that_is_none_is_told() {
        let problems = in_order(&jobs(&[("a", &["x"]), ("b", &["a", "y"])])).unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["job.a.after_ok.0", "job.b.after_ok.1"]);
    }
}
