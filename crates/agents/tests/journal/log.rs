//! What a journal does while nothing crashes: bounds, segments, snapshots, full and failing disks.

use std::io;
use std::sync::Arc;

use dx_agents::journal::{
    AppendError, Disk, Entry, Journal, OpenError, Options, Recovered, StdDisk, SyncError,
};

use super::history::small_options;
use super::model::Model;

fn open(disk: &Model) -> (Journal, Recovered) {
    Journal::open(Arc::new(disk.clone()), small_options()).unwrap()
}

fn write(journal: &mut Journal, agent: u64, length: usize) {
    journal.append(agent, Entry::Record(&vec![7; length])).unwrap();
    journal.sync().unwrap();
}

fn names(disk: &Model) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

#[test]
fn what_was_synced_is_there_and_what_was_not_is_not() {
    let disk = Model::default();
    let (mut journal, recovered) = open(&disk);
    assert!(recovered.is_new);
    journal.append(1, Entry::Record(b"one")).unwrap();
    journal.append(2, Entry::Snapshot(b"")).unwrap();
    journal.append(2, Entry::Record(b"")).unwrap();
    journal.sync().unwrap();
    journal.append(1, Entry::Record(b"never")).unwrap();
    drop(journal);
    let (_, recovered) = open(&disk);
    assert!(!recovered.is_new && recovered.torn.is_none());
    assert_eq!(recovered.agents[&1].records, [&b"one"[..]]);
    assert_eq!(recovered.agents[&2].snapshot.as_deref(), Some(&b""[..]));
    assert_eq!(recovered.agents[&2].records, [&b""[..]]);
}

#[test]
fn a_group_is_one_write_and_one_sync() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    disk.trace();
    for agent in 0..50 {
        journal.append(agent, Entry::Record(b"word")).unwrap();
    }
    journal.sync().unwrap();
    assert_eq!(disk.trace(), ["write 1216", "sync"]);
    journal.sync().unwrap();
    assert!(disk.trace().is_empty(), "nothing to write, nothing to sync");
}

#[test]
fn a_segment_is_made_and_the_old_one_sealed_before_the_new_one_is_used() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    write(&mut journal, 1, 3900);
    disk.trace();
    write(&mut journal, 1, 100);
    let new = "0000000000000002.draft";
    let expected = [
        &format!("open {new}"),
        "cut",
        "reserve",
        "write 40",
        "sync",
        &format!("rename {new} 0000000000000002.journal"),
        "sync names",
        "write 36",
        "sync",
        "cut",
        "write 136",
        "sync",
    ];
    assert_eq!(disk.trace(), expected);
}

#[test]
fn an_entry_longer_than_a_segment_has_one_for_itself() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    write(&mut journal, 1, 10);
    journal.append(2, Entry::Snapshot(&[9; 12_000])).unwrap();
    journal.sync().unwrap();
    write(&mut journal, 1, 10);
    assert_eq!(journal.status().segments, 3);
    drop(journal);
    assert_eq!(open(&disk).1.agents[&2].snapshot.as_ref().unwrap().len(), 12_000);
}

#[test]
fn what_is_too_long_or_too_much_is_refused() {
    let (mut journal, _) = open(&Model::default());
    let refused = journal.append(1, Entry::Record(&[0; 12_001])).unwrap_err();
    assert_eq!(refused, AppendError::TooLarge { bytes: 12_001, max: 12_000 });
    journal.append(1, Entry::Record(&[0; 12_000])).unwrap();
    let refused = journal.append(1, Entry::Record(&[0; 4000])).unwrap_err();
    assert_eq!(refused, AppendError::Unsynced { bytes: 12_020, max: 16_000 });
    journal.sync().unwrap();
    journal.append(1, Entry::Record(&[0; 4000])).unwrap();
}

#[test]
fn bounds_that_contradict_each_other_are_refused() {
    let change: [fn(&mut Options); 5] = [
        |options| options.segment_bytes = 100,
        |options| options.segment_bytes = u64::MAX,
        |options| options.max_group = options.max_entry,
        |options| options.max_group = 1 << 30,
        |options| options.carry_bytes = 1 << 40,
    ];
    for change in change {
        let mut options = Options::new(1);
        change(&mut options);
        let outcome = Journal::open(Arc::new(Model::default()), options);
        assert!(matches!(outcome, Err(OpenError::Options(_))));
    }
}

