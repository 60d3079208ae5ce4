//! What options say in one word: `NAME=VALUE`, `zone!=a`, `merge`.

use std::path::PathBuf;
use std::str::FromStr;

use dx_scheduler::job::{Capture, Constraint, Cpus, Operator};
use serde::de::DeserializeOwned;

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// What is before the first `=`.
    pub name: String,
    /// What is after it, literally.
    pub value: String,
}

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("write a name, `=`, and a value".to_owned()),
        }
    }
}

/// `NAME=VALUE`, or `NAME` for the value that it has here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentEntry(pub KeyValue);

impl FromStr for EnvironmentEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('=') {
            return text.parse().map(Self);
        }
        match std::env::var(text) {
            Ok(value) => Ok(Self(KeyValue { name: text.to_owned(), value })),
            Err(std::env::VarError::NotPresent) => {
                Err(format!("it is not set here: write `{text}=VALUE`"))
            }
            Err(std::env::VarError::NotUnicode(_)) => Err("its value here is no UTF-8".to_owned()),
        }
    }
}

/// `zone=a`, `zone!=a`, `zone=a,b` for one of several, `cores>=8`, `cores<=8`.
///
/// # Errors
/// If it is none of these.
pub fn constraint(text: &str) -> Result<Constraint, String> {
    let wrong = || "write `label=value`, `label!=value`, `label=one,two`, `label>=8` or `label<=8`";
    let at = text.find(['=', '!', '>', '<']).ok_or_else(wrong)?;
    let (label, rest) = text.split_at(at);
    let operators = [("!=", Operator::Ne), (">=", Operator::Ge), ("<=", Operator::Le)];
    let found = operators.into_iter().find_map(|(sign, it)| Some((it, rest.strip_prefix(sign)?)));
    let (operator, value) = match found {
        Some(found) => found,
        None => match rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
            Some(value) if value.contains(',') => (Operator::In, value),
            Some(value) => (Operator::Eq, value),
            None => return Err(wrong().to_owned()),
        },
    };
    let (label, value) = (label.trim(), value.trim());
    if label.is_empty() || value.is_empty() {
        return Err(wrong().to_owned());
    }
    if matches!(operator, Operator::Ge | Operator::Le) && value.parse::<f64>().is_err() {
        return Err(format!("`{value}` is no number, and is compared with one"));
    }
    Ok(Constraint { label: label.to_owned(), operator, value: value.to_owned() })
}

/// `split`, `merge`, `null`, or a file.
///
/// # Errors
/// If it is a word that is none of these.
pub fn capture(text: &str) -> Result<Capture, String> {
    match text {
        "split" => Ok(Capture::Split),
        "merge" => Ok(Capture::Merge),
        "null" | "/dev/null" => Ok(Capture::Null),
        file if file.starts_with('/') => Ok(Capture::File(PathBuf::from(file))),
        _ => Err("it can be `split`, `merge`, `null`, or the absolute path of a file of the node"
            .to_owned()),
    }
}

/// A number of processors, as `2` or `0.5`.
///
/// # Errors
/// If it is no number, or negative.
pub fn cpus(text: &str) -> Result<Cpus, String> {
    let wrong = || "write a number of processors, as `2` or `0.5`".to_owned();
    let number: f64 = text.parse().map_err(|_| wrong())?;
    serde_json::from_value(number.into()).map_err(|_| wrong())
}

/// A word of an enumeration, as it is written in a job file.
///
/// # Errors
/// If it is none: it names those there are.
pub fn one_word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_literally() {
        let read = |text: &str| text.parse::<KeyValue>().map(|it| (it.name, it.value));
        assert_eq!(read("A=$(x)=\"y\"\n"), Ok(("A".to_owned(), "$(x)=\"y\"\n".to_owned())));
        assert_eq!(read("A="), Ok(("A".to_owned(), String::new())));
        assert!(read("=a").is_err() && read("a").is_err() && read("").is_err());
    }

    #[test]
    fn constraints_are_read_as_they_are_said() {
        let read = |text: &str| constraint(text).map(|it| (it.label, it.operator, it.value));
        let is =
            |label: &str, operator, value: &str| Ok((label.to_owned(), operator, value.to_owned()));
        assert_eq!(read("zone=a"), is("zone", Operator::Eq, "a"));
        assert_eq!(read("zone==a"), is("zone", Operator::Eq, "a"));
        assert_eq!(read("zone != a"), is("zone", Operator::Ne, "a"));
        assert_eq!(read("zone=a,b"), is("zone", Operator::In, "a,b"));
        assert_eq!(read("cores>=8"), is("cores", Operator::Ge, "8"));
        assert_eq!(read("cores<=8"), is("cores", Operator::Le, "8"));
        for wrong in ["", "zone", "zone=", "=a", "zone>8", "cores>=many", "zone!a"] {
            assert!(read(wrong).is_err(), "`{wrong}` was accepted");
        }
    }

    #[test]
    fn output_goes_to_a_file_only_by_its_whole_path() {
        assert_eq!(capture("/tmp/a"), Ok(Capture::File("/tmp/a".into())));
        assert_eq!(capture("merge"), Ok(Capture::Merge));
        assert!(capture("megre").is_err(), "a typo became a file");
    }

    #[test]
    fn processors_can_be_parts() {
        assert_eq!(cpus("0.5"), Ok(Cpus(500)));
        assert!(cpus("-1").is_err() && cpus("nan").is_err() && cpus("two").is_err());
    }
}
