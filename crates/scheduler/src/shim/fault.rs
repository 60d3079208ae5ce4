//! Whose fault it is that something could not be started.

use std::io;

use rustix::io::Errno;

use crate::end::{Fault, NotStarted};

/// What a node lacks, and no job can be blamed for.
const OF_NODES: [Errno; 8] = [
    Errno::NOSPC,
    Errno::ROFS,
    Errno::IO,
    Errno::NOMEM,
    Errno::MFILE,
    Errno::NFILE,
    Errno::AGAIN,
    Errno::STALE,
];

/// It failed at something that the job asked for: its errno decides.
pub fn by_errno(what: &str, error: &io::Error) -> NotStarted {
    let is_nodes = OF_NODES.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    new(if is_nodes { Fault::Node } else { Fault::Job }, what, error)
}

/// It failed at something that only the shim needs: the node's fault, whatever it was.
pub fn of_node(what: &str, error: &io::Error) -> NotStarted {
    new(Fault::Node, what, error)
}

fn new(fault: Fault, what: &str, error: &io::Error) -> NotStarted {
    NotStarted {
        fault,
        errno: error.raw_os_error().unwrap_or(0),
        reason: format!("{what}: {}", reason(error)),
    }
}

/// The system's reason without its number, which is told apart.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_the_jobs_fault_and_a_full_disk_the_nodes() {
        let at = |errno: Errno| by_errno("failed to start `x`", &io::Error::from(errno));
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::NOEXEC, Errno::TOOBIG, Errno::DQUOT] {
            assert_eq!(at(errno).fault, Fault::Job, "{errno}");
        }
        for errno in OF_NODES {
            assert_eq!(at(errno).fault, Fault::Node, "{errno}");
        }
        assert_eq!(at(Errno::NOENT).reason, "failed to start `x`: no such file or directory");
    }
}
