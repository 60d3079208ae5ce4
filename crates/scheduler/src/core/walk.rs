//! Walking from a job to those that it is tied to.

use std::collections::{BTreeSet, VecDeque};

use super::Core;
use super::job::Job;
use super::view::state_of;
use crate::client::{
    AfterView, Answer, CallerView, Counts, GraphQuery, GraphView, MAX_AFTER_SHOWN, MAX_PAGE,
    MAX_WALK, RequestError, StoppedView, TiedJob, Toward,
};
use crate::id::JobId;

/// The most causes of a job that are shown.
const MAX_STOPPED: usize = 16;

impl Core {
    /// The jobs that a job is tied to, with itself, by number.
    pub(super) fn graph(&self, query: &GraphQuery) -> Result<Answer, RequestError> {
        self.job(query.job)?;
        let (found, is_cut) = self.connected(query);
        let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE) as usize;
        let mut rest = found.range(query.from.unwrap_or(JobId(0))..).copied();
        let page: Vec<JobId> = rest.by_ref().take(limit).collect();
        let jobs = page.iter().filter_map(|id| self.state.job(*id)).map(tied).collect();
        Ok(Answer::Graph(Box::new(GraphView { jobs, next: rest.next(), is_cut })))
    }

    /// All that can be reached, and whether that is more than may be looked at.
    fn connected(&self, query: &GraphQuery) -> (BTreeSet<JobId>, bool) {
        let most = query.steps.unwrap_or(u32::MAX);
        let mut found = BTreeSet::from([query.job]);
        let mut left = VecDeque::from([(query.job, 0)]);
        while let Some((id, steps)) = left.pop_front() {
            if steps == most {
                continue;
            }
            for next in self.neighbours(id, query.toward) {
                if found.len() >= MAX_WALK {
                    return (found, true);
                }
                if found.insert(next) {
                    left.push_back((next, steps + 1));
                }
            }
        }
        (found, false)
    }

    /// The jobs that are one step away, and are there.
    fn neighbours(&self, id: JobId, toward: Toward) -> impl Iterator<Item = JobId> + '_ {
        let graph = &self.state.graph;
        let up = self.state.job(id).filter(|_| toward != Toward::Down);
        let up = up.into_iter().flat_map(|job| {
            let caller = job.ties.caller.map(|it| it.task.job);
            job.ties.after.keys().copied().chain(caller)
        });
        let down = (toward != Toward::Up)
            .then(|| graph.barriers(id).chain(graph.each(id)).chain(graph.children(id, JobId(0))));
        up.chain(down.into_iter().flatten()).filter(|id| self.state.job(*id).is_some())
    }
}

fn tied(job: &Job) -> TiedJob {
    let ties = &job.ties;
    let after = ties.after.iter().take(MAX_AFTER_SHOWN);
    let stopped = ties.through.iter().take(MAX_STOPPED);
    TiedJob {
        id: job.id,
        name: job.spec.name.clone(),
        state: state_of(job),
        counts: Counts(job.sets().map(|(state, set)| (state, set.len())).collect()),
        tasks: u64::from(job.indices.len()),
        caller: ties.caller.map(CallerView::from),
        after: after
            .map(|(on, edge)| AfterView { job: *on, when: edge.when, each: edge.each })
            .collect(),
        after_count: ties.after.len() as u64,
        stopped: stopped
            .map(|(&(via, root), set)| StoppedView { via, root, tasks: set.len() })
            .collect(),
    }
}
