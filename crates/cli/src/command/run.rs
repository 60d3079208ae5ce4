//! `dx run`: from arguments to exit code.

mod watch;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::process::ExitCode;

use dx_scheduler::id::JobId;
use dx_scheduler::job::{JobSpec, Stdin};

use super::job::submit::{self, Source};
use super::{choose, signals};
use crate::cli::Run;
use crate::exit::{self, Usage};
use crate::jobs::{self, AskError, Changed, Service, note};

/// The most that is read of standard input for a job, in bytes: half of what a job may be, since
/// it travels within it, as JSON. What is larger belongs into a file.
const MAX_STDIN: usize = 512 << 10;

/// Runs a job as if it ran here.
pub fn run(arguments: &Run) -> anyhow::Result<ExitCode> {
    let source = Source {
        file: arguments.file.as_deref(),
        options: &arguments.options,
        command: &arguments.command,
    };
    let mut spec = match source.one() {
        Ok(spec) => spec,
        Err(failure) => return failure.tell(),
    };
    if !arguments.no_stdin && spec.stdin.is_none() && arguments.file.as_deref() != Some("-") {
        spec.stdin = piped(arguments.quiet)?;
    }
    choose::block_on(async {
        let mut service = choose::service(&arguments.which).await?;
        jobs::wait_for(&mut service, &arguments.options, &mut spec).await?;
        foreground(arguments, service, &spec).await
    })
}

/// What is piped in. A terminal, and what is no pipe or file, is left alone.
fn piped(quiet: bool) -> anyhow::Result<Option<Stdin>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let file = File::from(stdin.as_fd().try_clone_to_owned()?);
    let kind = file.metadata()?.file_type();
    let is_pipe = std::os::unix::fs::FileTypeExt::is_fifo(&kind);
    if !is_pipe && !kind.is_file() {
        return Ok(None);
    }
    if is_pipe && !quiet && io::stderr().is_terminal() {
        note("reading standard input to its end (`-n` leaves it alone)");
    }
    let mut bytes = Vec::new();
    file.take(MAX_STDIN as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_STDIN {
        let text = format!(
            "standard input has more than {} KiB: put it into a file of the node, and name that \
             with `--stdin-file`",
            MAX_STDIN >> 10
        );
        return Err(Usage(text).into());
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Usage(
            "standard input is no UTF-8 text, and only text is passed on: put it into a file of \
             the node, and name that with `--stdin-file`"
                .to_owned(),
        )
    })?;
    Ok(Some(Stdin::Text(text)))
}

/// A request to cancel, under way.
type Cancelling<'a> = Pin<Box<dyn Future<Output = Result<Changed, AskError>> + 'a>>;

async fn foreground(
    arguments: &Run,
    mut service: Service,
    spec: &JobSpec,
) -> anyhow::Result<ExitCode> {
    // From here on Ctrl-C is waited for: whether the job is taken is not known in between.
    let mut presses = signals::Presses::listen();
    let mut pressed = 0;
    let submitted = {
        let mut sending = pin!(submit::send(&mut service, spec, false));
        loop {
            tokio::select! {
                submitted = &mut sending => break submitted?,
                () = presses.next() => pressed += 1,
            }
            if pressed > 1 {
                note("left: nobody answered whether the job is taken");
                return Ok(exit::interrupted());
            }
            note("cancelling the job as soon as it is known to be taken; Ctrl-C again leaves it");
        }
    };
    let service = service.patient();
    let job = submitted.job;
    if !arguments.quiet {
        submit::warn_of_folder(spec);
    }
    submit::warn(&submitted, arguments.quiet);
    let cancel = |now| {
        let (mut service, what) = (service.clone(), [job.to_string()]);
        async move { service.cancel(&what, now).await }
    };
    let mut running = pin!(watch::until_ended(service.clone(), job, spec, arguments.quiet));
    let mut request: Cancelling<'_> = match pressed {
        0 => Box::pin(std::future::pending()),
        _ => Box::pin(cancel(false)),
    };
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            done = &mut request => {
                done?;
                request = Box::pin(std::future::pending());
            }
            () = presses.next() => {
                pressed += 1;
                note(&press(pressed, job));
                if pressed > 2 {
                    return Ok(exit::interrupted());
                }
                // One that is still under way is given up: this one asks for more.
                request = Box::pin(cancel(pressed > 1));
            }
        }
    };
    if let Err(error) = &ended
        && exit::is_closed_pipe(error)
    {
        // Nobody reads what it prints: as a command of a pipe, it has no more to do.
        cancel(false).await?;
    }
    let ended = ended?;
    if pressed > 0 {
        return Ok(exit::interrupted());
    }
    Ok(ExitCode::from(jobs::exit_code(&ended)))
}

/// What becomes of a job when Ctrl-C is pressed for the `count`th time.
fn press(count: u32, job: JobId) -> String {
    match count {
        1 => format!("cancelling job {job}, and waiting for its end; Ctrl-C again kills it"),
        2 => format!("killing job {job}; Ctrl-C again leaves it"),
        _ => format!("left job {job}, which is being killed: `dx job show {job}`"),
    }
}
