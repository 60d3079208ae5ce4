//! The socket itself: bound where no living node has one, removed when it is done.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::UnixListener;

use super::door::Door;
use super::served::{self, Limits};

/// A control socket that listens, and has not served anybody yet.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket; removed when dropped, unless another socket has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there: another process runs this node.
    #[error("another process listens at {}: stop it first", .0.display())]
    InUse(PathBuf),
    /// What is there is no socket, and was not touched.
    #[error("{} is no socket: move it away", .0.display())]
    NotASocket(PathBuf),
    /// The operating system refused.
    #[error("failed to listen at {}: {reason}", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
}

impl Socket {
    /// Listens at `path`. A socket that a dead process left there is replaced, a living one's is
    /// not. Whoever calls this holds the node's lock, so nobody else does the same meanwhile.
    ///
    /// # Errors
    /// If something is there that must not be replaced, or the operating system refuses.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |reason| BindError::Io { path: path.to_owned(), reason };
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let inode = inode(path).map_err(failed)?;
        Ok(Self { listener, file: SocketFile { path: path.to_owned(), inode } })
    }

    /// Serves `router` until `shutdown`, and then what was begun, within limits.
    pub async fn serve(self, router: Router, limits: Limits, shutdown: impl Future<Output = ()>) {
        served::serve(Door::Unix(self.listener), router, limits, shutdown).await;
        drop(self.file);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // What remains is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |reason| BindError::Io { path: path.to_owned(), reason };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        // A full backlog is that of a living process, too.
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(failed(error)),
        _ => Err(BindError::InUse(path.to_owned())),
    }
}
