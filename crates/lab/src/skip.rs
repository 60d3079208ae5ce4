//! Skipping a test that this machine cannot run, aloud.

use std::io::Write as _;

use crate::{LabError, Unavailable};

/// The environment variable that turns every skip into a failure when it is
/// set, for machines that are known to be able.
pub const REQUIRED: &str = "DX_LAB_REQUIRED";

/// The value, or `None` after printing `skipped: <reason>` if the machine
/// cannot provide it.
///
/// ```no_run
/// # use dx_lab::{Lab, or_skip};
/// let Some(lab) = or_skip(Lab::new("rule")) else { return };
/// ```
///
/// # Panics
/// On every error that is not [`Unavailable`], and on that too if
/// [`REQUIRED`] is set.
pub fn or_skip<T>(result: Result<T, LabError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(LabError::Unavailable(reason)) => {
            assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, but {reason}");
            announce(&reason);
            None
        }
        Err(error) => panic!("the lab failed: {error}"),
    }
}

/// Prints past the test harness, which would swallow what a passing test says.
fn announce(reason: &Unavailable) {
    // A closed stderr leaves nobody to tell; the test is skipped all the same.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
