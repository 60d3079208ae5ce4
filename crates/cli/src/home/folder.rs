//! Folders that are this user's alone, and files in them that are never half written.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dx_transport::identity::{AuthorityError, IdentityError};
use dx_transport::secret::{PrivateFileError, SecretError};
use rustix::fs::FlockOperation;

/// Why a folder, or a file in it, could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// This user may not.
    #[error(
        "failed to {verb} {}: permission denied: run as the user to whom it belongs, or set XDG_STATE_HOME to a folder of yours",
        .path.display()
    )]
    Denied {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The disk, or this user's share of it, is full. Nothing was changed.
    #[error("failed to {verb} {}: the disk is full: make room and try again", .path.display())]
    Full {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The file system cannot be written.
    #[error(
        "failed to {verb} {}: the file system is read-only: set XDG_STATE_HOME to a folder that can be written",
        .path.display()
    )]
    ReadOnly {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// Others may look into it, where there are keys.
    #[error(
        "{} is open to others (mode {mode:o}): `chmod 700` it, and make new keys if others may have read them",
        .path.display()
    )]
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user, who could not use what is written into it.
    #[error("{} belongs to user {owner}, and this is user {user}: run as that user", .path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// A key or secret is not as it should be.
    #[error(transparent)]
    Private(PrivateFileError),
    /// The operating system refused for another reason.
    #[error("failed to {verb} {}: {reason}", .path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
}

impl FolderError {
    /// What it means that the operating system refused to `verb` `path`.
    pub(super) fn new(verb: &'static str, path: &Path, reason: io::Error) -> Self {
        let path = path.to_owned();
        match reason.kind() {
            ErrorKind::PermissionDenied => Self::Denied { verb, path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { verb, path },
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { verb, path },
            _ => Self::Io { verb, path, reason },
        }
    }

    fn of<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |reason| Self::new(verb, path, reason)
    }
}

impl From<PrivateFileError> for FolderError {
    fn from(error: PrivateFileError) -> Self {
        match error {
            PrivateFileError::Io { verb, path, source } => Self::new(verb, &path, source),
            error => Self::Private(error),
        }
    }
}

/// The largest file that is read whole, in bytes. Certificates have some hundreds.
const MAX_FILE: u64 = 64 * 1024;

/// Makes `path` and what is missing above it, open to this user only.
pub fn make(path: &Path) -> Result<(), FolderError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(FolderError::of("make", path))
}

/// Refuses a folder into which others may look, or whose owner is another user.
pub fn check(path: &Path) -> Result<(), FolderError> {
    let metadata = fs::metadata(path).map_err(FolderError::of("open", path))?;
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if !metadata.is_dir() {
        let reason = ErrorKind::NotADirectory.into();
        return Err(FolderError::Io { verb: "open", path: path.to_owned(), reason });
    }
    if owner != user {
        return Err(FolderError::Foreign { path: path.to_owned(), owner, user });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Whether there is something at `path`.
pub fn exists(path: &Path) -> Result<bool, FolderError> {
    path.try_exists().map_err(FolderError::of("open", path))
}

/// The names of the folders in `path`, in order, without unfinished ones. A missing folder has none.
pub fn names(path: &Path) -> Result<Vec<String>, FolderError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FolderError::of("list", path))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FolderError::of("list", path))?;
        let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'));
        names.extend(name.filter(|_| entry.path().is_dir()));
    }
    names.sort();
    Ok(names)
}

/// Locks the folder against other processes that would make something in it, until dropped.
/// It is held for as long as a key takes to make, so others wait.
///
/// # Errors
/// If the folder cannot be opened or locked.
pub fn lock(path: &Path) -> Result<File, FolderError> {
    let folder = File::open(path).map_err(FolderError::of("lock", path))?;
    let lock = || rustix::fs::flock(&folder, FlockOperation::LockExclusive);
    let locked = rustix::io::retry_on_intr(lock);
    locked.map_err(|error| FolderError::new("lock", path, error.into()))?;
    Ok(folder)
}

