//! The jobs that another is to wait for, as a command line names them.

use std::str::FromStr;

use dx_scheduler::client::{InvalidSelection, Part};
use dx_scheduler::job::{Dependency, JobRef, JobSpec};

use super::{AskError, Service, look_up};
use crate::cli::JobOptions;

/// Jobs, and whether each task waits for the task of its own index there: `7`, `last`, `7:each`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    what: Part,
    each: bool,
}

impl FromStr for After {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, each) = match text.strip_suffix(":each") {
            Some(what) => (what, true),
            None => (text, false),
        };
        let part = what.parse().map_err(|error: InvalidSelection| error.to_string())?;
        match part {
            Part::Tasks(..) => Err(format!(
                "`{what}` is a task, and jobs wait for jobs: `JOB:each` waits index by index"
            )),
            what => Ok(Self { what, each }),
        }
    }
}

/// Adds to `spec` what the options say that it waits for.
///
/// # Errors
/// If there is no such job, or nobody answers.
pub async fn wait_for(
    service: &mut Service,
    options: &JobOptions,
    spec: &mut JobSpec,
) -> Result<(), AskError> {
    let lists = [
        (&options.after_ok, &mut spec.after_ok),
        (&options.after_fail, &mut spec.after_fail),
        (&options.after_any, &mut spec.after_any),
    ];
    for (given, list) in lists {
        for After { what, each } in given {
            let jobs = match what {
                // Whether there is one, the controller says better.
                Part::Jobs(one, last) if one == last => vec![*one],
                what => {
                    let found = look_up(service, std::slice::from_ref(what)).await?;
                    found.into_iter().map(|it| it.job.id).collect()
                }
            };
            list.extend(
                jobs.into_iter().map(|job| Dependency { job: JobRef::Number(job), each: *each }),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_to_wait_for_are_named_as_everywhere() {
        let read = |text: &str| text.parse::<After>().map(|it| (it.what.to_string(), it.each));
        assert_eq!(read("7"), Ok(("7".to_owned(), false)));
        assert_eq!(read("last:each"), Ok(("last".to_owned(), true)));
        assert_eq!(read("@team=blue"), Ok(("@team=blue".to_owned(), false)));
        assert!(read("7.3").is_err() && read(":each").is_err() && read("build").is_err());
    }
}
