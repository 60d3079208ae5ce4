//! From options to a job.

use std::io;
use std::path::PathBuf;

use dx_scheduler::job::{Command, Constraint, JobSpec, Operator, Stdin};

use crate::cli::JobOptions;

impl JobOptions {
    /// Changes in `spec` what the options say.
    ///
    /// # Errors
    /// If the present directory is needed and cannot be known.
    pub fn apply(&self, spec: &mut JobSpec) -> io::Result<()> {
        let options = self.clone();
        set(&mut spec.name, options.name);
        set(&mut spec.array, options.array);
        set(&mut spec.timeout, options.timeout);
        set(&mut spec.queue_timeout, options.queue_timeout);
        set(&mut spec.deadline, options.deadline);
        set(&mut spec.max_running, options.max_running);
        set(&mut spec.max_fails, options.max_fails);
        set(&mut spec.request_id, options.request_id);
        set(&mut spec.stdin, options.stdin_file.map(Stdin::File));
        set(&mut spec.cwd, options.cwd.map(absolute).transpose()?);
        replace(&mut spec.placement, options.placement);
        replace(&mut spec.on_caller_end, options.on_caller_end);
        replace(&mut spec.priority, options.priority);
        replace(&mut spec.resources.cpus, options.cpus);
        replace(&mut spec.resources.memory, options.memory);
        replace(&mut spec.resources.gpus, options.gpus);
        replace(&mut spec.retry.max_attempts, options.max_attempts);
        replace(&mut spec.retry.backoff, options.backoff);
        replace(&mut spec.output.capture, options.output);
        replace(&mut spec.output.max, options.max_output);
        replace(&mut spec.kill.grace, options.grace);
        spec.hold |= options.hold;
        spec.resources.custom.extend(options.resources);
        spec.environment.extend(options.environment.into_iter().map(|it| (it.0.name, it.0.value)));
        spec.labels.extend(options.labels.into_iter().map(|it| (it.name, it.value)));
        spec.constraints.extend(options.constraints);
        spec.constraints.extend(options.node.map(|value| Constraint {
            label: "node".to_owned(),
            operator: Operator::Eq,
            value,
        }));
        if !options.retry_on.is_empty() {
            spec.retry.on = options.retry_on.into_iter().collect();
        }
        Ok(())
    }
}

/// Gives `spec` a command, in place of those it has.
pub fn command(spec: &mut JobSpec, command: &[String]) {
    if !command.is_empty() {
        spec.commands = vec![Command { exec: command.to_vec() }];
    }
}

fn set<T>(field: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *field = value;
    }
}

fn replace<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// `path` as it is known on other machines, too.
fn absolute(path: PathBuf) -> io::Result<PathBuf> {
    if path.is_absolute() { Ok(path) } else { std::path::absolute(path) }
}
