//! One process per node: a lock that the kernel takes back when its holder dies.

use std::fs::{self, File, Metadata};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::FolderError;

/// The longest number of a process, in digits, with room to spare.
const MAX_DIGITS: u64 = 20;

/// The lock of a node's folder. It ends with the process, however that ends.
#[derive(Debug)]
pub struct NodeLock {
    file: File,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it: the process of this number, if that is known yet.
    #[error("it is locked by {}", holder(*.0))]
    Held(Option<u32>),
    /// The lock's file could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// How to name the holder of a lock.
pub(super) fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "a process that starts just now".to_owned(), |pid| format!("pid {pid}"))
}

impl NodeLock {
    /// Takes the lock at `path` or fails at once.
    ///
    /// # Errors
    /// If another process holds it, or the file cannot be used.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |error| FolderError::new("lock", path, error);
        let options = &mut File::options();
        // The holder's number must stay readable until the lock is ours.
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.mode(0o600).open(path).map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held(read_holder(&file))),
            locked => locked.map_err(|error| failed(error.into()))?,
        }
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", process::id()))
            .map_err(failed)?;
        Ok(Self { file })
    }

    /// Whether `path` names the file that is locked. If it cannot be looked at, it does not.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        let is_same =
            |at: Metadata, held: Metadata| (at.dev(), at.ino()) == (held.dev(), held.ino());
        fs::symlink_metadata(path)
            .is_ok_and(|at| self.file.metadata().is_ok_and(|it| is_same(at, it)))
    }
}

/// The living process that wrote its number, if the present holder has done so already.
fn read_holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_DIGITS).read_to_string(&mut text).ok()?;
    let pid: u32 = text.trim().parse().ok()?;
    let lives = test_kill_process(Pid::from_raw(i32::try_from(pid).ok()?)?);
    // Of a process that may not be signalled, too, it is known that it lives.
    (lives.is_ok() || lives == Err(Errno::PERM)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = NodeLock::take(&path).unwrap();
        let second = NodeLock::take(&path).unwrap_err();
        assert!(matches!(second, LockError::Held(Some(pid)) if pid == process::id()), "{second}");
        drop(first);
        NodeLock::take(&path).unwrap();
    }

    #[test]
    fn the_number_of_a_dead_holder_is_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _first = NodeLock::take(&path).unwrap();
        for stale in ["2147483646\n", "", "n1", "-1", "0"] {
            fs::write(&path, stale).unwrap();
            let second = NodeLock::take(&path).unwrap_err();
            assert!(matches!(second, LockError::Held(None)), "{stale}: {second}");
        }
    }
}
