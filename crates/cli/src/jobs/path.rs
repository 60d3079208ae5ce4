//! Paths of the REST API, with their queries.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is written otherwise in a path or a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// What is asked of a path beside it: names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// The same, with a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&encoded(&value.to_string()));
        self
    }

    /// The same, with a value if there is one.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same, with several values of one name.
    #[must_use]
    pub fn with_each(self, name: &str, values: impl IntoIterator<Item: Display>) -> Self {
        values.into_iter().fold(self, |query, value| query.with(name, value))
    }

    /// Asks it of `path`.
    #[must_use]
    pub fn of(&self, path: &str) -> String {
        format!("{path}{}", self.0)
    }
}

/// `text` as a part of a path.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_value_says_stays_in_its_place() {
        let query = Query::default().with("label", "a=b&c d/é").with_some("name", None::<&str>);
        let path = query.with_each("state", ["timed_out", "lost"]).of("/v1/jobs");
        assert_eq!(path, "/v1/jobs?label=a%3Db%26c%20d%2F%C3%A9&state=timed_out&state=lost");
        assert_eq!(Query::default().of("/v1/jobs"), "/v1/jobs");
    }
}
