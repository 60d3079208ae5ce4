//! A disk that keeps what was synced, and of the rest what chance leaves.
//!
//! It plays the folder under the real journal. What the journal does is noted as a list of
//! operations. A crash ends the list anywhere within the commit that is under way; before that
//! point, bytes are safe that a sync of their file follows, and names that a sync of names does.
//! Of everything else any subset survives: names one by one, bytes by sectors of 512.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dx_agents::journal::{Disk, DiskFile};

use crate::choices::Choices;

/// Bytes that are written as a whole or not at all.
pub const SECTOR: usize = 512;

/// See the module. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// As the journal sees it.
    names: BTreeMap<String, usize>,
    files: Vec<File>,
    /// As a crash would certainly leave it.
    safe_names: BTreeMap<String, usize>,
    /// What was done since.
    log: Vec<Op>,
    /// Operations that had happened when the commit under way began.
    settled: usize,
    /// Bytes that fit on it.
    capacity: Option<usize>,
    fails_next_sync: bool,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    safe: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Op {
    Make { name: String, file: usize },
    Rename { from: String, to: String },
    Remove { name: String },
    Append { file: usize, at: usize, bytes: Vec<u8> },
    Truncate { file: usize, length: usize },
    Sync { file: usize },
    SyncNames,
}

/// What a crash did to what was not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Sectors and names that were there and are gone.
    pub lost: u64,
    /// Such that survived.
    pub kept: u64,
}

impl SimDisk {
    /// Everything up to now has happened: the next crash does not reach back beyond it.
    pub fn settle(&self) {
        let mut state = self.lock();
        state.fold();
        state.settled = state.log.len();
    }

    /// The machine loses its power.
    pub fn crash(&self, choices: &mut Choices) -> Damage {
        self.lock().crash(choices)
    }

    /// Fills the disk, but for so many bytes.
    pub fn fill(&self, left: usize) {
        let mut state = self.lock();
        state.capacity = Some(state.used() + left);
    }

    /// Makes room.
    pub fn make_room(&self) {
        self.lock().capacity = None;
    }

