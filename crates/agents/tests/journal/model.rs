//! A disk that keeps, at a crash, any subset of what was not synced: names one by one, bytes by
//! sectors. It also crashes by itself, at a given call, and can be full.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use dx_agents::journal::{Disk, DiskFile};

pub const SECTOR: usize = 512;

/// Random numbers that are the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % sides as u64) as usize
    }
}

#[derive(Clone, Debug, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// The shortest it has been since the last sync.
    shortest: usize,
}

#[derive(Clone, Debug)]
enum Rename {
    Link(String, usize),
    Move(String, String, usize),
    Unlink(String),
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    unsynced_names: Vec<Rename>,
    calls: usize,
    crash_at: Option<usize>,
    is_down: bool,
    /// Bytes of all files, at most.
    room: Option<usize>,
    reserves: bool,
    fail_sync: Option<io::ErrorKind>,
    trace: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Model(Arc<Mutex<State>>);

struct ModelFile {
    disk: Model,
    inode: usize,
    reserved: usize,
}

impl Model {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// From now on: the call after `calls` others is the last one.
    pub fn crash_after(&self, calls: usize) {
        let mut state = self.state();
        state.crash_at = Some(state.calls + calls);
    }

    pub fn is_down(&self) -> bool {
        self.state().is_down
    }

    /// What was called, since the last time.
    pub fn trace(&self) -> Vec<String> {
        std::mem::take(&mut self.state().trace)
    }

    pub fn limit_room(&self, room: Option<usize>, reserves: bool) {
        let mut state = self.state();
        (state.room, state.reserves) = (room, reserves);
    }

    pub fn fail_syncs(&self, fail: Option<io::ErrorKind>) {
        self.state().fail_sync = fail;
    }

    /// The power went and came back.
    pub fn crash(&self, dice: &mut Dice) {
        let mut state = self.state();
        let kept = dice.roll(3); // none, all, or any
        let chance = |dice: &mut Dice| kept == 1 || (kept == 2 && dice.roll(2) == 0);
        for change in std::mem::take(&mut state.unsynced_names) {
            if chance(dice) {
                change.apply(&mut state.synced_names);
            }
        }
        let State { names, synced_names, .. } = &mut *state;
        names.clone_from(synced_names);
        let named: Vec<usize> = state.names.values().copied().collect();
        for (number, inode) in state.inodes.iter_mut().enumerate() {
            if named.contains(&number) {
                inode.tear(|| chance(dice));
            } else {
                *inode = Inode::default();
            }
        }
        state.is_down = false;
        state.crash_at = None;
    }

    /// Only the process went: what was not synced is still in memory, for as long as the power lasts.
    pub fn kill(&self) {
        let mut state = self.state();
        state.is_down = false;
        state.crash_at = None;
    }

    /// The file as it is.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[name]].now.clone()
    }

    /// Replaces the file, synced.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let shortest = bytes.len();
        state.inodes.push(Inode { now: bytes.clone(), synced: bytes, shortest });
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state.synced_names.insert(name.to_owned(), inode);
    }

    /// An independent copy.
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Every call is a point where it may end; what was begun may have come to the platters.
    fn call<T>(&self, what: &str, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let down = || io::Error::other("the power is off");
        if state.is_down {
            return Err(down());
        }
        state.trace.push(what.to_owned());
        state.calls += 1;
        let is_last = state.crash_at.is_some_and(|at| state.calls > at);
        if is_last {
            state.is_down = true;
            let is_sync = what.starts_with("sync");
            if !is_sync {
                let _ = act(&mut state);
            }
            return Err(down());
        }
        act(&mut state)
    }
}

impl Inode {
    fn tear(&mut self, mut chance: impl FnMut() -> bool) {
        let shortest = self.shortest.min(self.synced.len());
        let (low, high) = (shortest, self.now.len().max(self.synced.len()));
        // Any length that it had or could have had on its way.
        let mut length = if chance() { self.now.len() } else { self.synced.len() };
        if chance() && high > low {
            length = low + (length * 31 + high) % (high - low + 1);
        }
        let mut bytes = vec![0; length];
        for (number, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            // What has not changed is there whatever happens; else the sector is old or new.
            let source = if chance() { &self.now } else { &self.synced };
            let start = number * SECTOR;
            let known = source.len().saturating_sub(start).min(sector.len());
            sector[..known].copy_from_slice(&source[start.min(source.len())..][..known]);
        }
        self.shortest = bytes.len();
        self.now.clone_from(&bytes);
        self.synced = bytes;
    }
}

impl Rename {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Move(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
        }
    }
}

impl State {
    fn change(&mut self, change: Rename) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn used(&self) -> usize {
        self.names.values().map(|inode| self.inodes[*inode].now.len()).sum()
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Model {
    fn list(&self) -> io::Result<Vec<String>> {
        self.call("list", |state| Ok(state.names.keys().rev().cloned().collect()))
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.call(&format!("read {name}"), |state| {
            let bytes = &state.inodes[state.inode(name)?].now;
            let start = bytes.len().min(offset as usize);
            let end = bytes.len().min(start + length);
            Ok(bytes[start..end].to_vec())
        })
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.call(&format!("open {name}"), |state| {
            if let Some(inode) = state.names.get(name) {
                return Ok(*inode);
            }
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.change(Rename::Link(name.to_owned(), inode));
            Ok(inode)
        })?;
        Ok(Box::new(ModelFile { disk: self.clone(), inode, reserved: 0 }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(&format!("rename {from} {to}"), |state| {
            let inode = state.inode(from)?;
            state.change(Rename::Move(from.to_owned(), to.to_owned(), inode));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call(&format!("remove {name}"), |state| {
            state.inode(name)?;
            state.change(Rename::Unlink(name.to_owned()));
            Ok(())
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        self.call("sync names", |state| {
            state.synced_names.clone_from(&state.names);
            state.unsynced_names.clear();
            Ok(())
        })
    }

    fn place(&self) -> String {
        "/model".to_owned()
    }
}

impl DiskFile for ModelFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.call(&format!("write {}", bytes.len()), |state| {
            let length = state.inodes[self.inode].now.len();
            let free = match state.room {
                Some(room) if length + bytes.len() > self.reserved => {
                    room.saturating_sub(state.used())
                }
                _ => usize::MAX,
            };
            let fitting = bytes.len().min(free);
            state.inodes[self.inode].now.extend_from_slice(&bytes[..fitting]);
            if fitting < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.call("sync", |state| {
            if let Some(kind) = state.fail_sync {
                return Err(kind.into());
            }
            let inode = &mut state.inodes[self.inode];
            inode.synced.clone_from(&inode.now);
            inode.shortest = inode.now.len();
            Ok(())
        })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.reserved = 0;
        self.disk.call("cut", |state| {
            let inode = &mut state.inodes[self.inode];
            inode.now.resize(length as usize, 0);
            inode.shortest = inode.shortest.min(length as usize);
            Ok(())
        })
    }

    fn reserve(&mut self, length: u64) -> io::Result<()> {
        self.disk.call("reserve", |state| {
            let have = state.inodes[self.inode].now.len();
            let more = (length as usize).saturating_sub(have);
            if state.reserves && state.room.is_some_and(|room| state.used() + more > room) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if state.reserves {
                self.reserved = length as usize;
            }
            Ok(())
        })
    }
}
