//! Taking a job.

use std::sync::Arc;

use super::Core;
use super::event::Event;
use super::queue::Class;
use crate::client::{Answer, RequestError};
use crate::id::JobId;
use crate::job::{JobSpec, MAX_SPEC, Problem};

/// Bytes that all jobs may take, apart from their tasks: some 100,000 jobs of the usual kind.
pub const MAX_JOB_BYTES: u64 = 256 << 20;

/// What a job takes beside its specification, in bytes: measured by eye, and rounded up.
const BESIDE_SPEC: u64 = 2 << 10;

/// What a job takes of [`MAX_JOB_BYTES`].
pub fn bytes_of(json: &str) -> u64 {
    json.len() as u64 + BESIDE_SPEC
}

impl Core {
    /// Takes a job, or says why not.
    pub(super) fn submit(
        &mut self,
        spec: &JobSpec,
        by: String,
        dry_run: bool,
    ) -> Result<Answer, RequestError> {
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(RequestError::Invalid(problems));
        }
        let json = serde_json::to_string(spec).expect("it has text keys only");
        if json.len() > MAX_SPEC {
            let what = format!("it has {} bytes as JSON; at most {MAX_SPEC} are taken", json.len());
            return Err(RequestError::Invalid(vec![Problem { key: String::new(), what }]));
        }
        if serde_json::from_str(&json).ok().as_ref() != Some(spec) {
            let what = "a time or amount of it is too large to be written down exactly".to_owned();
            return Err(RequestError::Invalid(vec![Problem { key: String::new(), what }]));
        }
        if let Some(id) = &spec.request_id
            && let Some(&job) = self.state.requests.get(&(by.clone(), id.clone()))
        {
            let taken = self.state.job(job).expect("an id stands for a job that is there");
            if *taken.spec != *spec {
                return Err(RequestError::OtherJob { id: id.clone(), job });
            }
            return Ok(Answer::Submitted { job, is_repeat: true, warnings: Vec::new() });
        }
        let tasks: u64 = spec.indices().map_or(0, |ranges| {
            ranges.iter().map(|it| super::ranges::width(*it.start(), *it.end())).sum()
        });
        let (unended, most) = (self.state.unended, self.config.most_tasks);
        if unended.saturating_add(tasks) > most || !self.has_room_for(&json, dry_run) {
            return Err(RequestError::Full { tasks: unended, most });
        }
        let warnings = self.warnings(spec);
        let job = JobId(self.state.last_job + 1);
        if !dry_run {
            self.record(Event::Submitted { job, spec: Arc::from(json), by });
        }
        Ok(Answer::Submitted { job, is_repeat: false, warnings })
    }

    /// Whether there is room for a job's specification; those of jobs that have ended go for it.
    fn has_room_for(&mut self, json: &str, dry_run: bool) -> bool {
        let needed = bytes_of(json);
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
