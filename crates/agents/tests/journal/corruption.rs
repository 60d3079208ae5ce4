//! What a crash cannot explain stops the node; what it can is cut off and reported.

use std::sync::Arc;

use dx_agents::journal::{Damage, Disk, Journal, OpenError, Recovered};
use proptest::prelude::*;

use super::history::{History, small_options};
use super::model::{Dice, Model};

/// A log of some segments, and what it holds.
fn written(seed: u64, steps: usize) -> (Model, Recovered) {
    let (mut dice, mut history, disk) = (Dice(seed), History::default(), Model::default());
    let mut journal = history.open(&disk).unwrap();
    for _ in 0..steps {
        for _ in 0..=dice.roll(5) {
            history.append(&mut journal, &mut dice);
        }
        history.sync(&mut journal);
    }
    drop(journal);
    let recovered = open(&disk.fork()).unwrap();
    (disk, recovered)
}

fn open(disk: &Model) -> Result<Recovered, OpenError> {
    Ok(Journal::open(Arc::new(disk.clone()), small_options())?.1)
}

fn segments(disk: &Model) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.ends_with(".journal"));
    names.sort();
    names
}

fn damage(outcome: Result<Recovered, OpenError>) -> Damage {
    match outcome {
        Err(OpenError::Corrupt { damage, .. }) => damage,
        other => panic!("{other:?}"),
    }
}

/// Where the last group of a segment begins.
fn last_group(bytes: &[u8]) -> usize {
    bytes.windows(4).rposition(|part| part == b"DXJG").unwrap()
}

fn is_group_border(bytes: &[u8], at: usize) -> bool {
    at == bytes.len() || at == 40 || bytes[at..].starts_with(b"DXJG")
}

