//! What clients ask, and what they are answered.

use super::Core;
use crate::client::{Answer, Request, RequestError};

impl Core {
    /// Answers a request; [`Request::Watch`] with what is so now.
    pub fn request(&mut self, request: Request) -> Answer {
        self.answer(request).unwrap_or_else(Answer::Refused)
    }

    fn answer(&mut self, request: Request) -> Result<Answer, RequestError> {
        let changed = match request {
            Request::Submit { spec, by, dry_run } => return self.submit(*spec, &by, None, dry_run),
            Request::Call { spec, by, caller, dry_run } => {
                return self.submit(*spec, &by, Some(caller), dry_run);
            }
            Request::SubmitAll { jobs, by, caller, dry_run } => {
                return self.submit_all(jobs, &by, caller, dry_run);
            }
            Request::Wait { caller, jobs, leave } => return self.wait(caller, &jobs, leave),
            Request::Cancel { what, now, reason } => self.cancel(&what, now, reason.as_deref())?,
            Request::Retry { what, all } => self.retry(&what, all)?,
            Request::Hold(what) => self.hold(&what)?,
            Request::Release(what) => self.release(&what)?,
            Request::Priority(what, priority) => self.prioritise(&what, priority)?,
            Request::Remove { what, force } => self.remove(&what, force)?,
            Request::Drain { node, reason } => self.drain(node, reason)?,
            Request::Undrain(node) => self.undrain(node)?,
            Request::Jobs(query) => return Ok(self.jobs(&query)),
            Request::Job(id) => return Ok(Answer::Job(Box::new(self.job_view(id)?))),
            Request::Spec(id) => return Ok(Answer::Spec(self.job(id)?.spec.clone())),
            Request::Graph(query) => return self.graph(&query),
            Request::Tasks(query) => return self.tasks(&query),
            Request::Task(id) => return Ok(Answer::Task(Box::new(self.task_view(id)?))),
            Request::Explain(id) => return self.explain(id),
            Request::Valid(id) => return Ok(Answer::Valid(self.validity(id)?)),
            Request::Watch { job, .. } => {
                let job = job.map(|id| self.job_view(id)).transpose()?.map(Box::new);
                return Ok(Answer::Changed { version: self.live.version, job });
            }
            Request::Nodes => return Ok(Answer::Nodes(self.nodes())),
        };
        Ok(Answer::Done { changed })
    }
}
