//! The table of transports.

use std::sync::Arc;

use super::{Memory, Transport};
use crate::credentials::Credentials;

#[cfg(feature = "quic")]
use super::Quic;
#[cfg(feature = "tcp")]
use super::Tcp;
#[cfg(feature = "tls")]
use super::Tls;
#[cfg(any(feature = "tls", feature = "quic"))]
use crate::identity::NodeIdentity;

type Constructor = fn(&Credentials) -> Result<Arc<dyn Transport>, CreateError>;

/// Every transport that was built in, by the name that stands before `://` in an address.
const TRANSPORTS: &[(&str, Constructor)] = &[
    ("memory", |_| Ok(Arc::new(Memory))),
    #[cfg(feature = "tcp")]
    ("tcp", |_| Ok(Arc::new(Tcp))),
    #[cfg(feature = "tls")]
    ("tls", |credentials| Ok(Arc::new(Tls::new(identity("tls", credentials)?)?))),
    #[cfg(feature = "quic")]
    ("quic", |credentials| Ok(Arc::new(Quic::new(identity("quic", credentials)?)?))),
];

/// Why there is no such transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The name is unknown: fault of the configuration.
    #[error("no transport is called `{name}`: did you mean `{nearest}`? Known are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The known name that is most like it.
        nearest: &'static str,
        /// All names, separated by commas.
        known: String,
    },
    /// The transport needs a certificate or key that was not given or does not work.
    #[error("{transport} cannot be used: {reason}")]
    Credentials {
        /// The transport's name.
        transport: &'static str,
        /// What is missing or wrong.
        reason: String,
    },
}

/// The transport called `name`, with what it needs of `credentials`.
///
/// # Errors
/// If there is none of that name, or its credentials are missing or do not work.
pub fn create(name: &str, credentials: &Credentials) -> Result<Arc<dyn Transport>, CreateError> {
    match TRANSPORTS.iter().find(|(known, _)| *known == name) {
        Some((_, constructor)) => constructor(credentials),
        None => Err(CreateError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name),
            known: names().collect::<Vec<_>>().join(", "),
        }),
    }
}

#[cfg(any(feature = "tls", feature = "quic"))]
fn identity<'a>(
    transport: &'static str,
    credentials: &'a Credentials,
) -> Result<&'a NodeIdentity, CreateError> {
    credentials.identity.as_ref().ok_or_else(|| CreateError::Credentials {
        transport,
        reason: "this node has no certificate: let the cluster's authority issue one".to_owned(),
    })
}

/// The names of all transports that were built in.
pub fn names() -> impl Iterator<Item = &'static str> {
    TRANSPORTS.iter().map(|(name, _)| *name)
}

fn nearest(name: &str) -> &'static str {
    names().min_by_key(|known| edits(name, known)).expect("memory is always there")
}

/// Insertions, deletions and replacements that make `a` into `b` (Levenshtein's distance).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_one() {
        let error = create("memroy", &Credentials::default()).err().unwrap();
        assert!(matches!(&error, CreateError::Unknown { nearest: "memory", .. }), "{error}");
        assert!(error.to_string().contains("memory"), "{error}");
    }

    #[test]
    fn a_transport_carries_the_name_it_is_listed_by() {
        assert_eq!(create("memory", &Credentials::default()).unwrap().name(), "memory");
        #[cfg(feature = "tcp")]
        assert_eq!(create("tcp", &Credentials::default()).unwrap().name(), "tcp");
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!((edits("tls", "tls"), edits("tsl", "tls"), edits("", "quic")), (0, 2, 4));
    }
}
