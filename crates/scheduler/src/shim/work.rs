//! A job as the shim understands it.

use rustix::process::Signal;

use crate::end::{Fault, NotStarted};
use crate::job::JobSpec;

/// A job, read and checked once for all its tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    /// As its user described it.
    pub spec: JobSpec,
    /// The number of the signal that asks it to end.
    pub signal: i32,
}

impl Work {
    /// Reads a job.
    ///
    /// # Errors
    /// Whose fault it is that it cannot be run.
    pub fn parse(json: &str) -> Result<Self, NotStarted> {
        let not_started = |fault, reason: String| NotStarted { fault, errno: 0, reason };
        let spec: JobSpec = serde_json::from_str(json).map_err(|error| {
            let reason = format!("this node's version of dx does not understand the job: {error}");
            not_started(Fault::Node, reason)
        })?;
        if let Some(problem) = spec.problems().first() {
            return Err(not_started(Fault::Job, problem.to_string()));
        }
        let signal = number(&spec.kill.signal).ok_or_else(|| {
            let name = &spec.kill.signal;
            not_started(
                Fault::Job,
                format!("`kill.signal`: there is no signal `{name}`: write `TERM` or `INT`"),
            )
        })?;
        Ok(Self { spec, signal })
    }
}

/// The number of a signal: `TERM`, `SIGTERM` or `15`.
fn number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return Signal::from_named_raw(number).map(Signal::as_raw);
    }
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.iter().find(|(known, _)| *known == bare).map(|(_, signal)| signal.as_raw())
}

const NAMES: [(&str, Signal); 16] = [
    ("TERM", Signal::TERM),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("HUP", Signal::HUP),
    ("QUIT", Signal::QUIT),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("ALRM", Signal::ALARM),
    ("ABRT", Signal::ABORT),
    ("PIPE", Signal::PIPE),
    ("CONT", Signal::CONT),
    ("STOP", Signal::STOP),
    ("TSTP", Signal::TSTP),
    ("WINCH", Signal::WINCH),
    ("XCPU", Signal::XCPU),
    ("URG", Signal::URG),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_with_and_without_sig_and_by_number() {
        for name in ["TERM", "SIGTERM", "term", "15"] {
            assert_eq!(number(name), Some(15), "{name}");
        }
        for wrong in ["", "SIG", "NOPE", "0", "-9", "99"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_job_of_a_later_version_is_the_nodes_fault_and_a_wrong_one_the_jobs() {
        let later = Work::parse(r#"{"commands": [{"exec": ["x"]}], "warp": 9}"#).unwrap_err();
        assert_eq!(later.fault, Fault::Node);
        let empty = Work::parse("{}").unwrap_err();
        assert_eq!(empty.fault, Fault::Job);
        let signal = r#"{"commands": [{"exec": ["x"]}], "kill": {"signal": "TREM"}}"#;
        assert!(Work::parse(signal).unwrap_err().reason.contains("TREM"));
    }
}