#[test]
fn an_idle_agent_never_keeps_old_segments() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    journal.append(9, Entry::Snapshot(b"idle")).unwrap();
    journal.append(9, Entry::Record(b"since then")).unwrap();
    journal.sync().unwrap();
    for round in 0..200u32 {
        journal.append(1, Entry::Snapshot(&[round as u8; 700])).unwrap();
        journal.sync().unwrap();
    }
    let status = journal.status();
    assert!(status.bytes < 20_000, "{status:?}");
    assert!(!names(&disk).contains(&"0000000000000001.journal".to_owned()));
    drop(journal);
    let (_, recovered) = open(&disk);
    assert_eq!(recovered.agents[&9].snapshot.as_deref(), Some(&b"idle"[..]));
    assert_eq!(recovered.agents[&9].records, [&b"since then"[..]]);
}

#[test]
fn remains_of_just_the_size_that_is_carried_are_carried() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    journal.append(9, Entry::Snapshot(&[9; 1480])).unwrap();
    journal.sync().unwrap();
    for _ in 0..200 {
        journal.append(1, Entry::Snapshot(&[1; 100])).unwrap();
        journal.sync().unwrap();
    }
    assert!(journal.status().bytes < 15_000, "{:?}", journal.status());
    assert_eq!(journal.wants_snapshot().count(), 0);
}

#[test]
fn a_segment_goes_only_when_the_disk_knows_that_it_may() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    write(&mut journal, 1, 3900);
    write(&mut journal, 1, 100);
    disk.trace();
    journal.append(1, Entry::Snapshot(b"new")).unwrap();
    journal.sync().unwrap();
    assert!(names(&disk).contains(&"0000000000000001.journal".to_owned()), "not trimmed yet");
    write(&mut journal, 1, 1);
    assert_eq!(
        disk.trace().last_chunk::<3>().unwrap(),
        &["write 57", "sync", "remove 0000000000000001.journal"]
    );
}

#[test]
fn a_forgotten_agent_leaves_nothing() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    write(&mut journal, 5, 3000);
    journal.append(5, Entry::Forget).unwrap();
    journal.sync().unwrap();
    assert_eq!((journal.status().agents, journal.status().live_bytes), (0, 0));
    drop(journal);
    assert!(open(&disk).1.agents.is_empty());
}

#[test]
fn an_agent_with_a_long_log_is_asked_for_a_snapshot_until_it_writes_one() {
    let (mut journal, _) = open(&Model::default());
    write(&mut journal, 3, 5900);
    assert_eq!(journal.wants_snapshot().count(), 0);
    write(&mut journal, 3, 100);
    assert_eq!(journal.wants_snapshot().collect::<Vec<_>>(), [3]);
    journal.append(3, Entry::Snapshot(b"short")).unwrap();
    journal.sync().unwrap();
    assert_eq!(journal.wants_snapshot().count(), 0);
}

#[test]
fn an_agent_too_large_to_be_carried_is_asked_when_it_keeps_garbage() {
    let (mut journal, _) = open(&Model::default());
    journal.append(8, Entry::Snapshot(&[8; 3000])).unwrap();
    journal.sync().unwrap();
    for _ in 0..40 {
        journal.append(1, Entry::Snapshot(&[1; 700])).unwrap();
        journal.sync().unwrap();
    }
    assert_eq!(journal.wants_snapshot().collect::<Vec<_>>(), [8]);
    journal.append(8, Entry::Snapshot(&[8; 3000])).unwrap();
    journal.sync().unwrap();
    write(&mut journal, 1, 1);
    assert_eq!(journal.wants_snapshot().count(), 0);
    assert!(journal.status().bytes < 12_000, "{:?}", journal.status());
}

#[test]
fn a_full_disk_refuses_new_work_and_loses_nothing() {
    for reserves in [false, true] {
        let disk = Model::default();
        let (mut journal, _) = open(&disk);
        disk.limit_room(Some(9000), reserves);
        let mut written = 0;
        let needed = loop {
            journal.append(1, Entry::Record(&[written; 900])).unwrap();
            match journal.sync() {
                Ok(()) => written += 1,
                Err(SyncError::Full { place, needed }) => {
                    assert_eq!(place, "/model");
                    break needed;
                }
                Err(other) => panic!("{other}"),
            }
        };
        assert!(written >= 4, "{written}");
        let full = AppendError::Full { place: "/model".to_owned(), needed };
        assert_eq!(journal.append(2, Entry::Record(b"new")).unwrap_err(), full);
        assert!(matches!(journal.sync(), Err(SyncError::Full { .. })), "still full");
        assert!(journal.status().is_full);
        let (_, recovered) = open(&disk.fork());
        assert_eq!(recovered.torn, None, "the half-written group was cut off");
        assert_eq!(recovered.agents[&1].records.len(), usize::from(written));

        disk.limit_room(None, reserves);
        journal.sync().unwrap();
        journal.append(2, Entry::Record(b"new")).unwrap();
        journal.sync().unwrap();
        drop(journal);
        let (_, recovered) = open(&disk);
        assert_eq!(recovered.agents[&1].records.len(), usize::from(written) + 1, "it was kept");
        assert_eq!(recovered.agents[&2].records.len(), 1);
    }
}

