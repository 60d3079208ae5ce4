//! A life of the shim begins: alone in its folder, with a number of its own, and after all that an
//! earlier life left is dead.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::getpid;

use super::cgroup::Cgroups;
use super::notes::note;
use super::{clock, launch, strays};

/// The longest wait for what was killed. What still has not gone then hangs in the kernel, and will
/// run nothing more when it leaves it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a shim does not begin.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// Another runs in this folder.
    #[error("another shim runs in {}", .0.display())]
    Taken(PathBuf),
    /// The disk refuses.
    #[error("failed to use {}: {reason}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// A file is not what this program wrote.
    #[error("{} holds no number: remove it if this machine's clock is right", .0.display())]
    Corrupt(PathBuf),
}

/// The folder of a shim, held by this process as long as this lives.
#[derive(Debug)]
pub struct Home {
    /// Where it is.
    pub folder: PathBuf,
    /// By which all its tasks' processes are known.
    pub secret: String,
    /// Who held it before.
    before: Option<Holder>,
    /// Until when.
    lease: LeaseFile,
    /// Held until the process ends.
    lock: File,
}

/// A process, named for good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    boot: String,
    pid: i32,
    start: u64,
}

impl Home {
    /// Takes the folder, which is made if it is not there.
    ///
    /// # Errors
    /// If another shim has it, or the disk refuses.
    pub fn take(folder: &Path) -> Result<Self, LifeError> {
        let folder = std::path::absolute(folder).map_err(|reason| failed(folder, reason))?;
        for path in
            [folder.clone(), folder.join("tasks"), folder.join("progress"), folder.join("logs")]
        {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|reason| failed(&path, reason))?;
        }
        let path = folder.join("lock");
        let io = |reason| failed(&path, reason);
        let mut options = OpenOptions::new();
        let open = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = open.open(&path).map_err(io)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(LifeError::Taken(folder));
        }
        let mut text = String::new();
        lock.read_to_string(&mut text).map_err(io)?;
        let before = Holder::parse(&text);
        let secret = secret(&folder)?;
        let lease = LeaseFile::open(&folder)?;
        Ok(Self { folder, secret, before, lease, lock })
    }

    /// Kills whatever earlier lives left. Whether something of it ran past the end of its lease.
    pub fn clear(&self) -> bool {
        let is_over = self.lease.before.is_some_and(|end| clock::boottime() >= end);
        let path = self.folder.join("cgroup");
        let root = fs::read_to_string(&path);
        let was_in_use = root.is_ok_and(|root| Cgroups::clean(Path::new(root.trim())));
        let had_strays = self.kill_strays();
        is_over && (was_in_use || had_strays)
    }

    /// Notes when the lease ends, for whoever comes after a sudden death.
    pub fn note_lease(&mut self, end: Option<u64>) {
        self.lease.note(end);
    }

    /// From here on, what this process starts is found by whoever comes after it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sign(&mut self, cgroups: Option<&Cgroups>) -> Result<(), LifeError> {
        let path = self.folder.join("cgroup");
        match cgroups {
            Some(cgroups) => {
                let root = cgroups.root().to_string_lossy().into_owned();
                fs::write(&path, root).map_err(|reason| failed(&path, reason))?;
            }
            None => drop(fs::remove_file(&path)),
        }
        let path = self.folder.join("lock");
        let text = Holder::this().text();
        let sign = self.lock.set_len(0).and_then(|()| self.lock.rewind());
        sign.and_then(|()| self.lock.write_all(text.as_bytes()))
            .map_err(|reason| failed(&path, reason))
    }

    /// The number of the next life. When this returns, the disk has it.
    ///
    /// # Errors
    /// If the disk refuses, or has something else.
    pub fn next_life(&self) -> Result<u64, LifeError> {
        let path = self.folder.join("life");
        let io = |reason| failed(&path, reason);
        let last: u64 = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| LifeError::Corrupt(path.clone()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(io(error)),
        };
        let next = clock::wall_ms().max(last.saturating_add(1));
        let draft = self.folder.join("life.new");
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(next.to_string().as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&draft, &path)).map_err(io)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(next)
    }

    /// Removes what tasks of earlier lives said of how far they were.
    pub fn clear_progress(&self) {
        let entries = fs::read_dir(self.folder.join("progress"));
        for entry in entries.into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path());
        }
    }

    /// Whether there were any.
    fn kill_strays(&self) -> bool {
        let mark = format!("{}={}", launch::SECRET, self.secret);
        let own = getpid().as_raw_nonzero().get();
        // A task stays in the session of its shim unless it makes one of its own, and the mark
        // stays unless it clears its environment.
        let session = self.before.as_ref().filter(|it| it.boot == boot_id() && it.pid != own);
        let is_ours = |it: &strays::Process| {
            let in_session =
                session.is_some_and(|old| it.session == old.pid && it.start >= old.start);
            it.pid != own && (in_session || strays::has_marks(it.pid, &[mark.as_bytes()]))
        };
        let start = Instant::now();
        let mut had_some = false;
        loop {
            let all = strays::all();
            let killed: Vec<OwnedFd> = strays::family(&all, is_ours)
                .iter()
                .filter(|it| it.pid != own)
                .filter_map(strays::kill)
                .collect();
            if killed.is_empty() {
                return had_some;
            }
            had_some = true;
            if start.elapsed() > PATIENCE {
                note(format_args!(
                    "{} processes of an earlier life hang in the kernel",
                    killed.len()
                ));
                return true;
            }
            wait_for(&killed);
        }
    }
}

