//! What the log needs of a file system, and a folder that has it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use super::error::OpenError;

/// A flat folder. [`StdDisk`] is a real one; a simulator puts a model in its place that loses or
/// tears what was not synced.
///
/// What the log counts on: bytes are safe once [`DiskFile::sync`] has returned; names once
/// [`sync_names`](Disk::sync_names) has. Until then any subset of changed names and of changed
/// sectors may survive a crash. A sector is old or new, never a mixture.
pub trait Disk: Send + Sync + 'static {
    /// The names of all files, in any order.
    ///
    /// # Errors
    /// If they cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Up to `length` bytes from `offset` on; fewer only at the end of the file. Allocates no more
    /// than the file holds.
    ///
    /// # Errors
    /// If they cannot be read, or the file is not there.
    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// A file to append to, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be opened or made.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file, over another of the new name if there is one: at no time is there neither.
    ///
    /// # Errors
    /// If it cannot be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If it cannot be removed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Waits until the names are on the disk.
    ///
    /// # Errors
    /// If it is not known that they are.
    fn sync_names(&self) -> io::Result<()>;

    /// What an error calls this disk: its path.
    fn place(&self) -> String {
        "the journal".to_owned()
    }
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send {
    /// Writes all of `bytes` at the end; after an error a part of them may be there.
    ///
    /// # Errors
    /// If not all of them were written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits until the bytes are on the disk.
    ///
    /// # Errors
    /// If it is not known that they are.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `length` bytes, and gives back what was reserved beyond.
    ///
    /// # Errors
    /// If it was not cut.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Reserves room, so that appending up to `length` bytes in all does not fill the disk. The
    /// file's length stays. A disk that knows of no such thing does nothing.
    ///
    /// # Errors
    /// If there is no such room.
    fn reserve(&mut self, length: u64) -> io::Result<()>;
}

/// Whether the disk, or a quota, or a limit of the file's length leaves no room for more.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A folder of the operating system's.
#[derive(Debug)]
pub struct StdDisk {
    folder: PathBuf,
}

impl StdDisk {
    /// The folder, which is made (readable by its owner only) if it is not there.
    ///
    /// # Errors
    /// [`OpenError::Io`] if it cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let folder = folder.into();
        make_folder(&folder).map_err(|source| {
            let (place, name) = (folder.display().to_string(), String::new());
            OpenError::Io { verb: "make", place, name, source }
        })?;
        Ok(Self { folder })
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // A new folder's own name is to survive a crash as well.
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Disk for StdDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name().into_string()));
        // Names that are no text are not the log's.
        names.filter_map(|name: io::Result<_>| name.map(Result::ok).transpose()).collect()
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.folder.join(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        Ok(Box::new(StdFile { file: options.open(self.folder.join(name))? }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn place(&self) -> String {
        self.folder.display().to_string()
    }
}

struct StdFile {
    file: File,
}

impl DiskFile for StdFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn reserve(&mut self, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, length) {
            // Then a full disk is met while writing; the half-written group is cut off.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn only_what_room_can_mend_counts_as_full() {
        for full in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert!(is_full(&full.into()), "{full}");
        }
        for broken in [Errno::IO, Errno::ROFS, Errno::BADF] {
            assert!(!is_full(&broken.into()), "{broken}");
        }
    }
}