#[test]
fn where_room_can_be_reserved_a_full_disk_shows_between_segments_only() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    write(&mut journal, 1, 3900);
    write(&mut journal, 1, 10);
    disk.limit_room(Some(4500), true);
    disk.trace();
    journal.append(1, Entry::Record(&[0; 4000])).unwrap();
    assert!(matches!(journal.sync(), Err(SyncError::Full { needed: 4112, .. })));
    let trace = disk.trace();
    assert!(trace.iter().all(|call| !call.starts_with("write")), "{trace:?}");
    assert!(trace.last().unwrap().starts_with("remove"), "the draft is gone: {trace:?}");
}

#[test]
fn a_new_log_on_a_full_disk_says_what_it_needs() {
    let disk = Model::default();
    disk.limit_room(Some(100), true);
    let outcome = Journal::open(Arc::new(disk), small_options());
    assert!(matches!(outcome, Err(OpenError::Full { needed: 4096, .. })));
}

#[test]
fn after_a_failed_sync_nothing_is_ever_written_again() {
    // Not even where the disk was only full: the pages may be gone all the same.
    for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
        let disk = Model::default();
        let (mut journal, _) = open(&disk);
        journal.append(1, Entry::Record(b"doubtful")).unwrap();
        disk.fail_syncs(Some(kind));
        assert!(matches!(journal.sync(), Err(SyncError::Io { verb: "sync", .. })));
        disk.fail_syncs(None);
        disk.trace();
        assert!(matches!(journal.sync(), Err(SyncError::Failed)), "a second sync could lie");
        assert_eq!(journal.append(1, Entry::Record(b"more")), Err(AppendError::Failed));
        assert!(disk.trace().is_empty() && journal.status().has_failed);
    }
}

#[test]
fn what_is_carried_forward_is_checked_first() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    journal.append(9, Entry::Snapshot(b"idle")).unwrap();
    journal.sync().unwrap();
    let first = "0000000000000001.journal";
    let mut bytes = disk.bytes(first);
    *bytes.last_mut().unwrap() ^= 1;
    let outcome = (0..200).try_for_each(|round| {
        if round == 5 {
            disk.put(first, bytes.clone());
        }
        journal.append(1, Entry::Snapshot(&[1; 700])).ok();
        journal.sync()
    });
    assert!(matches!(outcome, Err(SyncError::Corrupt { offset: 56, .. })), "{outcome:?}");
}

#[test]
fn a_folder_is_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(StdDisk::new(folder.path().join("deep/journal")).unwrap());
    let (mut journal, _) = Journal::open(disk.clone(), small_options()).unwrap();
    for round in 0..100u8 {
        journal.append(1, Entry::Record(&[round; 300])).unwrap();
        journal.append(2, Entry::Snapshot(&[round; 300])).unwrap();
        journal.sync().unwrap();
    }
    drop(journal);
    let (_, recovered) = Journal::open(disk, small_options()).unwrap();
    assert_eq!(recovered.agents[&1].records.len(), 100);
    assert_eq!(recovered.agents[&2].snapshot.as_deref(), Some(&[99; 300][..]));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("journal");
    let error = StdDisk::new(&path).err().unwrap().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn recovery_removes_nothing_before_it_has_synced_why() {
    let disk = Model::default();
    let (mut journal, _) = open(&disk);
    write(&mut journal, 1, 3900);
    write(&mut journal, 1, 100);
    journal.append(1, Entry::Snapshot(b"new")).unwrap();
    journal.sync().unwrap();
    journal.append(1, Entry::Record(b"with the trim")).unwrap();
    disk.crash_after(1); // the process dies in the sync, and leaves the write in memory
    journal.sync().unwrap_err();
    disk.kill();
    disk.trace();
    let (_, recovered) = open(&disk);
    assert_eq!(recovered.agents[&1].records.len(), 1);
    let trace = disk.trace();
    let removed = trace.iter().position(|call| call == "remove 0000000000000001.journal").unwrap();
    assert!(trace[..removed].contains(&"sync".to_owned()), "{trace:?}");
}
