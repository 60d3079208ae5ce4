//! `dx job explain` and `dx job valid`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use dx_scheduler::client::{Explanation, Part, Removal, Validity};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::TaskId;

use crate::cli::OneTask;
use crate::exit::{self, Usage};
use crate::jobs::{self, Service};

/// Tells what happened to a task, and why it does not run if it does not.
pub async fn run(
    mut service: Service,
    arguments: &OneTask,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let task = one(&mut service, &arguments.what).await?;
    let explanation = service.explanation(task).await?;
    let text = if json {
        format!("{}\n", serde_json::to_string(&explanation)?)
    } else {
        text(task, &explanation, jobs::now())
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

/// The task that is meant.
async fn one(service: &mut Service, what: &Part) -> anyhow::Result<TaskId> {
    let selected = jobs::look_up(service, std::slice::from_ref(what)).await?;
    let [selected] = &selected[..] else {
        return Err(Usage(format!("`{what}` names several jobs: name one task, as 7.3")).into());
    };
    let job = selected.job.id;
    match selected.tasks {
        Some((first, last)) if first == last => Ok(job.task(first)),
        None => Ok(job.task(telling(service, selected).await?)),
        Some(_) => Err(Usage(format!("`{what}` names several tasks: name one, as {job}.3")).into()),
    }
}

/// Of a whole job, the task that tells most: the first that failed, else the first that has not
/// ended, else the first.
async fn telling(service: &mut Service, selected: &jobs::Selected) -> anyhow::Result<u32> {
    let present = selected.job.counts.0.iter().filter(|(_, count)| **count > 0);
    let (ended, open): (Vec<TaskState>, Vec<_>) =
        present.map(|(state, _)| *state).partition(|state| state.is_ended());
    let failed: Vec<TaskState> = ended.into_iter().filter(|state| state.is_failure()).collect();
    for states in [failed, open].iter().filter(|states| !states.is_empty()) {
        let page = service.tasks(selected.job.id, 0, 1, states).await?;
        if let Some(task) = page.tasks.first() {
            return Ok(task.index);
        }
    }
    let page = service.tasks(selected.job.id, 0, 1, &[]).await?;
    Ok(page.tasks.first().map_or(0, |task| task.index))
}

fn text(task: TaskId, explanation: &Explanation, now: u64) -> String {
    let view = &explanation.task;
    let mut text = format!("task {task}: {}", jobs::word(view.state));
    if let Some(failure) = jobs::failure(view) {
        let _ = write!(text, ": it {failure}");
    } else if let Some(reason) = &view.reason {
        let _ = write!(text, ": {reason}");
    }
    text.push('\n');
    let began = explanation.steps.first().map_or(0, |step| step.at);
    let mut table = jobs::Table::new([">#", "WHEN (UTC)", ">AFTER", "WHAT HAPPENED"]);
    for (count, step) in explanation.steps.iter().enumerate() {
        let plain = |text: String| (text, jobs::Style::Plain);
        let after = step.at.saturating_sub(began);
        table.row([
            plain((count + 1).to_string()),
            plain(jobs::timestamp(step.at)),
            plain(format!("+{}", jobs::lasted(after))),
            plain(step.what.clone()),
        ]);
    }
    text += &table.for_stdout();
    if !explanation.causes.is_empty() {
        text += "\nwhy it does not run:\n";
    }
    for cause in &explanation.causes {
        let _ = writeln!(text, "  - {}", cause.what);
        if let Some(hint) = &cause.hint {
            let _ = writeln!(text, "    {hint}");
        }
    }
    if let Some(due) = view.due.filter(|due| *due > now) {
        let _ = writeln!(text, "it may run next in {}", jobs::lasted(due - now));
    }
    text
}

/// Tells whether a job is still to run. Exit code 0 if it is, 1 if not.
pub async fn valid(
    mut service: Service,
    arguments: &OneTask,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let selected = jobs::look_up(&mut service, std::slice::from_ref(&arguments.what)).await?;
    let [selected] = &selected[..] else {
        return Err(Usage(format!("`{}` names several jobs: name one", arguments.what)).into());
    };
    let job = selected.job.id;
    let validity: Validity = service.get(&format!("/v1/jobs/{job}/valid")).await?;
    let text = if json {
        serde_json::to_string(&validity)?
    } else if validity.is_valid {
        format!("job {job} is valid: it waits or runs")
    } else {
        let why = match validity.removed {
            Some(Removal::TimedOut) => "it waited or ran for too long",
            Some(Removal::Completed) => "it completed",
            Some(Removal::Failed) => "it failed, or was cancelled",
            Some(Removal::TooManyExecutions) => "it was executed as often as it may be",
            None => "it left the queue",
        };
        format!("job {job} is not valid any more: {why}")
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(if validity.is_valid { exit::OK } else { exit::FAILED })
}
