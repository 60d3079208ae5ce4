//! The committing thread: what it tells, what it refuses, and how it ends.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dx_agents::journal::{
    Backlog, Commit, Committer, Disk, DiskFile, Entry, Journal, Refused, SyncError, Ticket,
};

use super::history::small_options;
use super::model::Model;

fn open(disk: impl Disk) -> Journal {
    Journal::open(Arc::new(disk), small_options()).unwrap().0
}

fn spawn(journal: Journal, backlog: Backlog) -> (Committer, Receiver<Commit>) {
    let (sender, commits) = mpsc::channel();
    // Who does not listen any more is not told.
    let tell = Box::new(move |commit| drop(sender.send(commit)));
    (Committer::spawn(journal, backlog, tell).unwrap(), commits)
}

fn record(bytes: &'static [u8]) -> Entry<Bytes> {
    Entry::Record(Bytes::from_static(bytes))
}

fn durable(commits: &Receiver<Commit>) -> (Ticket, Vec<(u64, Ticket)>, Vec<u64>) {
    match commits.recv().unwrap() {
        Commit::Durable { through, agents, wants_snapshot } => (through, agents, wants_snapshot),
        other => panic!("{other:?}"),
    }
}

/// A disk whose syncs say that they began, and wait until they may end.
struct Gate {
    model: Model,
    doors: Arc<Doors>,
}

struct Doors {
    began: Sender<()>,
    may_end: Mutex<Receiver<()>>,
}

struct GateFile(Box<dyn DiskFile>, Arc<Doors>);

impl Disk for Gate {
    fn list(&self) -> io::Result<Vec<String>> {
        self.model.list()
    }
    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.model.read(name, offset, length)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(GateFile(self.model.open(name)?, Arc::clone(&self.doors))))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.model.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.model.remove(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.model.sync_names()
    }
}

impl DiskFile for GateFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.1.began.send(()).ok();
        self.1.may_end.lock().unwrap().recv().ok(); // open for good once nobody holds the handle
        self.0.sync()
    }
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }
    fn reserve(&mut self, length: u64) -> io::Result<()> {
        self.0.reserve(length)
    }
}

/// A committer behind a gate; the sync of its first head is let through. The gate opens for good
/// when its handle is dropped: it comes last, so that it is dropped before the committer.
fn gated(backlog: Backlog) -> (Model, Committer, Receiver<Commit>, Receiver<()>, Sender<()>) {
    let model = Model::default();
    let ((began, has_begun), (end, may_end)) = (mpsc::channel(), mpsc::channel());
    let doors = Arc::new(Doors { began, may_end: Mutex::new(may_end) });
    end.send(()).unwrap();
    let journal = open(Gate { model: model.clone(), doors });
    has_begun.recv().unwrap();
    let (committer, commits) = spawn(journal, backlog);
    (model, committer, commits, has_begun, end)
}

#[test]
fn a_commit_takes_all_that_came_during_the_one_before() {
    let (model, committer, commits, has_begun, end) = gated(Backlog::default());
    model.trace();
    let first = committer.submit(7, record(b"first")).unwrap();
    has_begun.recv().unwrap();
    for agent in 0..50 {
        committer.submit(agent % 5, record(b"more")).unwrap();
    }
    assert!(commits.try_recv().is_err(), "nothing is told before the sync returns");
    end.send(()).unwrap();
    assert_eq!(durable(&commits).0, first);
    has_begun.recv().unwrap();
    end.send(()).unwrap();
    let (through, agents, _) = durable(&commits);
    assert_eq!(through, Ticket(51));
    assert_eq!(agents, [0, 1, 2, 3, 4].map(|agent| (agent, Ticket(47 + agent))));
    assert_eq!(model.trace(), ["write 41", "sync", "write 1216", "sync"]);
    drop(end);
    let _ = committer.shutdown();
}

#[test]
fn a_backlog_is_bounded_in_entries_and_bytes() {
    for backlog in [Backlog { entries: 3, bytes: 1000 }, Backlog { entries: 1000, bytes: 12 }] {
        let (_, committer, commits, has_begun, end) = gated(backlog);
        committer.submit(1, record(b"word")).unwrap();
        has_begun.recv().unwrap();
        for _ in 0..3 {
            committer.submit(1, record(b"word")).unwrap();
        }
        let refused = committer.submit(1, record(b"word")).unwrap_err();
        assert_eq!(refused, Refused::Busy { entries: 3, bytes: 12 });
        drop(end);
        assert_eq!((durable(&commits).0, durable(&commits).0), (Ticket(1), Ticket(4)));
        committer.submit(1, record(b"longer than the bound for bytes")).unwrap();
        assert_eq!(durable(&commits).0, Ticket(5));
    }
}

#[test]
fn a_backlog_longer_than_a_group_becomes_several_in_order() {
    let (_, committer, commits, has_begun, end) = gated(Backlog::default());
    committer.submit(1, record(b"word")).unwrap();
    has_begun.recv().unwrap();
    for _ in 0..5 {
        committer.submit(1, record(&[1; 7000])).unwrap();
    }
    drop(end);
    let through: Vec<_> = (0..4).map(|_| durable(&commits).0.0).collect();
    assert_eq!(through, [1, 3, 5, 6]);
}

