//! A cgroup for each attempt, where the kernel lets us: nothing leaves it, so it is killed for
//! certain.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::notes::note;

/// The cgroup that holds those of all attempts of one shim.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    memory: bool,
    made: AtomicU64,
    /// Those that were used, and are as if they had not been: to make one and to remove it costs
    /// as much as half of a short task.
    idle: Mutex<Vec<Cgroup>>,
}

/// The cgroup of one attempt.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    folder: File,
    events: File,
    stat: File,
    /// Where its limit is written, where memory is limited.
    max: Option<File>,
    /// Where it says the most memory that it had: only where the kernel can begin anew with each
    /// attempt (6.12).
    peak: Option<File>,
    /// The most memory that is allowed in it; any, if it is 0.
    limit: u64,
    /// Of those that used it before.
    cpu_before: u64,
    oom_before: u64,
}

/// The longest wait for the processes of a cgroup that was killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Cgroups that are kept for the next attempt: more than a machine starts at a time.
const MAX_IDLE: usize = 64;

impl Cgroups {
    /// Finds the second version's tree and makes a cgroup in this process's own, called `name`;
    /// nothing where that is not allowed.
    pub fn find(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let parent = own_folder(&mounts, &own)?;
        let root = parent.join(name);
        match fs::create_dir(&root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return None,
            _ => {}
        }
        let memory = has_memory(&parent, &root);
        let this = Self { root, memory, made: AtomicU64::new(0), idle: Mutex::default() };
        // Whether children can be made and killed is what matters; a trial tells.
        let trial = this.take(0).ok()?;
        let can_kill = trial.path.join("cgroup.kill").exists();
        trial.remove().ok()?;
        can_kill.then_some(this)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether memory is limited here.
    pub fn limits_memory(&self) -> bool {
        self.memory
    }

    /// A cgroup for an attempt, with at most so much memory; any, if it is 0.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn take(&self, memory: u64) -> io::Result<Cgroup> {
        let idle = self.idle().pop();
        let mut cgroup = idle.map_or_else(|| self.create(), Ok)?;
        cgroup.limit_memory(memory)?;
        cgroup.begin_peak();
        Ok(cgroup)
    }

    /// One that is empty, and has been since all that was in it ended by itself.
    pub fn give_back(&self, mut cgroup: Cgroup) {
        cgroup.oom_before += cgroup.ooms();
        let mut idle = self.idle();
        // What a task has made in it goes with it.
        if idle.len() < MAX_IDLE && cgroup.is_plain() {
            idle.push(cgroup);
            return;
        }
        drop(idle);
        if let Err(error) = cgroup.remove() {
            note(format_args!("failed to remove a cgroup: {error}"));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Cgroup>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self) -> io::Result<Cgroup> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(number.to_string());
        fs::create_dir(&path)?;
        let open = |name| File::open(path.join(name));
        let peak = OpenOptions::new().read(true).write(true).open(path.join("memory.peak"));
        let mut max = None;
        if self.memory {
            // All or nothing: half of a task is of no use.
            fs::write(path.join("memory.oom.group"), "1")?;
            max = Some(OpenOptions::new().write(true).open(path.join("memory.max"))?);
        }
        Ok(Cgroup {
            folder: File::open(&path)?,
            events: open("cgroup.events")?,
            stat: open("cpu.stat")?,
            max,
            peak: peak.ok(),
            limit: 0,
            cpu_before: 0,
            oom_before: 0,
            path,
        })
    }

    /// Kills whatever runs in the tree at `root`, which an earlier life made, and removes it.
    /// Whether anything ran there.
    pub fn clean(root: &Path) -> bool {
        let Ok(entries) = fs::read_dir(root) else { return false };
        let mut was_in_use = false;
        let paths: Vec<_> =
            entries.flatten().map(|it| it.path()).filter(|it| it.is_dir()).collect();
        for path in &paths {
            let events = fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
            was_in_use |= value::<u64>(&events, "populated") == Some(1);
            let _ = fs::write(path.join("cgroup.kill"), "1");
        }
        let start = Instant::now();
        for path in &paths {
            while remove_tree(path).is_err() && path.exists() && start.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(2));
            }
        }
        let _ = fs::remove_dir(root);
        was_in_use
    }
}

