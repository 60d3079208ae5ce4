//! `dx job ls`.

use std::io::{self, Write};
use std::process::ExitCode;

use dx_scheduler::client::{JobView, MAX_PAGE};

use crate::cli::List;
use crate::exit;
use crate::jobs::{self, JobPage, Query, Service, Style, Table, note};

/// Lists jobs.
pub async fn run(mut service: Service, arguments: &List, json: bool) -> anyhow::Result<ExitCode> {
    let page = if arguments.what.is_empty() {
        newest(&mut service, arguments).await?
    } else {
        let selected = jobs::look_up(&mut service, &arguments.what).await?;
        let jobs = selected.into_iter().map(|selected| selected.job).collect();
        let (version, next) = (0, None);
        JobPage { jobs, next, version }
    };
    if json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&page)?)?;
        return Ok(exit::OK);
    }
    io::stdout().write_all(table(&page.jobs, jobs::now()).for_stdout().as_bytes())?;
    if page.next.is_some() {
        note("there are more: `--all` lists them");
    }
    Ok(exit::OK)
}

async fn newest(service: &mut Service, arguments: &List) -> anyhow::Result<JobPage> {
    let states = arguments.state.iter().map(|state| jobs::job_word(*state));
    let filter = Query::default().with_each("state", states).with_each("label", &arguments.labels);
    let filter = filter.with_some("name", arguments.name.as_ref());
    let most = if arguments.all { usize::MAX } else { arguments.limit as usize };
    let mut all = JobPage { jobs: Vec::new(), next: None, version: 0 };
    loop {
        let limit = (most - all.jobs.len()).min(MAX_PAGE as usize);
        let query = filter.clone().with("limit", limit).with_some("before", all.next);
        let page: JobPage = service.get(&query.of("/v1/jobs")).await?;
        all.jobs.extend(page.jobs);
        (all.next, all.version) = (page.next, page.version);
        if all.next.is_none() || all.jobs.len() >= most {
            return Ok(all);
        }
    }
}

/// Jobs, a line each.
fn table(jobs: &[JobView], now: u64) -> Table {
    let mut table = Table::new([
        ">JOB", "NAME", "STATE", ">TASKS", ">DONE", ">FAILED", "AGE", "TIME", "COMMAND",
    ]);
    for job in jobs {
        let plain = |text: String| (text, Style::Plain);
        let failed = jobs::failed(job);
        let time = job
            .started
            .map(|started| jobs::lasted(job.ended.unwrap_or(now).saturating_sub(started)));
        let worry = if failed > 0 { Style::Bad } else { Style::Faint };
        table.row([
            plain(job.id.to_string()),
            plain(job.name.clone().unwrap_or_else(|| "-".to_owned())),
            (jobs::job_word(job.state), Style::from(job.state)),
            plain(job.tasks.to_string()),
            plain(jobs::done(job).to_string()),
            (failed.to_string(), worry),
            plain(jobs::ago(job.submitted, now)),
            plain(time.unwrap_or_else(|| "-".to_owned())),
            plain(job.command.clone()),
        ]);
    }
    table
}
