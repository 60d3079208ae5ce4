//! What a job waits for.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::JobSpec;
use crate::id::JobId;

/// The most jobs that one job may wait for: as many as fit in a specification.
pub const MAX_AFTER: usize = 100_000;

/// What asks for index by index, behind the name of a job.
const EACH: &str = ":each";

/// A job that another waits for: `7` or, in one submission of several jobs, a name; with `:each`
/// behind it, each task waits for the task of the same index there, instead of for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Which job.
    pub job: JobRef,
    /// Whether index by index.
    pub each: bool,
}

/// A job, by number or by its name in one submission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobRef {
    /// One that was taken.
    Number(JobId),
    /// One that is submitted together with the one that names it.
    Name(String),
}

/// What end of a job another waits for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It succeeded.
    Ok,
    /// It failed, ran out of time or memory, was lost, or expired.
    Fail,
    /// Any.
    Any,
}

impl When {
    /// The key of a specification that says so.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Ok => "after_ok",
            Self::Fail => "after_fail",
            Self::Any => "after_any",
        }
    }
}

/// A text that names no job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no job: write `7`, the name of a job of the same submission, or `7:each`")]
pub struct InvalidDependency(pub String);

impl JobSpec {
    /// All that it waits for, with the key and place where it says so.
    pub fn after(&self) -> impl Iterator<Item = (When, usize, &Dependency)> {
        let ok = self.after_ok.iter().enumerate().map(|(at, it)| (When::Ok, at, it));
        let fail = self.after_fail.iter().enumerate().map(|(at, it)| (When::Fail, at, it));
        let any = self.after_any.iter().enumerate().map(|(at, it)| (When::Any, at, it));
        ok.chain(fail).chain(any)
    }

    /// The same, to be changed.
    pub fn after_mut(&mut self) -> impl Iterator<Item = &mut Dependency> {
        self.after_ok.iter_mut().chain(&mut self.after_fail).chain(&mut self.after_any)
    }
}

impl FromStr for Dependency {
    type Err = InvalidDependency;

    fn from_str(text: &str) -> Result<Self, InvalidDependency> {
        let (name, each) = match text.strip_suffix(EACH) {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.is_empty() || name.trim() != name {
            return Err(InvalidDependency(text.to_owned()));
        }
        let job = match name.parse() {
            Ok(number) => JobRef::Number(number),
            Err(_) => JobRef::Name(name.to_owned()),
        };
        Ok(Self { job, each })
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(job) => job.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.job, if self.each { EACH } else { "" })
    }
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.job, self.each) {
            (JobRef::Number(job), false) => serializer.serialize_u64(job.0),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl Visitor<'_> for Form {
            type Value = Dependency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number or name of a job, as 7, \"build\" or \"7:each\"")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Dependency, E> {
                Ok(Dependency { job: JobRef::Number(JobId(number)), each: false })
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Dependency, E> {
                let number = u64::try_from(number)
                    .map_err(|_| E::custom(format!("{number} is no job: numbers begin at 1")))?;
                self.visit_u64(number)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Dependency, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for Dependency {
    fn schema_name() -> Cow<'static, str> {
        "Dependency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": r"^\S(.*\S)?$",
            "examples": [7, "build", "7:each"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_written_as_it_is_read() {
        for text in ["7", "build", "7:each", "build it:each"] {
            let read: Dependency = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Dependency>(&json).unwrap(), read);
        }
        assert_eq!(serde_json::from_str::<Dependency>("7").unwrap(), "7".parse().unwrap());
        assert!("".parse::<Dependency>().is_err() && ":each".parse::<Dependency>().is_err());
        assert!(serde_json::from_str::<Dependency>("-1").is_err());
    }
}
