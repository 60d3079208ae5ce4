//! The number of a node's life, stored before it is used.

use std::path::{Path, PathBuf};

use dx_transport::id::Incarnation;

use super::folder::{self, FolderError};

/// Why the number of the next life is not known.
#[derive(Debug, thiserror::Error)]
pub enum IncarnationError {
    /// The file holds no number that can be followed by a greater one. Guessing could make peers
    /// take this life for an earlier one.
    #[error(
        "{} holds `{text}`, which is no incarnation: if this machine's clock is right, remove the file, and the clock gives the next one",
        .path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The beginning of what it holds.
        text: String,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// How much of a corrupt file is shown, in characters.
const SHOWN: usize = 32;

/// The incarnation that follows the one in the file `path` at wall-clock time `now_ms`. When this
/// returns, the disk has it.
pub fn next(path: &Path, now_ms: u64) -> Result<Incarnation, IncarnationError> {
    let stored = if folder::exists(path)? { parse(path, &folder::read(path)?)? } else { 0 };
    let next = Incarnation::after(stored, now_ms);
    folder::replace(path, |file| folder::write(file, &format!("{next}\n"), 0o600))?;
    Ok(next)
}

fn parse(path: &Path, text: &str) -> Result<u64, IncarnationError> {
    let number = text.trim_end().parse().ok().filter(|number| *number < u64::MAX);
    number.ok_or_else(|| IncarnationError::Corrupt {
        path: path.to_owned(),
        text: text.escape_debug().take(SHOWN).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_life_has_a_greater_number_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incarnation");
        assert_eq!(next(&path, 1000).unwrap(), Incarnation(1000));
        assert_eq!(next(&path, 10).unwrap(), Incarnation(1001));
        assert_eq!(fs::read_to_string(&path).unwrap(), "1001\n");
        assert_eq!(next(&path, 5000).unwrap(), Incarnation(5000));
    }

    #[test]
    fn a_corrupt_file_is_reported_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incarnation");
        for corrupt in ["", "x", "-1", "1 2", "18446744073709551615", "18446744073709551616"] {
            fs::write(&path, corrupt).unwrap();
            let error = next(&path, 1000).unwrap_err();
            assert!(matches!(error, IncarnationError::Corrupt { .. }), "{corrupt}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), corrupt);
        }
    }
}
