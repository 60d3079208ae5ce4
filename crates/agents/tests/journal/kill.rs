//! A real process, killed at every point around its writes: what it had acknowledged over a pipe
//! is there in its next life.
//!
//! The test binary starts itself again as the child. It writes events that are known from their
//! number alone, so that each life can tell what the lives before it must have left.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dx_agents::journal::{
    AgentLog, Backlog, Commit, Committer, Disk, DiskFile, Entry, Journal, StdDisk,
};
use rustix::process::{Signal, getpid, kill_process};

use super::history::small_options;
use super::model::Dice;

const FOLDER: &str = "JOURNAL_TEST_FOLDER";
const SEED: &str = "JOURNAL_TEST_SEED";
/// The call of the disk in which the child dies.
const DIE_AT: &str = "JOURNAL_TEST_DIE_AT";
/// How many events the child writes, if it lives.
const EVENTS: &str = "JOURNAL_TEST_EVENTS";
/// Whether it writes through a committer.
const THREAD: &str = "JOURNAL_TEST_THREAD";

/// The child as a command, before what it is to do.
pub fn child(program: Command, folder: &Path) -> Command {
    let mut command = program;
    command.args(["journal::kill::the_child", "--exact", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).env_remove(DIE_AT).env_remove(THREAD);
    command.env(SEED, "1").env(EVENTS, "100").stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

pub fn through_thread(command: &mut Command) {
    command.env(THREAD, "1");
}

/// A folder in memory if there is one: a killed process leaves the page cache whole anyway.
fn scratch() -> tempfile::TempDir {
    let in_memory = tempfile::Builder::new().tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).unwrap()
}

fn event(number: u64) -> (u64, Entry<Bytes>) {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(8 + (number * 37 % 900) as usize, number as u8);
    let payload = Bytes::from(payload);
    let entry = if number % 9 == 8 { Entry::Snapshot(payload) } else { Entry::Record(payload) };
    (number * 7 % 4, entry)
}

/// How many events are in the log; panics if it is not exactly those.
fn count(agents: &BTreeMap<u64, AgentLog>) -> u64 {
    let payloads = agents.values().flat_map(|log| log.snapshot.iter().chain(&log.records));
    let numbers = payloads.map(|payload| u64::from_le_bytes(*payload.first_chunk().unwrap()));
    let count = numbers.max().map_or(0, |last| last + 1);
    let mut expected: BTreeMap<u64, AgentLog> = BTreeMap::new();
    for (agent, entry) in (0..count).map(event) {
        let log = expected.entry(agent).or_default();
        match entry {
            Entry::Record(bytes) => log.records.push(bytes),
            Entry::Snapshot(bytes) => *log = AgentLog { snapshot: Some(bytes), records: vec![] },
            Entry::Forget => unreachable!("no event forgets"),
        }
    }
    assert_eq!(*agents, expected, "not the first {count} events");
    count
}

/// One line, in one write, so that it is in the pipe when this returns.
fn say(word: &str, number: u64) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("\n{word} {number}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

fn number_from(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
#[ignore = "not a test by itself: the other tests start it as their child"]
fn the_child() {
    let folder = env::var_os(FOLDER).expect("set by who starts it");
    let disk = StdDisk::new(folder).unwrap();
    let die_at = number_from(DIE_AT).map_or(usize::MAX, |call| call as usize);
    let life = Arc::new(Life { calls: AtomicUsize::new(0), die_at });
    let disk = Arc::new(Mortal { disk, life });
    let (journal, recovered) = Journal::open(disk, small_options()).unwrap();
    let first = count(&recovered.agents);
    say("recovered", first);
    let events = first..first + number_from(EVENTS).unwrap();
    if env::var_os(THREAD).is_some() {
        let tell = move |commit| match commit {
            Commit::Durable { through, .. } => say("acknowledged", first + through.0),
            other => panic!("{other:?}"),
        };
        let committer = Committer::spawn(journal, Backlog::default(), Box::new(tell)).unwrap();
        for (agent, entry) in events.map(event) {
            committer.submit(agent, entry).unwrap();
        }
        return;
    }
    write_events(journal, events, &mut Dice(number_from(SEED).unwrap()));
}

fn write_events(mut journal: Journal, events: std::ops::Range<u64>, dice: &mut Dice) {
    for number in events {
        let (agent, entry) = event(number);
        journal.append(agent, entry.as_ref()).unwrap();
        if dice.roll(3) == 0 {
            journal.sync().unwrap();
            say("acknowledged", number + 1);
        }
    }
}

/// A disk in whose calls its process dies: before the call, after it, or in the middle of a write.
struct Mortal {
    disk: StdDisk,
    life: Arc<Life>,
}

struct Life {
    calls: AtomicUsize,
    die_at: usize,
}

struct MortalFile(Box<dyn DiskFile>, Arc<Life>);

impl Life {
    /// One of two points, before or after a call.
    fn point(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.die_at {
            die();
        }
    }

    fn around<T>(&self, act: impl FnOnce() -> T) -> T {
        self.point();
        let outcome = act();
        self.point();
        outcome
    }
}

fn die() -> ! {
    kill_process(getpid(), Signal::KILL).unwrap();
    loop {
        std::thread::park(); // the signal is on its way
    }
}

impl Disk for Mortal {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.disk.read(name, offset, length)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.life.around(|| self.disk.open(name))?;
        Ok(Box::new(MortalFile(file, Arc::clone(&self.life))))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.life.around(|| self.disk.rename(from, to))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.life.around(|| self.disk.remove(name))
    }
    fn sync_names(&self) -> io::Result<()> {
        self.life.around(|| self.disk.sync_names())
    }
}

impl DiskFile for MortalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (some, rest) = bytes.split_at(bytes.len() / 2);
        self.1.around(|| self.0.append(some))?;
        self.1.around(|| self.0.append(rest))
    }
    fn sync(&mut self) -> io::Result<()> {
        self.1.around(|| self.0.sync())
    }
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.1.around(|| self.0.truncate(length))
    }
    fn reserve(&mut self, length: u64) -> io::Result<()> {
        self.1.around(|| self.0.reserve(length))
    }
}