#[test]
fn a_shutdown_commits_what_was_accepted() {
    let disk = Model::default();
    let (committer, commits) = spawn(open(disk.clone()), Backlog::default());
    for _ in 0..500 {
        committer.submit(1, record(b"word")).unwrap();
    }
    let journal = committer.shutdown();
    assert_eq!(journal.status().records, 500);
    drop(journal);
    let told =
        commits.iter().map(|commit| matches!(commit, Commit::Durable { through: Ticket(500), .. }));
    assert_eq!(told.last(), Some(true));
    let (_, recovered) = Journal::open(Arc::new(disk), small_options()).unwrap();
    assert_eq!(recovered.agents[&1].records.len(), 500);
}

#[test]
fn what_is_too_long_is_refused_at_once() {
    let (committer, _commits) = spawn(open(Model::default()), Backlog::default());
    let refused = committer.submit(1, record(&[0; 12_001])).unwrap_err();
    assert_eq!(refused, Refused::TooLarge { bytes: 12_001, max: 12_000 });
}

#[test]
fn a_full_disk_is_told_once_and_the_accepted_is_written_when_there_is_room() {
    let disk = Model::default();
    let (committer, commits) = spawn(open(disk.clone()), Backlog::default());
    disk.limit_room(Some(4000), false);
    let waiting = committer.submit(1, record(&[1; 6000])).unwrap();
    match commits.recv().unwrap() {
        Commit::Full { place, needed } => assert_eq!((&*place, needed), ("/model", 6036)),
        other => panic!("{other:?}"),
    }
    let refused = committer.submit(2, record(b"new")).unwrap_err();
    assert_eq!(refused, Refused::Full { place: "/model".to_owned(), needed: 6036 });
    committer.retry();
    assert!(committer.status().is_full);
    disk.limit_room(None, false);
    committer.retry();
    assert_eq!(durable(&commits).0, waiting, "it was told once that the disk is full");
    let next = committer.submit(2, record(b"new")).unwrap();
    assert_eq!(durable(&commits).0, next);
}

#[test]
fn a_shutdown_on_a_full_disk_ends() {
    let disk = Model::default();
    let (committer, commits) = spawn(open(disk.clone()), Backlog::default());
    disk.limit_room(Some(4000), false);
    committer.submit(1, record(&[1; 6000])).unwrap();
    assert!(matches!(commits.recv().unwrap(), Commit::Full { .. }));
    let journal = committer.shutdown();
    assert!(journal.status().is_full && journal.status().unsynced > 6000);
    assert!(commits.recv().is_err(), "nothing was acknowledged");
}

#[test]
fn a_failed_sync_is_told_and_nothing_more_is_accepted() {
    let disk = Model::default();
    let (committer, commits) = spawn(open(disk.clone()), Backlog::default());
    disk.fail_syncs(Some(io::ErrorKind::Other));
    committer.submit(1, record(b"doubtful")).unwrap();
    let told = commits.recv().unwrap();
    assert!(matches!(told, Commit::Failed(SyncError::Io { verb: "sync", .. })), "{told:?}");
    disk.fail_syncs(None);
    assert_eq!(committer.submit(1, record(b"more")), Err(Refused::Closed));
    assert!(committer.status().has_failed);
    assert!(commits.recv().is_err(), "nothing follows");
}

#[test]
fn an_agent_is_asked_once_for_a_snapshot() {
    let (committer, commits) = spawn(open(Model::default()), Backlog::default());
    let mut asked = Vec::new();
    let mut submit = |entry| {
        committer.submit(1, entry).unwrap();
        asked.push(durable(&commits).2.len());
    };
    for _ in 0..4 {
        submit(record(&[1; 5000]));
    }
    submit(Entry::Snapshot(Bytes::new()));
    submit(record(&[1; 6000]));
    assert_eq!(asked, [0, 1, 0, 0, 0, 1]);
}

#[test]
fn a_callback_that_panics_closes_the_committer() {
    let (entered, has_entered) = mpsc::channel();
    let panics = Box::new(move |_| {
        let _entered: Sender<()> = entered.clone();
        panic!("the callback's fault");
    });
    let committer = Committer::spawn(open(Model::default()), Backlog::default(), panics).unwrap();
    committer.submit(1, record(b"word")).unwrap();
    assert!(has_entered.recv().is_err(), "the thread ends");
    while committer.submit(1, record(b"more")).is_ok() {
        std::thread::yield_now(); // until the thread has unwound
    }
    assert_eq!(committer.submit(1, record(b"more")), Err(Refused::Closed));
}

#[test]
fn a_callback_may_drop_the_committer_and_what_was_accepted_is_still_committed() {
    let disk = Model::default();
    let held: Arc<Mutex<Option<Committer>>> = Arc::default();
    let (sender, commits) = mpsc::channel();
    let last = Arc::clone(&held);
    let tell = Box::new(move |commit| {
        sender.send(commit).unwrap();
        drop(last.lock().unwrap().take());
    });
    let committer = Committer::spawn(open(disk.clone()), Backlog::default(), tell).unwrap();
    let mut slot = held.lock().unwrap(); // the callback waits here until all is submitted
    let committer = slot.insert(committer);
    for _ in 0..100 {
        committer.submit(1, record(b"word")).unwrap();
    }
    drop(slot);
    let mut told = commits.iter().map(|commit| match commit {
        Commit::Durable { through, .. } => through,
        other => panic!("{other:?}"),
    });
    assert!(told.any(|through| through == Ticket(100)));
    assert_eq!(told.count(), 0, "the thread has ended");
}