/// Makes the folder `path`, with what `fill` writes into it, whole or not at all. The caller holds
/// the [`lock`] of the folder around it, and there is nothing at `path`.
pub fn make_whole<E: From<FolderError>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let unfinished = unfinished(path);
    // Of a process that died here; nobody else holds the lock.
    remove_all(&unfinished)?;
    make(&unfinished)?;
    let filled = fill(&unfinished).and_then(|()| {
        sync(&unfinished)?;
        fs::rename(&unfinished, path).map_err(FolderError::of("make", path))?;
        Ok(sync(parent(path))?)
    });
    if filled.is_err() {
        // The first error says more than one of tidying up; the next attempt removes the rest.
        let _ = fs::remove_dir_all(&unfinished);
    }
    filled
}

/// Replaces the file `path` by one that `write` makes, or leaves it as it was.
pub fn replace<E: From<FolderError>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let unfinished = unfinished(path);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(FolderError::new("replace", &unfinished, error).into());
        }
        _ => {}
    }
    write(&unfinished)?;
    fs::rename(&unfinished, path).map_err(FolderError::of("replace", path))?;
    Ok(sync(parent(path))?)
}

/// Writes a new file of mode `mode`, and waits until the disk has it.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<(), FolderError> {
    let file = File::options().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(FolderError::of("write", path))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a file is worse than none; if it cannot be removed, the error says enough.
        let _ = fs::remove_file(path);
        FolderError::new("write", path, error)
    })
}

/// Reads a file that holds no secret, and at most its first 64 KiB. What is no text stays visible
/// as such, for whoever parses it to complain about.
pub fn read(path: &Path) -> Result<String, FolderError> {
    let file = File::open(path).map_err(FolderError::of("read", path))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE).read_to_end(&mut bytes);
    read.map_err(FolderError::of("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where `path` lies until it is finished.
fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().expect("a folder or file in a home has a name");
    path.with_file_name(format!(".{}.new", name.to_string_lossy()))
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("a folder or file in a home is in a folder")
}

fn sync(folder: &Path) -> Result<(), FolderError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(FolderError::of("write", folder))
}

fn remove_all(folder: &Path) -> Result<(), FolderError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(FolderError::new("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// What of an error is the folder's, or else the error.
pub fn of_authority(error: AuthorityError) -> Result<FolderError, AuthorityError> {
    match error {
        AuthorityError::File(error) | AuthorityError::Identity(IdentityError::File(error)) => {
            Ok(error.into())
        }
        error => Err(error),
    }
}

/// What of an error is the folder's, or else the error.
pub fn of_identity(error: IdentityError) -> Result<FolderError, IdentityError> {
    match error {
        IdentityError::File(error) => Ok(error.into()),
        error => Err(error),
    }
}

/// What of an error is the folder's, or else the error.
pub fn of_secret(error: SecretError) -> Result<FolderError, SecretError> {
    match error {
        SecretError::File(error) => Ok(error.into()),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_made_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("local");
        let failed = make_whole(&path, |folder| {
            write(&folder.join("ca.pem"), "half", 0o644)?;
            Err(FolderError::Full { verb: "write", path: folder.join("ca.key") })
        });
        assert!(matches!(failed, Err(FolderError::Full { .. })));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        // A process that was killed meanwhile leaves this.
        make(&root.path().join(".local.new/n1")).unwrap();
        assert_eq!(names(root.path()).unwrap(), [""; 0]);
        make_whole(&path, |folder| write(&folder.join("ca.pem"), "whole", 0o644)).unwrap();
        assert_eq!(names(root.path()).unwrap(), ["local"]);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_leaves_the_file_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("incarnation");
        write(&path, "1", 0o600).unwrap();
        let failed =
            replace(&path, |_| Err(FolderError::Full { verb: "write", path: path.clone() }));
        assert!(failed.is_err());
        assert_eq!(read(&path).unwrap(), "1");
        replace(&path, |file| write(file, "2", 0o600)).unwrap();
        assert_eq!(read(&path).unwrap(), "2");
    }

    #[test]
    fn a_folder_that_others_can_open_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("local");
        make(&path).unwrap();
        check(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let error = check(&path).unwrap_err();
        assert!(matches!(error, FolderError::Exposed { mode: 0o750, .. }), "{error}");
    }
}
