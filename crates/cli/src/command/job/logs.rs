//! `dx job logs`.

use std::process::ExitCode;

use dx_scheduler::client::TaskView;
use dx_scheduler::id::TaskId;

use crate::cli::Logs;
use crate::exit;
use crate::jobs::{self, Log, Marks, Part, Service, Terminal, note};

/// Tasks on a page that is asked for.
const PAGE: u32 = 1_000;

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
    let mut printing = Printing { arguments, terminal: &mut terminal };
    for selected in selected {
        let (mut from, last) = selected.tasks.unwrap_or((0, u32::MAX));
        loop {
            let page = service.tasks(selected.job.id, from, PAGE, "").await?;
            for task in page.tasks.iter().filter(|task| task.index <= last) {
                printing.task(&mut service, task).await?;
            }
            match page.next.filter(|next| *next <= last) {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    Ok(exit::OK)
}

struct Printing<'a> {
    arguments: &'a Logs,
    terminal: &'a mut Terminal,
}

impl Printing<'_> {
    async fn task(&mut self, service: &mut Service, view: &TaskView) -> anyhow::Result<()> {
        let task = view.job.task(view.index);
        let part = Part {
            stream: self.arguments.stream,
            tail: self.arguments.tail,
            follow: self.arguments.follow,
        };
        let remembered = view.attempts.iter().map(|attempt| attempt.record.number);
        let last = remembered.clone().next_back();
        if self.arguments.follow {
            let first = if self.arguments.all { 1 } else { last.unwrap_or(1) };
            jobs::follow(service, task, first, &part, &mut |from, printed| {
                self.terminal.print(from, printed)
            })
            .await?;
            return Ok(());
        }
        let numbers: Vec<u32> = match (self.arguments.attempt, self.arguments.all) {
            (Some(number), _) => vec![number],
            (None, true) => remembered.collect(),
            (None, false) => last.into_iter().collect(),
        };
        if numbers.is_empty() {
            note(&format!("{task} has not run yet, and has printed nothing"));
        }
        for number in numbers {
            self.attempt(service, task, number, &part).await?;
        }
        Ok(())
    }

    async fn attempt(
        &mut self,
        service: &mut Service,
        task: TaskId,
        number: u32,
        part: &Part,
    ) -> anyhow::Result<()> {
        let attempt = task.attempt(number);
        let mut log = Log::new(attempt, part.clone());
        while let Some(printed) = log.next(service).await? {
            self.terminal.print(attempt, &printed)?;
        }
        Ok(())
    }
}
