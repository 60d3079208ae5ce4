//! The format, byte by byte: a change of these vectors is a change of the version.

use std::fmt::Write;
use std::sync::Arc;

use dx_agents::journal::{Disk, Entry, Journal};

use super::history::small_options;
use super::model::Model;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn parse(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .filter_map(|line| line.split('|').next())
        .flat_map(str::bytes)
        .filter(u8::is_ascii_hexdigit)
        .collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

const FIRST: &str = include_str!("first.segment");
const SECOND: &str = include_str!("second.segment");

const FIRST_NAME: &str = "0000000000000001.journal";
const SECOND_NAME: &str = "0000000000000002.journal";

#[test]
fn the_format_is_what_it_was() {
    let disk = Model::default();
    let (mut journal, _) = Journal::open(Arc::new(disk.clone()), small_options()).unwrap();
    journal.append(1, Entry::Record(b"one")).unwrap();
    journal.append(2, Entry::Record(b"")).unwrap();
    journal.sync().unwrap();
    journal.append(1, Entry::Snapshot(b"all of it")).unwrap();
    journal.append(2, Entry::Forget).unwrap();
    journal.sync().unwrap();
    journal.append(3, Entry::Snapshot(&[b'x'; 3900])).unwrap();
    journal.sync().unwrap();
    journal.append(3, Entry::Forget).unwrap();
    journal.sync().unwrap();
    assert_eq!(hex(&disk.bytes(FIRST_NAME)), hex(&parse(FIRST)));
    let second = disk.bytes(SECOND_NAME);
    let parsed = parse(SECOND);
    assert_eq!(hex(&second[..76]), hex(&parsed[..76]));
    assert!(second[76..3976].iter().all(|byte| *byte == b'x'));
    assert_eq!(hex(&second[3976..]), hex(&parsed[76..]));
}

#[test]
fn a_log_of_this_version_is_read() {
    let disk = Model::default();
    disk.put(FIRST_NAME, parse(FIRST));
    let mut second = parse(SECOND);
    second.splice(76..76, [b'x'; 3900]);
    disk.put(SECOND_NAME, second);
    let (_, recovered) = Journal::open(Arc::new(disk.clone()), small_options()).unwrap();
    assert_eq!(recovered.agents.len(), 1);
    assert_eq!(recovered.agents[&1].snapshot.as_deref(), Some(&b"all of it"[..]));
    assert_eq!(recovered.torn, None);
    assert_eq!(disk.list().unwrap().len(), 2);
}