#[test]
fn a_missing_segment_stops_the_node() {
    let (disk, _) = written(1, 60);
    let names = segments(&disk);
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        let disk = disk.fork();
        disk.remove(name).unwrap();
        let outcome = open(&disk);
        let number = u64::from_str_radix(name.split_once('.').unwrap().0, 16).unwrap();
        match outcome {
            Err(OpenError::Corrupt { segment, damage: Damage::Missing, .. }) => {
                assert_eq!(segment, number);
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn all_segments_missing_is_a_new_log_and_says_so() {
    let (disk, _) = written(1, 60);
    for name in segments(&disk) {
        disk.remove(&name).unwrap();
    }
    assert!(open(&disk).unwrap().is_new);
}

#[test]
fn a_damaged_head_stops_the_node_even_in_the_last_segment() {
    let (disk, _) = written(2, 60);
    for name in segments(&disk) {
        for at in [0, 9, 17, 25, 33, 37] {
            let disk = disk.fork();
            let mut bytes = disk.bytes(&name);
            bytes[at] ^= 1;
            disk.put(&name, bytes);
            assert_eq!(damage(open(&disk)), Damage::Head, "{name} {at}");
        }
    }
}

#[test]
fn an_empty_file_in_place_of_the_next_segment_is_named() {
    let (disk, _) = written(2, 3);
    disk.put("0000000000000002.journal", Vec::new());
    match open(&disk) {
        Err(OpenError::Corrupt { segment: 2, offset: 0, damage: Damage::Head, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_segment_of_another_log_is_refused() {
    let (disk, _) = written(3, 60);
    let name = segments(&disk).pop().unwrap();
    let other = Model::default();
    let mut options = small_options();
    options.log_id = 77;
    drop(Journal::open(Arc::new(other.clone()), options).unwrap());
    disk.put(&name, other.bytes("0000000000000001.journal"));
    assert_eq!(damage(open(&disk)), Damage::Stranger);
}

#[test]
fn a_segment_of_the_log_before_it_forked_is_refused() {
    let (disk, _) = written(3, 60);
    let name = segments(&disk).pop().unwrap();
    // The same log and numbers, another past.
    let other =
        (4..20).map(|seed| written(seed, 60).0).find(|other| segments(other).contains(&name));
    disk.put(&name, other.unwrap().bytes(&name));
    assert_eq!(damage(open(&disk)), Damage::Unchained);
}

#[test]
fn a_later_format_is_named() {
    let (disk, _) = written(5, 3);
    let name = segments(&disk).pop().unwrap();
    let mut bytes = disk.bytes(&name);
    bytes[8] = 2;
    let crc = crc32fast::hash(&bytes[..36]);
    bytes[36..40].copy_from_slice(&crc.to_le_bytes());
    disk.put(&name, bytes);
    assert!(matches!(open(&disk), Err(OpenError::Version { found: 2, .. })));
}

#[test]
fn a_torn_tail_is_cut_and_reported() {
    let (disk, whole) = written(6, 4);
    let name = segments(&disk).pop().unwrap();
    let bytes = disk.bytes(&name);
    let start = last_group(&bytes);
    for length in start + 1..bytes.len() {
        let disk = disk.fork();
        disk.put(&name, bytes[..length].to_vec());
        let recovered = open(&disk).unwrap();
        let torn = recovered.torn.unwrap();
        assert_eq!((torn.offset, torn.bytes), (start as u64, (length - start) as u64));
        assert_ne!(recovered.agents, whole.agents);
        assert_eq!(disk.bytes(&name).len(), start, "it was cut");
        let again = open(&disk).unwrap();
        assert_eq!((again.torn, again.agents), (None, recovered.agents));
    }
}

#[test]
fn damage_before_a_later_group_is_corruption_and_not_torn() {
    let (disk, _) = written(7, 4);
    let name = segments(&disk).pop().unwrap();
    let bytes = disk.bytes(&name);
    for at in 40..last_group(&bytes) {
        let disk = disk.fork();
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        disk.put(&name, bytes);
        assert_eq!(damage(open(&disk)), Damage::Middle, "byte {at}");
    }
}

#[test]
fn bytes_behind_a_seal_stop_the_node() {
    let (disk, _) = written(8, 60);
    let name = segments(&disk).remove(0);
    let mut bytes = disk.bytes(&name);
    bytes.push(0);
    disk.put(&name, bytes);
    assert_eq!(damage(open(&disk)), Damage::Trailing);
}

#[test]
fn the_error_says_where_and_what_to_do() {
    let (disk, _) = written(1, 60);
    disk.remove(&segments(&disk)[1]).unwrap();
    let text = open(&disk).unwrap_err().to_string();
    assert!(text.contains("/model/") && text.contains("restore a backup"), "{text}");
}

#[test]
fn files_of_others_are_left_alone() {
    let (disk, whole) = written(9, 30);
    let others = ["lost+found", "lock", "0000000000000001.journal.bak", "1.journal", "x.draft"];
    for name in others {
        disk.put(name, vec![1, 2, 3]);
    }
    assert_eq!(open(&disk).unwrap().agents, whole.agents);
    assert!(others.iter().all(|name| disk.bytes(name) == [1, 2, 3]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Whatever happens to one place of a log: either the node stops, or all is there but the last
    /// group, whose loss is reported.
    #[test]
    fn no_damage_goes_unnoticed(
        seed in 0u64..40,
        steps in 1usize..50,
        file: prop::sample::Index,
        at: prop::sample::Index,
        kind in 0..4,
        length in 1usize..600,
    ) {
        let (disk, _) = written(seed, steps);
        let names = segments(&disk);
        let name = &names[file.index(names.len())];
        let before = disk.bytes(name);
        let mut bytes = before.clone();
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + length);
        match kind {
            0 => bytes[at] ^= 1 << (length % 8),
            1 => bytes[at..end].fill(0),
            2 => bytes.truncate(at),
            // A write that went astray.
            _ => bytes.copy_within(..end - at, at),
        }
        // Damage over the last group and the one before leaves nothing that shows it was synced.
        let start = last_group(&before);
        prop_assume!(bytes != before && (kind == 0 || kind == 2 || at >= start || end <= start));
        disk.put(name, bytes.clone());
        match open(&disk) {
            Err(OpenError::Corrupt { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
            // A file that was cut short cannot be told from one that never was longer.
            Ok(recovered) if kind == 2 => {
                prop_assert_eq!(Some(name), names.last());
                prop_assert!(recovered.torn.is_some() || is_group_border(&before, at));
            }
            Ok(recovered) => {
                prop_assert_eq!(Some(name), names.last());
                prop_assert_eq!(recovered.torn.unwrap().offset, start as u64);
                disk.put(name, before[..start].to_vec());
                prop_assert_eq!(open(&disk).unwrap().agents, recovered.agents);
            }
        }
    }
}
