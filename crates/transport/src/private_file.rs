//! Files that hold secrets: readable by their owner only, or refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest secret file that is read, in bytes. Keys have some hundreds.
const MAX_FILE: u64 = 64 * 1024;

/// Why a file that holds a secret was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// Others may read it: what it holds is no secret any more.
    #[error(
        "{} can be read by others (mode {mode:o}): make a new secret, or `chmod 600` it if nobody has read it",
        .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file of that name is there already. It was not touched.
    #[error("{} exists already and is not overwritten: remove it first", .0.display())]
    Exists(PathBuf),
    /// It is far larger than a secret.
    #[error("{} has more than {MAX_FILE} bytes: it holds no key or secret", .0.display())]
    TooLarge(PathBuf),
    /// The operating system refused.
    #[error("failed to {verb} {}: {source}", .path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Reads a file which only its owner may read.
pub(crate) fn read(path: &Path) -> Result<String, PrivateFileError> {
    read_if(path, |mode| mode | 0o700 == 0o700)
}

/// Reads a file which holds no secret: a certificate beside its key.
#[cfg(feature = "identity")]
pub(crate) fn read_public(path: &Path) -> Result<String, PrivateFileError> {
    read_if(path, |_| true)
}

fn read_if(path: &Path, allowed: impl Fn(u32) -> bool) -> Result<String, PrivateFileError> {
    let failed = |source| PrivateFileError::Io { verb: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o777;
    if !allowed(mode) {
        return Err(PrivateFileError::Exposed { path: path.to_owned(), mode });
    }
    if metadata.len() > MAX_FILE {
        return Err(PrivateFileError::TooLarge(path.to_owned()));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Writes a new file that only its owner may read, and waits until the disk has it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), PrivateFileError> {
    write_with_mode(path, text, 0o600)
}

/// Writes a new file that everybody may read: a certificate beside its key.
#[cfg(feature = "identity")]
pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), PrivateFileError> {
    write_with_mode(path, text, 0o644)
}

fn write_with_mode(path: &Path, text: &str, mode: u32) -> Result<(), PrivateFileError> {
    let failed = |source| PrivateFileError::Io { verb: "write", path: path.to_owned(), source };
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(PrivateFileError::Exists(path.to_owned()));
        }
        opened => opened.map_err(failed)?,
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a secret would pass for one; if it cannot be removed, the error says enough.
        let _ = fs::remove_file(path);
        failed(error)
    })
}
