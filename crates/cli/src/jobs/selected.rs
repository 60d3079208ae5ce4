//! Which jobs and tasks are meant, looked up: for commands that look at each.

use dx_scheduler::client::{JobView, Part};
use dx_scheduler::id::JobId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{AskError, JobPage, Service};

/// Jobs on a page that is asked for.
const PAGE: u32 = 1_000;

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
            Part::Last => (newest(service).await?, None),
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
        let page = page(service, &format!("&before={below}")).await?;
        before = page.next.filter(|next| *next > first);
        jobs.extend(page.jobs.into_iter().filter(|job| (first..=last).contains(&job.id)));
    }
    jobs.reverse();
    Ok(jobs)
}

async fn newest(service: &mut Service) -> Result<Vec<JobView>, AskError> {
    let page: JobPage = service.get("/v1/jobs?limit=1").await?;
    Ok(page.jobs)
}

async fn labelled(
    service: &mut Service,
    name: &str,
    value: Option<&str>,
) -> Result<Vec<JobView>, AskError> {
    let label = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
    let filter = format!("&label={}", encoded(&label));
    let mut jobs = Vec::new();
    let mut after = Some(String::new());
    while let Some(here) = after {
        let page = page(service, &format!("{filter}{here}")).await?;
        jobs.extend(page.jobs);
        after = page.next.map(|next| format!("&before={next}"));
    }
    jobs.reverse();
    Ok(jobs)
}

async fn page(service: &mut Service, rest: &str) -> Result<JobPage, AskError> {
    service.get(&format!("/v1/jobs?limit={PAGE}{rest}")).await
}

/// `text` as a value in a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
