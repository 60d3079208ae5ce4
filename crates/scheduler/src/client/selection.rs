//! Which jobs and tasks: `7`, `7.3`, `1-5`, `last`, `@team=blue`, and several of these.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::end::TaskState;
use crate::id::JobId;

/// Which jobs and tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// What any of these names.
    pub parts: Vec<Part>,
    /// Of that, only tasks in these states; all if there is none.
    #[serde(default)]
    pub states: Vec<TaskState>,
}

/// A part of a selection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Jobs from one number to another, with all their tasks.
    Jobs(JobId, JobId),
    /// Tasks of a job from one index to another.
    Tasks(JobId, u32, u32),
    /// The job that was submitted last.
    Last,
    /// Jobs with a label: its name, and its value if that matters.
    Label(String, Option<String>),
}

/// A text that selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no jobs: write `7`, `7.3`, `7.0-99`, `1-5`, `last` or `@label=value`")]
pub struct InvalidSelection(pub String);

impl Selection {
    /// A whole job.
    #[must_use]
    pub fn job(job: JobId) -> Self {
        Self { parts: vec![Part::Jobs(job, job)], states: Vec::new() }
    }
}

impl FromStr for Part {
    type Err = InvalidSelection;

    fn from_str(text: &str) -> Result<Self, InvalidSelection> {
        let invalid = || InvalidSelection(text.to_owned());
        if text == "last" {
            return Ok(Self::Last);
        }
        if let Some(label) = text.strip_prefix('@') {
            let (name, value) = match label.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (label, None),
            };
            return if name.is_empty() {
                Err(invalid())
            } else {
                Ok(Self::Label(name.to_owned(), value))
            };
        }
        if let Some((job, indices)) = text.split_once('.') {
            let (first, last) = range(indices).ok_or_else(invalid)?;
            let job = job.parse().map_err(|_| invalid())?;
            return Ok(Self::Tasks(JobId(job), first, last));
        }
        let (first, last) = range(text).ok_or_else(invalid)?;
        Ok(Self::Jobs(JobId(first), JobId(last)))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jobs(first, last) if first == last => first.fmt(f),
            Self::Jobs(first, last) => write!(f, "{first}-{last}"),
            Self::Tasks(job, first, last) if first == last => write!(f, "{job}.{first}"),
            Self::Tasks(job, first, last) => write!(f, "{job}.{first}-{last}"),
            Self::Last => f.write_str("last"),
            Self::Label(name, None) => write!(f, "@{name}"),
            Self::Label(name, Some(value)) => write!(f, "@{name}={value}"),
        }
    }
}

fn range<T: FromStr + PartialOrd + Copy>(text: &str) -> Option<(T, T)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}