/// The end of the lease, as a number of this boot's clock. It is not synced: it is for whoever comes
/// after this process, and after this machine there is nothing left to kill.
#[derive(Debug)]
struct LeaseFile {
    file: File,
    before: Option<u64>,
    noted: Option<u64>,
}

impl LeaseFile {
    fn open(folder: &Path) -> Result<Self, LifeError> {
        let path = folder.join("lease");
        let mut options = OpenOptions::new();
        let open = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = open.open(&path).map_err(|reason| failed(&path, reason))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|reason| failed(&path, reason))?;
        let boot = boot_id();
        let before = text.trim().strip_prefix(&boot).and_then(|end| end.trim().parse().ok());
        Ok(Self { file, before, noted: None })
    }

    fn note(&mut self, end: Option<u64>) {
        if end == self.noted {
            return;
        }
        self.noted = end;
        // Always as long as before, so that it is written over at once.
        let text = format!("{} {:020}\n", boot_id(), end.unwrap_or(0));
        if let Err(error) = self.file.write_all_at(text.as_bytes(), 0) {
            note(format_args!("failed to note the end of the lease: {error}"));
        }
    }
}

/// Waits until the first of these has ended, or a second.
fn wait_for(processes: &[OwnedFd]) {
    let mut polled: Vec<_> = processes.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    // If it is interrupted, it is looked at again.
    let _ = poll(&mut polled, Some(&second));
}

impl Holder {
    fn this() -> Self {
        let pid = getpid().as_raw_nonzero().get();
        let start = strays::process(pid).map_or(0, |it| it.start);
        Self { boot: boot_id(), pid, start }
    }

    fn text(&self) -> String {
        format!("{} {} {}\n", self.boot, self.pid, self.start)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let boot = words.next()?.to_owned();
        Some(Self { boot, pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()? })
    }
}

fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// The folder's secret, made at its first use.
fn secret(folder: &Path) -> Result<String, LifeError> {
    let path = folder.join("secret");
    let io = |reason| failed(&path, reason);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let secret = fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(io)?.trim().to_owned();
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(secret.as_bytes())).map_err(io)?;
    Ok(secret)
}

fn failed(path: &Path, reason: io::Error) -> LifeError {
    LifeError::Io { path: path.to_owned(), reason }
}
