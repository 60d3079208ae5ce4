//! Taking a job.

use std::sync::Arc;

use super::event::Event;
use super::place::meets;
use super::{Config, Core};
use crate::client::{Answer, RequestError};
use crate::id::JobId;
use crate::job::{JobSpec, MAX_SPEC, Problem};

/// Bytes that the specifications of all jobs may take, in the journal and in memory.
pub const MAX_SPECS: u64 = 256 << 20;

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
        let has_room = self.state.spec_bytes + json.len() as u64 <= MAX_SPECS;
        if unended.saturating_add(tasks) > most || !has_room {
            return Err(RequestError::Full { tasks: unended, most });
        }
        let warnings = self.warnings(spec);
        let job = JobId(self.state.last_job + 1);
        if !dry_run {
            self.record(Event::Submitted { job, spec: Arc::from(json), by });
        }
        Ok(Answer::Submitted { job, is_repeat: false, warnings })
    }

    /// What is odd about a job, as that no node could run it.
    fn warnings(&self, spec: &JobSpec) -> Vec<String> {
        let Config { nodes, .. } = &self.config;
        let could = nodes.values().any(|node| meets(&spec.constraints, &node.name, &node.labels));
        if could {
            return Vec::new();
        }
        vec!["no node meets its constraints: it waits until one does".to_owned()]
    }
}
