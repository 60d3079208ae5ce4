//! The bound of a node's log.
//!
//! A node that was started by `dx up` prints into its log. When that is full it is put aside, in
//! the place of the one before, and a new one is begun; whoever follows it notices by its name.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::stdio::{dup2_stderr, dup2_stdout, stdout};

/// The largest log, in bytes; with the one before, a node has twice as much.
const MAX_LOG: u64 = 16 * 1024 * 1024;

/// The log of this node, if that is where its standard output goes.
#[derive(Debug)]
pub struct Log(Option<PathBuf>);

impl Log {
    /// The log at `path`, if standard output is that file.
    pub fn of_this_process(path: PathBuf) -> Self {
        let is_ours = size_if_ours(&path).is_some();
        Self(is_ours.then_some(path))
    }

    /// Begins a new log if this one is full.
    ///
    /// # Errors
    /// If the folder cannot be written; then the log goes on as it is.
    pub fn turn_over(&self) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        if size_if_ours(path).is_none_or(|size| size < MAX_LOG) {
            return Ok(());
        }
        let aside = path.with_extension("old");
        let next = path.with_extension("new");
        let file = File::options().append(true).create(true).mode(0o600).open(&next)?;
        fs::rename(path, aside)?;
        fs::rename(next, path)?;
        dup2_stdout(&file)?;
        Ok(dup2_stderr(&file)?)
    }
}

/// The size of the file at `path`, if standard output is that file.
fn size_if_ours(path: &PathBuf) -> Option<u64> {
    let named = fs::metadata(path).ok()?;
    let ours = rustix::fs::fstat(stdout()).ok()?;
    let is_ours = (ours.st_dev, ours.st_ino) == inode(&named);
    is_ours.then_some(named.len())
}

fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
