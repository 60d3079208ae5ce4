//! Which jobs and tasks are meant, looked up: for commands that look at each.

use dx_scheduler::client::{GraphView, JobView, MAX_PAGE, Part};
use dx_scheduler::id::{AttemptId, JobId};

use super::{AskError, JobPage, Query, Service, this_attempt};

/// A job that is meant, and which of its tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// The job.
    pub job: JobView,
    /// The first and last index that is meant; none means all.
    pub tasks: Option<(u32, u32)>,
}

/// What `parts` name, in their order, each job once per part.
///
/// # Errors
/// If a part names nothing, or nobody answers.
pub async fn look_up(service: &mut Service, parts: &[Part]) -> Result<Vec<Selected>, AskError> {
    let mut all = Vec::new();
    for part in parts {
        let (jobs, tasks) = match part {
            Part::Tasks(job, first, last) => {
                (vec![service.job(*job).await?], Some((*first, *last)))
            }
            Part::Jobs(job, last) if job == last => (vec![service.job(*job).await?], None),
            Part::Jobs(first, last) => (between(service, *first, *last).await?, None),
            Part::Last => match this_attempt() {
                Some(task) => (vec![newest_called_by(service, task).await?], None),
                None => (newest(service).await?, None),
            },
            Part::Label(name, value) => (labelled(service, name, value.as_deref()).await?, None),
        };
        if jobs.is_empty() {
            return Err(AskError::NothingSelected(part.to_string()));
        }
        all.extend(jobs.into_iter().map(|job| Selected { job, tasks }));
    }
    Ok(all)
}

/// Jobs from one number to another that there are, in the order of their numbers.
async fn between(
    service: &mut Service,
    first: JobId,
    last: JobId,
) -> Result<Vec<JobView>, AskError> {
    let mut jobs = Vec::new();
    let mut before = Some(JobId(last.0.saturating_add(1)));
    while let Some(below) = before {
        let page = page(service, &all().with("before", below)).await?;
        before = page.next.filter(|next| *next > first);
        jobs.extend(page.jobs.into_iter().filter(|job| (first..=last).contains(&job.id)));
    }
    jobs.reverse();
    Ok(jobs)
}

async fn newest(service: &mut Service) -> Result<Vec<JobView>, AskError> {
    Ok(page(service, &Query::default().with("limit", 1)).await?.jobs)
}

/// In a task, the last job is its own: others submit theirs meanwhile.
async fn newest_called_by(service: &mut Service, task: AttemptId) -> Result<JobView, AskError> {
    let query = Query::default().with("toward", "down").with("steps", 1);
    let mut last = None;
    let mut from = None;
    loop {
        let path = query.clone().with_some("from", from);
        let page: GraphView =
            service.get(&path.of(&format!("/v1/jobs/{}/graph", task.task.job))).await?;
        let own = page.jobs.iter().filter(|job| job.caller == Some(task.into()));
        last = own.map(|job| job.id).chain(last).max();
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    match last {
        Some(job) => service.job(job).await,
        None => Err(AskError::NothingSubmitted(task)),
    }
}

async fn labelled(
    service: &mut Service,
    name: &str,
    value: Option<&str>,
) -> Result<Vec<JobView>, AskError> {
    let label = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
    let mut page = page(service, &all().with("label", &label)).await?;
    let mut jobs = page.jobs;
    while let Some(next) = page.next {
        page = self::page(service, &all().with("label", &label).with("before", next)).await?;
        jobs.extend(page.jobs);
    }
    jobs.reverse();
    Ok(jobs)
}

fn all() -> Query {
    Query::default().with("limit", MAX_PAGE)
}

async fn page(service: &mut Service, query: &Query) -> Result<JobPage, AskError> {
    service.get(&query.of("/v1/jobs")).await
}