    /// Whatever is wrong with it, or is about to be, is mended.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.capacity = None;
        state.fails_next_sync = false;
    }

    /// The next sync fails.
    pub fn fail_next_sync(&self) {
        self.lock().fails_next_sync = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn used(&self) -> usize {
        self.names.values().map(|file| self.files[*file].bytes.len()).sum()
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Carries out what a sync has made safe, and keeps the rest.
    fn fold(&mut self) {
        let mut rest = Vec::new();
        let log = std::mem::take(&mut self.log);
        let mut synced: BTreeMap<usize, usize> = BTreeMap::new();
        let mut names_synced = 0;
        for (at, op) in log.iter().enumerate() {
            match op {
                Op::Sync { file } => drop(synced.insert(*file, at)),
                Op::SyncNames => names_synced = at,
                _ => {}
            }
        }
        for (at, op) in log.into_iter().enumerate() {
            let is_safe = match &op {
                Op::Append { file, .. } | Op::Truncate { file, .. } => {
                    synced.get(file).is_some_and(|sync| at < *sync)
                }
                Op::Make { .. } | Op::Rename { .. } | Op::Remove { .. } => at < names_synced,
                Op::Sync { .. } | Op::SyncNames => continue,
            };
            if is_safe {
                self.make_safe(op);
            } else {
                rest.push(op);
            }
        }
        self.log = rest;
    }

    fn make_safe(&mut self, op: Op) {
        match op {
            Op::Make { name, file } => drop(self.safe_names.insert(name, file)),
            Op::Rename { from, to } => {
                if let Some(file) = self.safe_names.remove(&from) {
                    self.safe_names.insert(to, file);
                }
            }
            Op::Remove { name } => drop(self.safe_names.remove(&name)),
            Op::Append { file, at, bytes } => put(&mut self.files[file].safe, at, &bytes),
            Op::Truncate { file, length } => self.files[file].safe.truncate(length),
            Op::Sync { .. } | Op::SyncNames => {}
        }
    }

    fn crash(&mut self, choices: &mut Choices) -> Damage {
        let under_way = (self.log.len() - self.settled) as u64;
        let ends = self.log.len() - choices.choose("written", under_way + 1) as usize;
        self.log.truncate(ends);
        self.fold();
        let mut damage = Damage::default();
        for op in std::mem::take(&mut self.log) {
            let Op::Append { file, at, bytes } = op else {
                self.perhaps(op, choices, &mut damage);
                continue;
            };
            let mut from = 0;
            while from < bytes.len() {
                let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
                let bytes = bytes[from..to].to_vec();
                self.perhaps(Op::Append { file, at: at + from, bytes }, choices, &mut damage);
                from = to;
            }
        }
        self.names.clone_from(&self.safe_names);
        for file in &mut self.files {
            file.bytes.clone_from(&file.safe);
        }
        self.settled = 0;
        self.capacity = None;
        self.fails_next_sync = false;
        damage
    }

    fn perhaps(&mut self, op: Op, choices: &mut Choices, damage: &mut Damage) {
        if choices.choose("kept", 2) == 0 {
            damage.lost += 1;
        } else {
            damage.kept += 1;
            self.make_safe(op);
        }
    }
}

/// Writes into a file, behind whose end there are zeros.
fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.lock();
        let bytes = &state.files[state.file(name)?].bytes;
        let from = (offset as usize).min(bytes.len());
        let to = from.saturating_add(length).min(bytes.len());
        Ok(bytes[from..to].to_vec())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        let file = match state.names.get(name) {
            Some(file) => *file,
            None => {
                let file = state.files.len();
                state.files.push(File::default());
                state.names.insert(name.to_owned(), file);
                state.log.push(Op::Make { name: name.to_owned(), file });
                file
            }
        };
        Ok(Box::new(OpenFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        state.log.push(Op::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.file(name)?;
        state.names.remove(name);
        state.log.push(Op::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.lock().log.push(Op::SyncNames);
        Ok(())
    }
}

struct OpenFile {
    disk: SimDisk,
    file: usize,
}

impl DiskFile for OpenFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let room = state.capacity.map(|capacity| capacity.saturating_sub(state.used()));
        let fits = room.unwrap_or(usize::MAX).min(bytes.len());
        let file = &mut state.files[self.file].bytes;
        let at = file.len();
        file.extend_from_slice(&bytes[..fits]);
        state.log.push(Op::Append { file: self.file, at, bytes: bytes[..fits].to_vec() });
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock();
        if std::mem::take(&mut state.fails_next_sync) {
            return Err(io::Error::other("the simulated disk failed"));
        }
        state.log.push(Op::Sync { file: self.file });
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let length = length as usize;
        state.files[self.file].bytes.truncate(length);
        state.log.push(Op::Truncate { file: self.file, length });
        Ok(())
    }

    fn reserve(&mut self, length: u64) -> io::Result<()> {
        let state = self.disk.lock();
        let held = state.files[self.file].bytes.len();
        let more = (length as usize).saturating_sub(held);
        match state.capacity {
            Some(capacity) if state.used() + more > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file `f` with 512 bytes of 1 that are safe, name and all.
    fn disk() -> (SimDisk, Box<dyn DiskFile>) {
        let disk = SimDisk::default();
        let mut file = disk.open("f").unwrap();
        file.append(&[1; SECTOR]).unwrap();
        file.sync().unwrap();
        disk.sync_names().unwrap();
        disk.settle();
        (disk, file)
    }

    fn after_crash(seed: u64, change: impl Fn(&SimDisk, &mut dyn DiskFile)) -> Vec<u8> {
        let (disk, mut file) = disk();
        change(&disk, &mut *file);
        disk.crash(&mut Choices::seeded(seed));
        disk.read("f", 0, 1 << 20).unwrap()
    }

    #[test]
    fn what_was_synced_survives_every_crash() {
        for seed in 0..50 {
            let bytes = after_crash(seed, |disk, file| {
                file.append(&[2; 100]).unwrap();
                file.sync().unwrap();
                disk.settle();
                file.append(&[3; 100]).unwrap();
            });
            assert_eq!(bytes[..SECTOR], [1; SECTOR]);
            assert_eq!(bytes[SECTOR..][..100], [2; 100]);
        }
    }

    #[test]
    fn what_was_not_synced_is_lost_kept_or_torn_by_sectors() {
        let torn = |seed| after_crash(seed, |_, file| file.append(&[2; 3 * SECTOR]).unwrap());
        let results: std::collections::BTreeSet<Vec<u8>> = (0..200).map(torn).collect();
        // Three sectors, each there or not, and the length that follows.
        assert_eq!(results.len(), 8);
        for sector in results.iter().flat_map(|bytes| bytes.chunks(SECTOR)) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is a mixture");
        }
    }

    #[test]
    fn a_crash_within_a_commit_may_come_before_its_sync() {
        let commit = |seed| {
            after_crash(seed, |_, file| {
                file.append(&[2; SECTOR]).unwrap();
                file.sync().unwrap();
            })
        };
        let results: std::collections::BTreeSet<Vec<u8>> = (0..50).map(commit).collect();
        assert_eq!(results.len(), 2, "it is there, or it is not");
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_says_so() {
        let (disk, mut file) = disk();
        disk.fill(10);
        let error = file.append(&[2; 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.read("f", 0, 9999).unwrap().len(), SECTOR + 10);
        disk.make_room();
        file.append(&[2; 20]).unwrap();
    }
}