impl Cgroup {
    /// Kills all that is in it.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn kill(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.kill"), "1")
    }

    /// Removes it, which succeeds when nothing is in it.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn remove(self) -> io::Result<()> {
        remove_tree(&self.path)
    }

    /// Whether nothing is in it now. The next change after that is an event of
    /// [`events`](Self::events).
    pub fn is_empty(&self) -> bool {
        // A cgroup that is gone is empty.
        text(&self.events).is_none_or(|text| value::<u64>(&text, "populated") == Some(0))
    }

    /// Can be polled for exceptional conditions: it fell empty, or did not stay so.
    pub fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Processor time of all that was in it since this was asked last, in nanoseconds. The kernel
    /// adds it up when it is asked, so it is asked once for each attempt.
    pub fn take_cpu(&mut self) -> u64 {
        let micros = text(&self.stat).and_then(|text| value::<u64>(&text, "usage_usec"));
        let (cpu, before) = (micros.unwrap_or(0) * 1000, self.cpu_before);
        self.cpu_before = cpu.max(before);
        cpu.saturating_sub(before)
    }

    /// The most memory that all that was in it had at a time, in bytes; where the kernel does not
    /// say, nothing.
    pub fn peak(&self) -> Option<u64> {
        text(self.peak.as_ref()?)?.trim().parse().ok()
    }

    /// Whether the kernel killed something in it for want of memory.
    pub fn was_oom(&self) -> bool {
        self.limit > 0 && self.ooms() > 0
    }

    /// Written each time: whatever was in it before could change it, too.
    fn limit_memory(&mut self, most: u64) -> io::Result<()> {
        let Some(max) = &self.max else { return Ok(()) };
        let text = if most > 0 { most.to_string() } else { "max".to_owned() };
        max.write_all_at(text.as_bytes(), 0)?;
        self.limit = most;
        Ok(())
    }

    /// What was in it before counts no more: any text says so.
    fn begin_peak(&mut self) {
        self.peak.take_if(|it| it.write_at(b"anew", 0).is_err());
    }

    fn ooms(&self) -> u64 {
        if self.limit == 0 {
            return 0;
        }
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        value::<u64>(&events, "oom_kill").unwrap_or(0).saturating_sub(self.oom_before)
    }

    /// Whether no task has made a cgroup in it.
    fn is_plain(&self) -> bool {
        self.folder.metadata().is_ok_and(|metadata| metadata.nlink() == 2)
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// All of a file of the kernel's that is open.
fn text(file: &File) -> Option<String> {
    let mut bytes = [0; 1024];
    let len = file.read_at(&mut bytes, 0).ok()?;
    Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// Removes a cgroup that nothing is in, and those that a task made in it.
fn remove_tree(path: &Path) -> io::Result<()> {
    let Err(error) = fs::remove_dir(path) else { return Ok(()) };
    for entry in fs::read_dir(path)?.flatten().filter(|it| it.path().is_dir()) {
        remove_tree(&entry.path())?;
    }
    fs::remove_dir(path).map_err(|_| error)
}

/// The folder of this process's cgroup in the second version's tree.
fn own_folder(mounts: &str, own: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, at) = (place.next()?, place.next()?);
        (kind.split(' ').next() == Some("cgroup2")).then_some((root, at))
    })?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let below = path.strip_prefix(mount.0.trim_end_matches('/')).unwrap_or(path);
    Some(Path::new(mount.1).join(below.trim_start_matches('/')))
}

/// Hands the memory controller down, if there is one and it may be.
fn has_memory(parent: &Path, root: &Path) -> bool {
    for folder in [parent, root] {
        let control = folder.join("cgroup.subtree_control");
        // If it is refused, or on already, what follows tells.
        let _ = OpenOptions::new()
            .write(true)
            .open(&control)
            .and_then(|mut it| it.write_all(b"+memory"));
    }
    let handed = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
    handed.split_whitespace().any(|name| name == "memory")
}

fn value<T: FromStr>(text: &str, key: &str) -> Option<T> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_tree_is_found_beside_those_of_the_first_version() {
        let own = "9:name=systemd:/\n4:memory:/x\n0::/user.slice/a\n";
        let found = own_folder(HYBRID, own).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/unified/user.slice/a"));
    }

    #[test]
    fn in_a_container_only_a_part_of_the_tree_is_mounted() {
        let mounts = "41 31 0:38 /docker/c1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let found = own_folder(mounts, "0::/docker/c1/sub\n").unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/sub"));
    }

    #[test]
    fn without_the_second_version_there_is_none() {
        assert_eq!(own_folder("31 23 0:28 / / rw - ext4 x rw\n", "0::/\n"), None);
    }

    #[test]
    fn values_are_found_by_their_whole_name() {
        assert_eq!(value::<u64>("oom 1\noom_kill 3\n", "oom_kill"), Some(3));
        assert_eq!(value::<u64>("oom_kill_x 3\n", "oom_kill"), None);
    }
}
