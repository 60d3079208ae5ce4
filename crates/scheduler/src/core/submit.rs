//! Taking jobs: one, or several that wait for each other.

mod calls;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Core;
use super::event::Event;
use super::graph::{MAX_CHAIN, MAX_DEPENDANTS};
use super::queue::Class;
use super::ranges::{IndexSet, width};
use crate::client::{Answer, RequestError, Taken};
use crate::id::{AttemptId, JobId};
use crate::job::{JobRef, JobSpec, Jobs, MAX_SPEC, Problem, in_order, prefix};

/// Bytes that all jobs may take, apart from their tasks: some 100,000 jobs of the usual kind.
pub const MAX_JOB_BYTES: u64 = 256 << 20;

/// What a job takes beside its specification, in bytes: measured by eye, and rounded up.
const BESIDE_SPEC: u64 = 2 << 10;

/// What a job takes of [`MAX_JOB_BYTES`].
pub fn bytes_of(json: &str) -> u64 {
    json.len() as u64 + BESIDE_SPEC
}

/// A job that is to be taken, or was.
struct Planned {
    name: String,
    id: JobId,
    /// It was taken before.
    is_repeat: bool,
    spec: JobSpec,
    json: String,
    indices: Vec<RangeInclusive<u32>>,
    depth: u32,
}

