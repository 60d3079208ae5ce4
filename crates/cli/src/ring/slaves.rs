//! Where the slaves of one machine meet: processes that wait to be told which member to be.
//!
//! ```text
//! $XDG_STATE_HOME/dx/.slaves/
//!   127.0.0.1:10502         held by the slave that waits there
//!   127.0.0.1:10502.member  what its master made of it
//! ```
//!
//! Who looks takes the locks of those who are gone, which one that comes must not find taken: the
//! folder itself is locked by whoever looks, comes or goes, while it does.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use dx_agents::NodeId;
use serde::{Deserialize, Serialize};

use crate::cluster::up::changes_of;
use crate::config::Cluster;
use crate::home::{FolderError, Home, LockError, NodeLock, lock_folder};

/// What a slave is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The cluster.
    pub cluster: Cluster,
    /// The node that it is.
    pub id: NodeId,
}

/// Why slaves and master do not meet.
#[derive(Debug, thiserror::Error)]
pub enum SlaveError {
    /// Another slave waits there.
    #[error("a slave waits at {at} already{}: choose another port", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Taken {
        /// Where.
        at: SocketAddr,
        /// Its process, if that is known.
        pid: Option<u32>,
    },
    /// The folder or a file in it could not be locked.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file could not be used.
    #[error("failed to use {}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

/// The meeting place.
#[derive(Clone, Debug)]
pub struct Slaves(PathBuf);

/// A slave that waits.
#[derive(Debug)]
pub struct Waiting {
    assignment: PathBuf,
    lock: PathBuf,
    slaves: Slaves,
    held: Option<NodeLock>,
}

impl Slaves {
    /// That of a home.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn of(home: &Home) -> Result<Self, SlaveError> {
        let path = home.path().join(".slaves");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|reason| SlaveError::File { path: path.clone(), reason })?;
        Ok(Self(path))
    }

    /// Waits there as the slave that will listen `at`.
    ///
    /// # Errors
    /// If another does.
    pub fn enter(&self, at: SocketAddr) -> Result<Waiting, SlaveError> {
        let (lock, assignment) = (self.lock(at), self.assignment(at));
        let _alone = lock_folder(&self.0)?;
        let held = NodeLock::take(&lock).map_err(|error| match error {
            LockError::Held(pid) => SlaveError::Taken { at, pid },
            LockError::Folder(error) => error.into(),
        })?;
        // What the one before was told is not for this one.
        forget(&assignment)?;
        Ok(Waiting { assignment, lock, slaves: self.clone(), held: Some(held) })
    }

    /// Those who wait, in the order of their addresses. Ready again whenever that changes.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn waiting(&self) -> Result<Vec<SocketAddr>, SlaveError> {
        let failed = |reason| SlaveError::File { path: self.0.clone(), reason };
        let mut waiting = Vec::new();
        let _alone = lock_folder(&self.0)?;
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(at) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            match NodeLock::take(&self.lock(at)) {
                Err(LockError::Held(_)) => waiting.push(at),
                // Its slave is gone; the file is removed while the lock is held.
                Ok(_lock) => forget(&self.lock(at))?,
                Err(LockError::Folder(error)) => return Err(error.into()),
            }
        }
        waiting.sort_unstable();
        Ok(waiting)
    }

    /// Waits until at least `count` wait.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub async fn gathered(&self, count: usize) -> Result<Vec<SocketAddr>, SlaveError> {
        let mut changes = self.changes()?;
        loop {
            let waiting = self.waiting()?;
            if waiting.len() >= count || changes.changed().await.is_err() {
                return Ok(waiting);
            }
        }
    }

    /// Tells the slave that waits `at` what it is.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn assign(&self, at: SocketAddr, assignment: &Assignment) -> Result<(), SlaveError> {
        let path = self.assignment(at);
        let new = path.with_extension("new");
        let text = serde_json::to_vec(assignment).expect("a cluster has text keys only");
        forget(&new)?;
        let written = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(|reason| SlaveError::File { path, reason })
    }

    fn changes(&self) -> Result<tokio::sync::watch::Receiver<()>, SlaveError> {
        changes_of(&self.0).map_err(|reason| SlaveError::File { path: self.0.clone(), reason })
    }

    fn lock(&self, at: SocketAddr) -> PathBuf {
        self.0.join(at.to_string())
    }

    fn assignment(&self, at: SocketAddr) -> PathBuf {
        self.0.join(format!("{at}.member"))
    }
}

impl Waiting {
    /// Waits until a master says what this slave is.
    ///
    /// # Errors
    /// If what it says cannot be read.
    pub async fn assignment(&self) -> Result<Assignment, SlaveError> {
        let failed = |reason| SlaveError::File { path: self.assignment.clone(), reason };
        let mut changes = changes_of(&self.slaves.0).map_err(failed)?;
        loop {
            match fs::read(&self.assignment) {
                Ok(bytes) => {
                    return serde_json::from_slice(&bytes).map_err(|error| failed(error.into()));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
            if changes.changed().await.is_err() {
                return Err(failed(ErrorKind::BrokenPipe.into()));
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _alone = lock_folder(&self.slaves.0);
        // What cannot be removed is known to be stale, since nobody holds it.
        let _ = fs::remove_file(&self.assignment);
        let _ = fs::remove_file(&self.lock);
        drop(self.held.take());
    }
}

fn forget(path: &std::path::Path) -> Result<(), SlaveError> {
    match fs::remove_file(path) {
        Err(reason) if reason.kind() != ErrorKind::NotFound => {
            Err(SlaveError::File { path: path.to_owned(), reason })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    const TIMES: usize = 500;

    #[test]
    fn who_looks_is_in_nobodys_way_and_misses_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let slaves = Slaves::of(&Home::at(folder.path())).unwrap();
        let at: SocketAddr = "127.0.0.1:10502".parse().unwrap();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    slaves.waiting().unwrap();
                }
            });
            let comes_and_goes = || -> Result<(), SlaveError> {
                for _ in 0..TIMES {
                    let waiting = slaves.enter(at)?;
                    assert_eq!(slaves.waiting()?, [at]);
                    drop(waiting);
                }
                Ok(())
            };
            let went = comes_and_goes();
            over.store(true, Ordering::Relaxed);
            went.unwrap();
        });
    }
}
