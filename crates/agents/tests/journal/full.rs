//! A file system that is really full.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use dx_agents::journal::{
    Backlog, Commit, Committer, Entry, Journal, Options, Refused, StdDisk, Ticket,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A file system in memory, of a given size, for as long as this lives.
struct Tiny {
    folder: PathBuf,
    _parent: tempfile::TempDir,
}

impl Tiny {
    /// None, with a reason printed, where one may not mount.
    fn new(bytes: usize) -> Option<Self> {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("tiny");
        fs::create_dir(&folder).unwrap();
        let size = std::ffi::CString::new(format!("size={bytes}")).unwrap();
        match mount("tmpfs", &folder, "tmpfs", MountFlags::empty(), Some(size.as_c_str())) {
            Ok(()) => Some(Self { folder, _parent: parent }),
            Err(error) => {
                println!("skipped: mounting a tmpfs needs root: {error}");
                None
            }
        }
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}

fn options() -> Options {
    let mut options = Options::new(1);
    options.segment_bytes = 64 << 10;
    options
}

/// Submits what comes after `last` until the disk is full; the last accepted one.
fn fill(
    committer: &Committer,
    commits: &mpsc::Receiver<Commit>,
    folder: &Path,
    mut last: Ticket,
) -> Ticket {
    loop {
        match committer.submit(1, Entry::Record(Bytes::from(vec![last.0 as u8; 3000]))) {
            Ok(ticket) => last = ticket,
            Err(Refused::Full { place, needed }) => {
                assert_eq!(Path::new(&place), folder);
                assert!(needed >= 64 << 10, "a whole segment is asked for, not {needed}");
                return last;
            }
            Err(other) => panic!("{other}"),
        }
        match commits.recv().unwrap() {
            Commit::Durable { through, .. } => assert_eq!(through, last),
            Commit::Full { .. } => {}
            Commit::Failed(error) => panic!("{error}"),
        }
    }
}

#[test]
fn work_stops_at_a_full_disk_and_goes_on_when_there_is_room() {
    let Some(tiny) = Tiny::new(512 << 10) else { return };
    let ballast = tiny.folder.join("ballast");
    fs::write(&ballast, vec![1; 150 << 10]).unwrap();
    let folder = tiny.folder.join("journal");
    let disk = Arc::new(StdDisk::new(&folder).unwrap());
    let (journal, _) = Journal::open(disk.clone(), options()).unwrap();
    let (sender, commits) = mpsc::channel();
    let tell = Box::new(move |commit| sender.send(commit).unwrap());
    let committer = Committer::spawn(journal, Backlog::default(), tell).unwrap();

    let last = fill(&committer, &commits, &folder, Ticket(0));
    assert!(last.0 >= 60, "{last:?}");
    assert!(committer.status().is_full);
    fs::remove_file(&ballast).unwrap();
    committer.retry();
    match commits.recv().unwrap() {
        Commit::Durable { through, .. } => assert_eq!(through, last, "what was kept is written"),
        other => panic!("{other:?}"),
    }
    let last = fill(&committer, &commits, &folder, last);

    let journal = committer.shutdown();
    assert!(journal.status().is_full);
    drop(journal);
    let (_, recovered) = Journal::open(disk, options()).unwrap();
    assert_eq!(recovered.torn, None);
    let records = &recovered.agents[&1].records;
    assert_eq!(records.len() as u64 + 1, last.0, "all but the one that never became durable");
    assert!((0u64..).zip(records).all(|(number, record)| record[..] == [number as u8; 3000]));
}

#[test]
fn a_journal_opens_on_a_disk_that_is_full() {
    let Some(tiny) = Tiny::new(256 << 10) else { return };
    let disk = Arc::new(StdDisk::new(tiny.folder.join("journal")).unwrap());
    let (mut journal, _) = Journal::open(disk.clone(), options()).unwrap();
    journal.append(1, Entry::Record(b"before")).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let _ = fs::write(tiny.folder.join("ballast"), vec![1; 256 << 10]);
    let (_, recovered) = Journal::open(disk, options()).unwrap();
    assert_eq!(recovered.agents[&1].records, [&b"before"[..]]);
}