impl Core {
    /// Takes a job, or says why not.
    pub(super) fn submit(
        &mut self,
        spec: JobSpec,
        by: &str,
        caller: Option<AttemptId>,
        dry_run: bool,
    ) -> Result<Answer, RequestError> {
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(RequestError::Invalid(problems));
        }
        let planned = self.plan(BTreeMap::from([(String::new(), spec)]), by, caller)?;
        let (mut taken, warnings) = self.take(planned, by, caller, dry_run)?;
        let (_, Taken { job, is_repeat }) = taken.pop_first().expect("it was one");
        Ok(Answer::Submitted { job, is_repeat, warnings })
    }

    /// Takes several jobs, or none of them, and says why not.
    pub(super) fn submit_all(
        &mut self,
        jobs: BTreeMap<String, JobSpec>,
        by: &str,
        caller: Option<AttemptId>,
        dry_run: bool,
    ) -> Result<Answer, RequestError> {
        let jobs = Jobs { job: jobs };
        let problems = jobs.problems();
        if !problems.is_empty() {
            return Err(RequestError::Invalid(problems));
        }
        let named = jobs.job.into_iter().map(|(name, mut spec)| {
            spec.name = spec.name.or_else(|| Some(name.clone()));
            (name, spec)
        });
        let planned = self.plan(named.collect(), by, caller)?;
        let (jobs, warnings) = self.take(planned, by, caller, dry_run)?;
        Ok(Answer::AllSubmitted { jobs, warnings })
    }

    fn take(
        &mut self,
        planned: Vec<Planned>,
        by: &str,
        caller: Option<AttemptId>,
        dry_run: bool,
    ) -> Result<(BTreeMap<String, Taken>, Vec<String>), RequestError> {
        let new = || planned.iter().filter(|job| !job.is_repeat);
        let ranges = new().flat_map(|job| &job.indices);
        let tasks: u64 = ranges.map(|it| width(*it.start(), *it.end())).sum();
        let bytes = new().map(|job| bytes_of(&job.json)).sum();
        let (unended, most) = (self.state.unended, self.config.most_tasks);
        if unended.saturating_add(tasks) > most || !self.has_room_for(bytes, dry_run) {
            return Err(RequestError::Full { tasks: unended, most });
        }
        let (mut taken, mut warnings) = (BTreeMap::new(), Vec::new());
        for job in planned {
            let Planned { name, id, is_repeat, spec, json, .. } = job;
            if !is_repeat {
                let said = self.warnings(&spec).into_iter();
                warnings.extend(said.map(|said| match name.as_str() {
                    "" => said,
                    name => format!("`{name}`: {said}"),
                }));
            }
            if !is_repeat && !dry_run {
                self.record(Event::Submitted { job: id, spec: Arc::from(json), by: by.to_owned() });
            }
            if let Some(caller) = caller.filter(|_| !dry_run) {
                self.call(id, caller);
            }
            taken.insert(name, Taken { job: id, is_repeat });
        }
        Ok((taken, warnings))
    }

    /// What is to be taken, in the order of its numbers; or all that is wrong with it.
    fn plan(
        &self,
        jobs: BTreeMap<String, JobSpec>,
        by: &str,
        caller: Option<AttemptId>,
    ) -> Result<Vec<Planned>, RequestError> {
        let mut problems = Vec::new();
        if let Some(caller) = caller {
            self.check_caller(caller, jobs.len())?;
        }
        let order = in_order(&jobs).map_err(RequestError::Invalid)?;
        let mut jobs = jobs;
        let mut planned: Vec<Planned> = Vec::new();
        let (mut names, mut numbers) = (BTreeMap::new(), BTreeMap::new());
        let mut next = JobId(self.state.last_job + 1);
        for name in order {
            let mut spec = jobs.remove(&name).expect("it was put in order");
            for it in spec.after_mut() {
                if let JobRef::Name(on) = &it.job {
                    it.job = JobRef::Number(names[on]);
                }
            }
            let mut job = self.plan_one(name, spec, by, next)?;
            if let Some(caller) = caller.filter(|_| !job.is_repeat)
                && let Some(child) = self.asked_before(&job.spec, caller, &planned)
            {
                (job.id, job.is_repeat) = (child, true);
            }
            if !job.is_repeat {
                next = JobId(next.0 + 1);
                let with = |on: JobId| numbers.get(&on).map(|at: &usize| &planned[*at]);
                self.plan_after(&mut job, with, &mut problems);
                numbers.insert(job.id, planned.len());
            }
            names.insert(job.name.clone(), job.id);
            planned.push(job);
        }
        if problems.is_empty() { Ok(planned) } else { Err(RequestError::Invalid(problems)) }
    }

    fn plan_one(
        &self,
        name: String,
        spec: JobSpec,
        by: &str,
        next: JobId,
    ) -> Result<Planned, RequestError> {
        let wrong = |what: String| {
            RequestError::Invalid(vec![Problem::new(prefix(&name).trim_end_matches('.'), what)])
        };
        let json = serde_json::to_string(&spec).expect("it has text keys only");
        if json.len() > MAX_SPEC {
            let what = format!("it has {} bytes as JSON; at most {MAX_SPEC} are taken", json.len());
            return Err(wrong(what));
        }
        if serde_json::from_str(&json).ok().as_ref() != Some(&spec) {
            let what = "a time or amount of it is too large to be written down exactly".to_owned();
            return Err(wrong(what));
        }
        let (mut id, mut is_repeat) = (next, false);
        if let Some(request) = &spec.request_id
            && let Some(&job) = self.state.requests.get(&(by.to_owned(), request.clone()))
        {
            let taken = self.state.job(job).expect("an id stands for a job that is there");
            if *taken.spec != spec {
                return Err(RequestError::OtherJob { id: request.clone(), job });
            }
            (id, is_repeat) = (job, true);
        }
        let indices = spec.indices().expect("it was checked");
        Ok(Planned { name, id, is_repeat, spec, json, indices, depth: 0 })
    }

    /// Looks at what a job waits for: whether it is there, and what of it is too much.
    fn plan_after<'a>(
        &self,
        job: &mut Planned,
        with: impl Fn(JobId) -> Option<&'a Planned>,
        problems: &mut Vec<Problem>,
    ) {
        let mut depth = 0;
        for (when, at, it) in job.spec.after() {
            let mut wrong = |what: String| {
                let key = format!("{}{}.{at}", prefix(&job.name), when.key());
                problems.push(Problem::new(key, what));
            };
            let JobRef::Number(on) = it.job else { continue };
            let (with, before) = (with(on), self.state.job(on));
            let before_depth = before.map(|before| before.ties.depth);
            let Some(on_depth) = with.map(|with| with.depth).or(before_depth) else {
                wrong(format!("there is no job {on}"));
                continue;
            };
            depth = depth.max(on_depth + 1);
            if self.state.graph.width(on) >= MAX_DEPENDANTS {
                let what = format!("{MAX_DEPENDANTS} jobs wait for job {on}, which is the most");
                wrong(format!("{what}: put a job between"));
            }
            let outside = |job: &Planned| match (with, before) {
                (Some(with), _) => {
                    let ranges = with.indices.iter().map(|it| (*it.start(), *it.end()));
                    first_outside(&job.indices, ranges)
                }
                (None, Some(before)) => first_outside(&job.indices, before.indices.ranges()),
                (None, None) => None,
            };
            if it.each
                && let Some(index) = outside(job)
            {
                wrong(format!(
                    "job {on} has no task {index}, for which that of this job could wait"
                ));
            }
        }
        if depth > MAX_CHAIN {
            let what = format!("the chain of jobs before it is {depth} long; {MAX_CHAIN} is most");
            problems.push(Problem::new(prefix(&job.name).trim_end_matches('.'), what));
        }
        job.depth = depth;
    }

    /// Whether there is room for so many bytes of jobs; those that have ended go for it.
    fn has_room_for(&mut self, needed: u64, dry_run: bool) -> bool {
        while self.state.job_bytes + needed > MAX_JOB_BYTES {
            let Some((_, first)) = self.state.ended.first().filter(|_| !dry_run) else {
                return dry_run && !self.state.ended.is_empty();
            };
            self.record(Event::Removed(*first));
        }
        true
    }

    /// What is odd about a job, as that no node could run it.
    fn warnings(&self, spec: &JobSpec) -> Vec<String> {
        match self.nodes_that_could(&Class::of(spec)) {
            // Of nodes that were not heard yet, nobody knows.
            Err(cause) if cause.code != "no_node_heard" => {
                vec![format!("{}: it waits until that is otherwise", cause.what)]
            }
            _ => Vec::new(),
        }
    }
}

/// The first of these indices that is in none of the ranges.
fn first_outside(
    indices: &[RangeInclusive<u32>],
    ranges: impl Iterator<Item = (u32, u32)>,
) -> Option<u32> {
    let mut rest: IndexSet = indices.iter().map(|it| (*it.start(), *it.end())).collect();
    ranges.for_each(|(first, last)| rest.remove(first, last));
    rest.ranges().next().map(|(first, _)| first)
}
