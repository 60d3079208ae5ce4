//! What is wrong with a job, before anybody takes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{JobSpec, MAX_AFTER, MAX_COMMANDS};

/// What is wrong with a job, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("`{key}`: {what}")]
pub struct Problem {
    /// The key, with dots between its parts, as `retry.max_attempts` or `commands.0.exec`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into() }
    }
}

impl JobSpec {
    /// Everything that is wrong with it; nothing, if it can be taken.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.commands.is_empty() {
            problems.push(Problem::new("commands", "there is nothing to run: give a command"));
        }
        if self.commands.len() > MAX_COMMANDS {
            let what =
                format!("there are {}; at most {MAX_COMMANDS} are taken", self.commands.len());
            problems.push(Problem::new("commands", what));
        }
        for (at, command) in self.commands.iter().enumerate() {
            let key = format!("commands.{at}.exec");
            match command.exec.first() {
                None => problems.push(Problem::new(key, "it is empty: name a program")),
                Some(program) if program.is_empty() => {
                    problems.push(Problem::new(key, "the program has no name"));
                }
                Some(_) if command.exec.iter().any(|it| it.contains('\0')) => {
                    problems.push(Problem::new(key, "an argument has a zero byte"));
                }
                Some(_) => {}
            }
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let what = "a name is not empty and has no `=`; neither it nor a value has zeros";
                problems.push(Problem::new(format!("environment.{name}"), what));
            }
        }
        if self.retry.max_attempts == 0 {
            problems
                .push(Problem::new("retry.max_attempts", "the first attempt counts: at least 1"));
        }
        self.check_array(&mut problems);
        self.check_after(&mut problems);
        problems
    }

    fn check_after(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeMap::new();
        for (when, at, it) in self.after() {
            let key = format!("{}.{at}", when.key());
            if let Some(before) = seen.insert(&it.job, key.clone()) {
                let what = format!("job {} is in `{before}` already: name it once", it.job);
                problems.push(Problem::new(key, what));
            }
        }
        let count = self.after().count();
        if count > MAX_AFTER {
            let what = format!("it waits for {count} jobs; at most {MAX_AFTER} are taken");
            problems.push(Problem::new("after_ok", what));
        }
    }
}
