//! `dx job logs`.

use std::process::ExitCode;

use dx_scheduler::client::TaskView;
use dx_scheduler::id::JobId;

use crate::cli::Logs;
use crate::exit;
use crate::jobs::{self, AskError, Heard, Log, Marks, Part, Selected, Service, Terminal, note};

/// Prints what tasks printed.
pub async fn run(mut service: Service, arguments: &Logs, json: bool) -> anyhow::Result<ExitCode> {
    let selected = jobs::look_up(&mut service, &arguments.what).await?;
    let is_several = selected.len() > 1
        || selected.iter().any(|selected| match selected.tasks {
            Some((first, last)) => first != last,
            None => selected.job.tasks > 1,
        });
    let marks = Marks { task: is_several, time: arguments.timestamps, json };
    let mut terminal = Terminal::new(marks);
    let mut service = if arguments.follow { service.patient() } else { service };
    for selected in selected {
        let part =
            Part { stream: arguments.stream, tail: arguments.tail, follow: arguments.follow };
        let tasks = tasks(&mut service, &selected).await?;
        let mut printing = Printing { arguments, part, terminal: &mut terminal };
        if arguments.follow {
            printing.follow(&service, selected.job.id, &tasks).await?;
            continue;
        }
        for task in &tasks {
            printing.task(&mut service, task).await?;
        }
    }
    Ok(exit::OK)
}

/// The tasks that are meant.
async fn tasks(service: &mut Service, selected: &Selected) -> Result<Vec<TaskView>, AskError> {
    let (mut from, last) = selected.tasks.unwrap_or((0, u32::MAX));
    let mut all = Vec::new();
    loop {
        let page = service.tasks(selected.job.id, from, u32::MAX, &[]).await?;
        all.extend(page.tasks.into_iter().filter(|task| task.index <= last));
        match page.next.filter(|next| *next <= last) {
            Some(next) => from = next,
            None => return Ok(all),
        }
    }
}

struct Printing<'a> {
    arguments: &'a Logs,
    part: Part,
    terminal: &'a mut Terminal,
}

impl Printing<'_> {
    async fn follow(
        &mut self,
        service: &Service,
        job: JobId,
        tasks: &[TaskView],
    ) -> anyhow::Result<()> {
        let is_all = self.arguments.all;
        let begin = tasks.iter().map(|task| {
            let last = task.attempts.last().filter(|_| !is_all);
            (task.index, last.map_or(1, |attempt| attempt.record.number))
        });
        let following = jobs::follow(service, job, begin, &self.part, |heard| match heard {
            Heard::Printed(from, printed) => self.terminal.print(from, printed),
            Heard::Ended(_) => Ok(()),
        });
        Ok(following.await?)
    }

    async fn task(&mut self, service: &mut Service, view: &TaskView) -> anyhow::Result<()> {
        let task = view.job.task(view.index);
        let mut remembered = view.attempts.iter().map(|attempt| attempt.record.number);
        let is_silent = |number: &u32| {
            let attempt = view.attempts.iter().find(|attempt| attempt.record.number == *number);
            attempt.is_some_and(|attempt| jobs::printed_nothing(&attempt.record))
        };
        let numbers: Vec<u32> = match (self.arguments.attempt, self.arguments.all) {
            (Some(number), _) => vec![number],
            (None, true) => remembered.collect(),
            (None, false) => remembered.next_back().into_iter().collect(),
        };
        if numbers.is_empty() {
            note(&format!("{task} has not run yet, and has printed nothing"));
        }
        for number in numbers.iter().filter(|number| is_silent(number)) {
            note(&format!("nothing is kept of what {} printed", task.attempt(*number)));
        }
        for number in numbers.into_iter().filter(|number| !is_silent(number)) {
            let attempt = task.attempt(number);
            let mut log = Log::new(attempt, self.part.clone());
            while let Some(printed) = log.next(service).await? {
                self.terminal.print(attempt, &printed)?;
            }
        }
        Ok(())
    }
}
