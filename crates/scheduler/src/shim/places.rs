//! Where tasks run: a folder for each that runs, used again and again, and a table of who is in
//! which, by which a later life knows what may have run.
//!
//! To make a folder for each attempt, and to remove it, has each wait for the disk's own journal:
//! that halved the rate of short tasks. An entry of the table is written over in the kernel's
//! memory: it outlives this process at once, and need not outlive the machine, as no task does.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::{AttemptId, JobId};

use super::notes::note;

/// Bytes of an entry: job, index, number. All zeros: nobody.
const ENTRY: usize = 16;

/// The rights of a place.
const MODE: u32 = 0o700;

/// All places of a shim.
#[derive(Debug)]
pub struct Places {
    folder: PathBuf,
    table: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: BTreeMap<AttemptId, u32>,
    idle: Vec<u32>,
    made: u32,
}

impl Places {
    /// Opens the folder of all places, in which nothing is left, and the table beside it. Says who
    /// was in one before and has not left: each has its entry until it does.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn open(folder: PathBuf) -> io::Result<(Self, Vec<AttemptId>)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut table = options.open(folder.with_extension("table"))?;
        let mut bytes = Vec::new();
        table.read_to_end(&mut bytes)?;
        for entry in fs::read_dir(&folder)? {
            remove(&entry?.path());
        }
        let mut state = State::default();
        for entry in bytes.chunks_exact(ENTRY) {
            let number = state.made;
            state.made += 1;
            let unused = match parse(entry) {
                // Only what a machine that lost its power kept of the table has one twice.
                Some(id) => state.taken.insert(id, number),
                None => Some(number),
            };
            state.idle.extend(unused);
        }
        state.idle.retain(|number| !is_there(&path(&folder, *number)));
        let left = state.taken.keys().copied().collect();
        Ok((Self { folder, table, state: Mutex::new(state) }, left))
    }

    /// A place for an attempt, which has it until [`leave`](Self::leave): an empty folder.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn take(&self, id: AttemptId) -> io::Result<PathBuf> {
        loop {
            let (number, was_used) = self.state().next();
            let path = path(&self.folder, number);
            match DirBuilder::new().mode(MODE).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !was_used {
                        // Something that could not be removed, and so is no place.
                        continue;
                    }
                }
                Err(error) => {
                    self.state().idle.push(number);
                    return Err(error);
                }
                Ok(()) => {}
            }
            self.state().taken.insert(id, number);
            // If that fails, the attempt ends, and leaves.
            self.table.write_all_at(&entry(id), offset(number))?;
            return Ok(path);
        }
    }

    /// The place of an attempt, if it has one.
    pub fn of(&self, id: AttemptId) -> Option<PathBuf> {
        let number = self.state().taken.get(&id).copied();
        number.map(|number| path(&self.folder, number))
    }

    /// Nothing of an attempt is left, and its end is known elsewhere. What is in its place goes,
    /// which takes as long as the disk needs. A place that cannot be emptied is nobody's any more.
    pub fn leave(&self, id: AttemptId) {
        let Some(number) = self.state().taken.remove(&id) else { return };
        let path = path(&self.folder, number);
        let is_empty = is_as_new(&path) || remove(&path);
        if let Err(error) = self.table.write_all_at(&[0; ENTRY], offset(number)) {
            note(format_args!("failed to strike {id} off the table: {error}"));
        }
        if is_empty {
            self.state().idle.push(number);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of a place that nobody has, and whether somebody had it before.
    fn next(&mut self) -> (u32, bool) {
        if let Some(number) = self.idle.pop() {
            return (number, true);
        }
        self.made += 1;
        (self.made - 1, false)
    }
}

fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(number.to_string())
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether a task has left nothing in it, and let it be as it was.
fn is_as_new(path: &Path) -> bool {
    let is_same = |it: fs::Metadata| it.is_dir() && it.mode() & 0o7777 == MODE;
    fs::symlink_metadata(path).is_ok_and(is_same)
        && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes a place with all that is in it, even where a task took its own rights away, or put a
/// file there. Whether it is gone.
fn remove(path: &Path) -> bool {
    let once = || match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        other => other,
    };
    let again = |_| {
        give_rights(path);
        once()
    };
    let removed = once().or_else(again);
    if let Err(error) = &removed {
        note(format_args!("failed to remove {}: {error}", path.display()));
    }
    removed.is_ok()
}

fn give_rights(path: &Path) {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    if !is_folder || fs::set_permissions(path, Permissions::from_mode(MODE)).is_err() {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        give_rights(&entry.path());
    }
}

fn offset(number: u32) -> u64 {
    u64::from(number) * ENTRY as u64
}

fn entry(id: AttemptId) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..8].copy_from_slice(&id.task.job.0.to_le_bytes());
    bytes[8..12].copy_from_slice(&id.task.index.to_le_bytes());
    bytes[12..].copy_from_slice(&id.number.to_le_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Option<AttemptId> {
    let job = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let index = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
    let number = u32::from_le_bytes(bytes.get(12..)?.try_into().ok()?);
    (number > 0).then(|| JobId(job).task(index).attempt(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u32) -> AttemptId {
        JobId(3).task(index).attempt(2)
    }

    fn open(folder: &Path) -> (Places, Vec<AttemptId>) {
        let tasks = folder.join("tasks");
        fs::create_dir_all(&tasks).unwrap();
        Places::open(tasks).unwrap()
    }

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        let entries = fs::read_dir(folder.join("tasks")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_later_life_knows_who_had_a_place_until_each_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let (places, left) = open(folder.path());
        assert_eq!(left, []);
        for index in 0..3 {
            fs::write(places.take(id(index)).unwrap().join("file"), "x").unwrap();
        }
        places.leave(id(1));
        drop(places);
        let (places, left) = open(folder.path());
        assert_eq!(left, [id(0), id(2)]);
        assert_eq!(names(folder.path()), [] as [&str; 0]);
        let others = [3, 4].map(|index| places.take(id(index)).unwrap());
        places.leave(id(0));
        places.leave(id(3));
        drop(places);
        let (places, left) = open(folder.path());
        assert_eq!(left, [id(2), id(4)]);
        assert_eq!(places.of(id(4)), Some(others[1].clone()));
        places.leave(id(2));
        places.leave(id(4));
        drop(places);
        assert_eq!(open(folder.path()).1, []);
    }

    #[test]
    fn two_have_never_the_same_place() {
        let folder = tempfile::tempdir().unwrap();
        let (places, _) = open(folder.path());
        let first = places.take(id(0)).unwrap();
        let second = places.take(id(1)).unwrap();
        assert_ne!(first, second);
        places.leave(id(0));
        assert_eq!(places.of(id(0)), None);
        // To leave twice, or without a place, is nothing.
        places.leave(id(0));
        places.leave(id(7));
        assert_eq!(places.take(id(2)).unwrap(), first);
        assert_ne!(places.take(id(3)).unwrap(), first);
    }

    #[test]
    fn what_is_in_the_way_is_nobodys_place() {
        let folder = tempfile::tempdir().unwrap();
        let (places, _) = open(folder.path());
        fs::create_dir(folder.path().join("tasks/0")).unwrap();
        fs::write(folder.path().join("tasks/1"), "x").unwrap();
        assert_eq!(places.take(id(0)).unwrap(), folder.path().join("tasks/2"));
    }

    #[test]
    fn an_entry_that_is_there_twice_or_torn_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let table = [&entry(id(0))[..], &entry(id(0)), &[0; ENTRY], &[1; ENTRY - 1]].concat();
        fs::write(folder.path().join("tasks.table"), table).unwrap();
        let (places, left) = open(folder.path());
        assert_eq!(left, [id(0)]);
        places.leave(id(0));
        let all = [1, 2, 3].map(|index| places.take(id(index)).unwrap());
        assert_eq!(std::collections::BTreeSet::from(all).len(), 3);
        drop(places);
        assert_eq!(open(folder.path()).1, [id(1), id(2), id(3)]);
    }

    #[test]
    fn a_place_is_empty_whatever_was_done_to_it_before() {
        let folder = tempfile::tempdir().unwrap();
        let (places, _) = open(folder.path());
        let spoil: [&dyn Fn(&Path); 5] = [
            &|path| fs::write(path.join("file"), "x").unwrap(),
            &|path| fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap(),
            &|path| fs::remove_dir(path).unwrap(),
            &|path| {
                fs::remove_dir(path).unwrap();
                fs::write(path, "x").unwrap();
            },
            &|path| {
                fs::create_dir_all(path.join("a/b")).unwrap();
                fs::set_permissions(path.join("a"), Permissions::from_mode(0o000)).unwrap();
            },
        ];
        let first = places.take(id(0)).unwrap();
        for spoil in spoil {
            spoil(&first);
            places.leave(id(0));
            let again = places.take(id(0)).unwrap();
            assert_eq!(again, first);
            assert!(is_as_new(&again));
        }
        assert_ne!(places.take(id(1)).unwrap(), first);
    }
}
