//! How jobs are tied to each other, and how that is told: as a tree, as a drawing, for other tools.

mod dot;
mod svg;
mod tree;

use dx_scheduler::client::{GraphView, JobState, MAX_PAGE, TiedJob, Toward};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::JobId;
use dx_scheduler::job::When;

use super::{AskError, Query, Service, as_word, job_word, word};

pub use dot::dot;
pub use svg::{TooLarge, svg};
pub use tree::tree;

/// All that a job is tied to, in as many pages as it takes.
///
/// # Errors
/// If there is no such job, or nobody answers.
pub async fn connected(
    service: &mut Service,
    job: JobId,
    toward: Toward,
    steps: Option<u32>,
) -> Result<GraphView, AskError> {
    let base = Query::default().with("toward", as_word(&toward)).with_some("steps", steps);
    let base = base.with("limit", MAX_PAGE);
    let path = format!("/v1/jobs/{job}/graph");
    let mut graph: GraphView = service.get(&base.clone().of(&path)).await?;
    while let Some(next) = graph.next {
        let page: GraphView = service.get(&base.clone().with("from", next).of(&path)).await?;
        graph.jobs.extend(page.jobs);
        (graph.next, graph.is_cut) = (page.next, graph.is_cut || page.is_cut);
    }
    Ok(graph)
}

/// How one job is tied to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tie {
    /// It waits for that.
    After(When, bool),
    /// A task of that submitted it.
    Called,
}

impl Tie {
    fn word(self) -> String {
        match self {
            Self::After(when, each) => {
                format!("{}{}", when.key(), if each { ":each" } else { "" })
            }
            Self::Called => "called".to_owned(),
        }
    }
}

/// The ties of a job to those before it.
fn ties(job: &TiedJob) -> impl Iterator<Item = (JobId, Tie)> + '_ {
    let after = job.after.iter().map(|it| (it.job, Tie::After(it.when, it.each)));
    after.chain(job.caller.map(|it| (it.job, Tie::Called)))
}

/// A job in a few words: `7 build`.
fn title(job: &TiedJob) -> String {
    job.name.as_ref().map_or_else(|| job.id.to_string(), |name| format!("{} {name}", job.id))
}

/// How a job stands in a few words: `running, 3 of 10 tasks done`, `failed, aborted through job 3`.
fn standing(job: &TiedJob) -> String {
    let done: u64 = job.counts.0.iter().filter(|(it, _)| it.is_ended()).map(|(_, n)| n).sum();
    let only = job.counts.0.iter().find(|(_, count)| **count == job.tasks).map(|(state, _)| *state);
    let state = match only {
        Some(state) if job.tasks == 1 || state.is_ended() => word(state),
        _ => job_word(job.state),
    };
    let tasks = match job.state {
        _ if job.tasks == 1 => String::new(),
        JobState::Failed | JobState::Cancelled => {
            let failed = |(state, _): &(&TaskState, &u64)| state.is_failure();
            let failed: u64 = job.counts.0.iter().filter(failed).map(|(_, n)| n).sum();
            format!(", {failed} of {} tasks did not succeed", job.tasks)
        }
        _ => format!(", {done} of {} tasks done", job.tasks),
    };
    let stopped = job.stopped.first().map(|it| format!(", because of job {}", it.root));
    [state, tasks, stopped.unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use dx_scheduler::client::{AfterView, CallerView, Counts};

    use super::*;

    /// A job with one task in this state, after these, called by that.
    pub fn job(id: u64, state: TaskState, after: &[u64], caller: Option<u64>) -> TiedJob {
        let after: Vec<AfterView> = after
            .iter()
            .map(|on| AfterView { job: JobId(*on), when: When::Ok, each: false })
            .collect();
        TiedJob {
            id: JobId(id),
            name: Some(format!("j{id}")),
            state: if state.is_ended() { JobState::Succeeded } else { JobState::Waiting },
            counts: Counts([(state, 1)].into()),
            tasks: 1,
            caller: caller.map(|job| CallerView { job: JobId(job), index: 0, attempt: 1 }),
            after_count: after.len() as u64,
            after,
            stopped: Vec::new(),
        }
    }

    pub fn diamond() -> GraphView {
        use TaskState::{Succeeded, Waiting};
        let jobs = vec![
            job(1, Succeeded, &[], None),
            job(2, Waiting, &[1], None),
            job(3, Waiting, &[1], None),
            job(4, Waiting, &[2, 3], None),
            job(5, Succeeded, &[], Some(1)),
        ];
        GraphView { jobs, next: None, is_cut: false }
    }

    #[test]
    fn a_tree_shows_each_job_once_and_refers_to_it() {
        let text = tree(&diamond(), JobId(1), false, false);
        let shown = "\
1 j1  succeeded
├─ 2 j2  waiting  after_ok
│  └─ 4 j4  waiting  after_ok
├─ 3 j3  waiting  after_ok
│  └─ 4 j4  (above)
└─ 5 j5  succeeded  called
";
        assert_eq!(text, shown);
        let up = tree(&diamond(), JobId(4), true, false);
        assert!(up.starts_with("4 j4  waiting\n├─ 2 j2  waiting  after_ok\n│  └─ 1 j1"), "{up}");
    }

    #[test]
    fn drawings_have_all_jobs_and_ties_and_no_markup_of_names() {
        let mut graph = diamond();
        graph.jobs[1].name = Some("a<b>&\"c\\".to_owned());
        let dot = dot(&graph);
        assert_eq!(dot.matches(" -> ").count(), 5);
        assert!(dot.contains(r#"a<b>&\"c\\"#), "{dot}");
        let svg = svg(&graph).unwrap();
        assert_eq!((svg.matches("<rect ").count(), svg.matches("<path class").count()), (5, 5));
        assert!(svg.contains("a&lt;b&gt;&amp;&quot;c\\"), "{svg}");
    }
}
