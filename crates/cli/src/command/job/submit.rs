//! `dx job submit`, and what `dx run` shares with it.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use dx_scheduler::id::JobId;
use dx_scheduler::job::{JobSpec, Jobs};

use super::wait;
use crate::cli::{JobOptions, Submit, Which};
use crate::command::choose;
use crate::config::gather::{self, GatherError, MAX_FILE_BYTES};
use crate::config::{Layer, Report, Source as Text, job_file};
use crate::exit::{self, Usage};
use crate::jobs::{self, AllSubmitted, AskError, ItemsError, Query, Service, Submitted, note};

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

/// What was read.
pub enum Given {
    /// A job.
    One(Box<JobSpec>),
    /// Several, which may wait for each other.
    Several(Jobs),
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
    /// The job, for a command that takes one.
    pub fn one(&self) -> Result<JobSpec, Failure> {
        match self.read()? {
            Given::One(spec) => Ok(*spec),
            Given::Several(_) => {
                let text =
                    "the file has several jobs, and this runs one: `dx job submit` takes them";
                Err(Failure::Other(Usage(text.to_owned()).into()))
            }
        }
    }

    /// Several jobs, each with a `request_id`.
    fn several(&self, texts: Vec<Text>) -> Result<Jobs, Failure> {
        let changes = JobOptions { set: Vec::new(), ..self.options.clone() };
        if changes != JobOptions::default() || !self.command.is_empty() {
            let text = "the file has several jobs, and options are for one: change the file, or \
                        write `--set job.NAME.KEY=VALUE`";
            return Err(Failure::Other(Usage(text.to_owned()).into()));
        }
        let file = job_file::read_several(texts).map_err(Failure::Report)?;
        if let Some(report) = file.problems() {
            return Err(Failure::Report(report));
        }
        let mut jobs = file.jobs;
        let id = request_id().map_err(Failure::Other)?;
        for (name, spec) in &mut jobs.job {
            let own = || format!("{id}/{name}");
            spec.request_id = spec.request_id.take().or_else(|| Some(own()));
        }
        Ok(jobs)
    }

    /// What there is to submit. Each has a `request_id`: it can be sent again.
    pub fn read(&self) -> Result<Given, Failure> {
        let mut texts = Vec::new();
        match self.file {
            Some("-") => texts.push(stdin().map_err(Failure::Other)?),
            Some(file) => {
                texts.push(gather::read(Layer::File, Path::new(file)).map_err(Failure::Gather)?);
            }
            None => {}
        }
        texts.extend(self.options.set.iter().map(|text| Text::new(Layer::Set, "--set", text)));
        if texts.first().is_some_and(job_file::has_several) {
            return self.several(texts).map(Given::Several);
        }
        let file = job_file::read(texts).map_err(Failure::Report)?;
        let mut spec = file.spec.clone();
        self.options.apply(&mut spec).map_err(|error| Failure::Other(error.into()))?;
        let wrong = |error: ItemsError| Failure::Other(Usage(error.to_string()).into());
        self.options.apply_items(&mut spec).map_err(wrong)?;
        jobs::command(&mut spec, self.command);
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(Failure::Report(file.report(&problems)));
        }
        if spec.request_id.is_none() {
            spec.request_id = Some(request_id().map_err(Failure::Other)?);
        }
        Ok(Given::One(Box::new(spec)))
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
    service.post(&submission(dry_run).of("/v1/jobs"), spec).await
}

/// How something is submitted; from a task, as its own.
fn submission(dry_run: bool) -> Query {
    let query = Query::default().with_some("dry_run", dry_run.then_some(true));
    query.with_some("caller", jobs::this_attempt())
}

/// Says what is odd about a job.
pub fn warn(submitted: &Submitted, quiet: bool) {
    for warning in submitted.warnings.iter().filter(|_| !quiet) {
        note(&format!("job {}: {warning}", submitted.job));
    }
}

/// Says where the program of a job is looked for that is in this folder, if that is elsewhere.
pub fn warn_of_folder(spec: &JobSpec) {
    let Some(program) = spec.commands.first().and_then(|it| it.exec.first()) else { return };
    let path = Path::new(program);
    if spec.cwd.is_none() && path.is_relative() && program.contains('/') && path.is_file() {
        note(&format!("a task runs in a folder of its own, without `{program}`: try `--cwd .`"));
    }
}

/// Submits several jobs, or none of them.
async fn several(
    mut service: Service,
    jobs: &Jobs,
    arguments: &Submit,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let path = submission(arguments.dry_run).of("/v1/graphs");
    let submitted: AllSubmitted = service.post(&path, jobs).await?;
    for warning in &submitted.warnings {
        note(&format!("job {warning}"));
    }
    let mut taken: Vec<(JobId, &str)> =
        submitted.jobs.iter().map(|(name, taken)| (taken.job, name.as_str())).collect();
    taken.sort_unstable();
    if arguments.dry_run {
        note(&format!("it would be {}", jobs::plural(taken.len() as u64, "job")));
    }
    let is_waiting = !arguments.dry_run && (arguments.wait || arguments.progress);
    let mut stdout = io::stdout();
    if !json {
        for (job, name) in &taken {
            writeln!(stdout, "{job} {name}")?;
        }
    } else if !is_waiting {
        writeln!(stdout, "{}", serde_json::to_string(&submitted)?)?;
    }
    if !is_waiting {
        return Ok(exit::OK);
    }
    let ids: Vec<JobId> = taken.into_iter().map(|(job, _)| job).collect();
    wait::several(service.patient(), &ids, arguments.progress, json).await
}

/// Submits a job.
pub fn run(arguments: &Submit, which: &Which) -> anyhow::Result<ExitCode> {
    let source = Source {
        file: arguments.file.as_deref(),
        options: &arguments.options,
        command: &arguments.command,
    };
    let mut spec = match source.read() {
        Ok(Given::One(spec)) => *spec,
        Ok(Given::Several(jobs)) => {
            return choose::block_on(async {
                let service = choose::service(which).await?;
                several(service, &jobs, arguments, which.json).await
            });
        }
        Err(failure) => return failure.tell(),
    };
    let was_repeated = arguments.options.request_id.is_some();
    choose::block_on(async {
        let mut service = choose::service(which).await?;
        jobs::wait_for(&mut service, &arguments.options, &mut spec).await?;
        warn_of_folder(&spec);
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
