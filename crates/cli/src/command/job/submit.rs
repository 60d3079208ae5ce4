//! `dx job submit`, and what `dx run` shares with it.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use dx_scheduler::job::JobSpec;

use super::wait;
use crate::cli::{JobOptions, Submit, Which};
use crate::command::choose;
use crate::config::gather::{self, GatherError, MAX_FILE_BYTES};
use crate::config::{Layer, Report, Source as Text, job_file};
use crate::exit::{self, Usage};
use crate::jobs::{self, AskError, Service, Submitted, note};

/// Where a job comes from.
pub struct Source<'a> {
    /// A job file; `-` is standard input.
    pub file: Option<&'a str>,
    /// What options say.
    pub options: &'a JobOptions,
    /// A command, instead of what the file says.
    pub command: &'a [String],
}

/// Why there is no job.
pub enum Failure {
    /// A file cannot be read.
    Gather(GatherError),
    /// Something is wrong with what was read.
    Report(Report),
    /// Something else.
    Other(anyhow::Error),
}

impl Failure {
    /// Says so on standard error; the exit code of a mistake.
    pub fn tell(self) -> anyhow::Result<ExitCode> {
        let report = match self {
            Self::Gather(error) => return Err(Usage(error.to_string()).into()),
            Self::Other(error) => return Err(error),
            Self::Report(report) => report,
        };
        let styled = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let count = report.problems.len();
        let plural = if count == 1 { "" } else { "s" };
        // If nobody reads standard error, the exit code still tells.
        drop(writeln!(io::stderr(), "{}\n", report.render(styled)));
        note(&format!("{count} problem{plural} in the job; nothing was submitted"));
        Ok(exit::usage())
    }
}

impl Source<'_> {
    /// The job. It has a `request_id`: it can be sent again.
    pub fn read(&self) -> Result<JobSpec, Failure> {
        let mut texts = Vec::new();
        match self.file {
            Some("-") => texts.push(stdin().map_err(Failure::Other)?),
            Some(file) => {
                texts.push(gather::read(Layer::File, Path::new(file)).map_err(Failure::Gather)?);
            }
            None => {}
        }
        texts.extend(self.options.set.iter().map(|text| Text::new(Layer::Set, "--set", text)));
        let file = job_file::read(texts).map_err(Failure::Report)?;
        let mut spec = file.spec.clone();
        self.options.apply(&mut spec).map_err(|error| Failure::Other(error.into()))?;
        jobs::command(&mut spec, self.command);
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(Failure::Report(file.report(&problems)));
        }
        if spec.request_id.is_none() {
            spec.request_id = Some(request_id().map_err(Failure::Other)?);
        }
        Ok(spec)
    }
}

fn stdin() -> anyhow::Result<Text> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(Text::new(Layer::File, "standard input", text))
}

/// An id that no other submission has.
fn request_id() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(format!("dx-{}", crate::hex::encode(&bytes)))
}

/// Submits `spec`: once, however often it has to be sent.
pub async fn send(
    service: &mut Service,
    spec: &JobSpec,
    dry_run: bool,
) -> Result<Submitted, AskError> {
    let path = if dry_run { "/v1/jobs?dry_run=true" } else { "/v1/jobs" };
    service.post(path, spec).await
}

/// Says what is odd about a job.
pub fn warn(submitted: &Submitted, quiet: bool) {
    for warning in submitted.warnings.iter().filter(|_| !quiet) {
        note(&format!("job {}: {warning}", submitted.job));
    }
}

/// Submits a job.
pub fn run(arguments: &Submit, which: &Which) -> anyhow::Result<ExitCode> {
    let source = Source {
        file: arguments.file.as_deref(),
        options: &arguments.options,
        command: &arguments.command,
    };
    let spec = match source.read() {
        Ok(spec) => spec,
        Err(failure) => return failure.tell(),
    };
    let was_repeated = arguments.options.request_id.is_some();
    choose::block_on(async {
        let mut service = choose::service(which).await?;
        let submitted = send(&mut service, &spec, arguments.dry_run).await?;
        warn(&submitted, false);
        let job = submitted.job;
        if arguments.dry_run {
            let tasks: u64 = spec
                .indices()
                .map_err(Usage)?
                .iter()
                .map(|range| u64::from(range.end() - range.start()) + 1)
                .sum();
            note(&format!("it would be job {job}, with {}", jobs::tasks(tasks)));
            let text = if which.json {
                serde_json::to_string(&submitted)?
            } else {
                format!("{:#}", serde_json::to_value(&spec)?)
            };
            writeln!(io::stdout(), "{text}")?;
            return Ok(exit::OK);
        }
        if submitted.is_repeat && was_repeated {
            note(&format!("this request was job {job} already"));
        }
        let is_waiting = arguments.wait || arguments.progress;
        if !which.json {
            writeln!(io::stdout(), "{job}")?;
        } else if !is_waiting {
            writeln!(io::stdout(), "{}", serde_json::to_string(&submitted)?)?;
        }
        if !is_waiting {
            return Ok(exit::OK);
        }
        wait::one(service.patient(), job, arguments.progress, which.json).await
    })
}
