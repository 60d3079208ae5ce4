//! The journal under group commit, beside a loop that writes and syncs the same bytes.
#![allow(missing_docs, reason = "criterion's macros make items without")]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dx_agents::journal::{
    Backlog, Commit, Committer, Entry, Journal, Options, Refused, StdDisk, Ticket,
};
use tempfile::TempDir;

const RECORD: usize = 256;
/// Records that one sync shares.
const GROUPS: [u64; 3] = [1, 32, 1024];
const AGENTS: u64 = 64;
/// How many entries of all agents lie between two snapshots of one.
const SNAPSHOT_EVERY: u64 = 1 << 18;

/// On the disk of the build, since a file system in memory syncs nothing.
fn folder() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder beside the build")
}

fn open(folder: &Path) -> Journal {
    let disk = Arc::new(StdDisk::new(folder.join("journal")).expect("a folder"));
    Journal::open(disk, Options::new(1)).expect("a new journal").0
}

/// Entry `number`: agents take turns, and now and then one writes a snapshot, as they do in life;
/// so old segments go.
fn entry(number: u64, payload: Bytes) -> (u64, Entry<Bytes>) {
    let is_snapshot = number % SNAPSHOT_EVERY < AGENTS;
    let entry = if is_snapshot { Entry::Snapshot(payload) } else { Entry::Record(payload) };
    (number % AGENTS, entry)
}

fn raw(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("raw write and fdatasync, 256 B");
    for records in GROUPS {
        let folder = folder();
        let path = folder.path().join("raw");
        let create = || OpenOptions::new().append(true).create(true).open(&path).expect("a file");
        let (mut file, mut written): (File, usize) = (create(), 0);
        let bytes = vec![7; RECORD * records as usize];
        group.throughput(Throughput::Elements(records));
        group.bench_function(format!("{records} a sync"), |bencher| {
            bencher.iter(|| {
                file.write_all(&bytes).expect("written");
                file.sync_data().expect("synced");
                written += bytes.len();
                if written > 64 << 20 {
                    std::fs::remove_file(&path).expect("removed");
                    (file, written) = (create(), 0);
                }
            });
        });
    }
}

fn journal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal, 256 B");
    for records in GROUPS {
        let folder = folder();
        let mut journal = open(folder.path());
        let payload = Bytes::from(vec![7; RECORD]);
        let mut number = 0;
        group.throughput(Throughput::Elements(records));
        group.bench_function(format!("{records} a sync"), |bencher| {
            bencher.iter(|| {
                for _ in 0..records {
                    let (agent, entry) = entry(number, payload.clone());
                    journal.append(agent, entry.as_ref()).expect("accepted");
                    number += 1;
                }
                journal.sync().expect("synced");
            });
        });
    }
}

/// Submits as fast as the committer takes; `in_flight` records are unacknowledged at most.
fn committer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("committer, 256 B");
    for in_flight in GROUPS {
        let folder = folder();
        let (sender, commits) = mpsc::channel();
        let tell = Box::new(move |commit| match commit {
            Commit::Durable { through, .. } => drop(sender.send(through)),
            other => panic!("{other:?}"),
        });
        let committer = Committer::spawn(open(folder.path()), Backlog::default(), tell);
        let committer = committer.expect("a thread");
        let payload = Bytes::from(vec![7; RECORD]);
        let (mut number, mut durable) = (0, Ticket(0));
        let batch = in_flight.max(256);
        group.throughput(Throughput::Elements(batch));
        group.bench_function(format!("{in_flight} in flight"), |bencher| {
            bencher.iter(|| {
                for _ in 0..batch {
                    while number - durable.0 >= in_flight {
                        durable = commits.recv().expect("the thread lives");
                    }
                    let (agent, entry) = entry(number, payload.clone());
                    let ticket: Result<Ticket, Refused> = committer.submit(agent, entry);
                    number = ticket.expect("the backlog is larger").0;
                }
            });
        });
    }
}

/// What a start costs: a log of records only is read, checked and kept in memory.
fn open_again(criterion: &mut Criterion) {
    const RECORDS: u64 = (64 << 20) / RECORD as u64;
    let folder = folder();
    let mut written = open(folder.path());
    let payload = Bytes::from(vec![7; RECORD]);
    for number in 0..RECORDS {
        let record = Entry::Record(&payload[..]);
        written.append(number % AGENTS, record).expect("accepted");
        if number % 1024 == 0 {
            written.sync().expect("synced");
        }
    }
    written.sync().expect("synced");
    drop(written);
    let mut group = criterion.benchmark_group("journal, open 64 MiB");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    group.bench_function("256 B", |bencher| bencher.iter_with_large_drop(|| open(folder.path())));
}

criterion_group!(benches, raw, journal, committer, open_again);
criterion_main!(benches);