/// Lets a child live until it dies or has said so many acknowledgements; returns what it said
/// last, and whether it was killed.
fn one_life(mut command: Command, acknowledged: u64, patience: usize) -> (u64, bool) {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut known, mut heard) = (acknowledged, 0);
    for line in lines.map(Result::unwrap) {
        if let Some(count) = line.strip_prefix("recovered ") {
            let count: u64 = count.parse().unwrap();
            assert!(count >= acknowledged, "{acknowledged} were acknowledged, {count} are there");
            known = count;
        } else if let Some(count) = line.strip_prefix("acknowledged ") {
            known = count.parse().unwrap();
            heard += 1;
            if heard == patience {
                child.kill().unwrap(); // what it says until it dies still counts
            }
        }
    }
    let status = child.wait().unwrap();
    let was_killed = status.code().is_none();
    assert!(was_killed || status.success(), "the child failed: {status}");
    (known, was_killed)
}

/// So many lives, in folders that are renewed now and then.
fn lives(count: u64, prepare: impl Fn(&mut Command, &mut Dice) -> usize) {
    let (mut dice, mut killed) = (Dice(count), 0);
    let folder = scratch();
    let mut acknowledged = 0;
    for life in 0..count {
        if life % 10 == 0 {
            fs::remove_dir_all(folder.path()).unwrap();
            acknowledged = 0;
        }
        let mut command = child(Command::new(env::current_exe().unwrap()), folder.path());
        command.env(SEED, life.to_string());
        let patience = prepare(&mut command, &mut dice);
        let (known, was_killed) = one_life(command, acknowledged, patience);
        acknowledged = known;
        killed += u64::from(was_killed);
    }
    assert!(killed >= count / 4, "only {killed} of {count} were killed");
}

#[test]
fn a_process_killed_in_any_call_loses_nothing_acknowledged() {
    lives(1200, |command, dice| {
        command.env(DIE_AT, dice.roll(260).to_string());
        usize::MAX
    });
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_acknowledged() {
    lives(800, |command, dice| {
        if dice.roll(2) == 0 {
            command.env(EVENTS, "5000");
            through_thread(command);
        } else {
            // More than fits into the pipe: it cannot come to its end before it is killed.
            command.env(EVENTS, "1000000");
        }
        1 + dice.roll(12)
    });
}
