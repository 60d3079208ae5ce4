//! Segments with any content, most of it with valid checksums: whatever a journal opens on is
//! opened the same way again, and goes on.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use dx_agents::journal::{Entry, Journal, OpenError, Options};
use dx_fuzz::disk::MemoryDisk;
use libfuzzer_sys::fuzz_target;

const LOG_ID: u64 = 0xd05eed;

#[derive(Arbitrary, Debug)]
struct Segment {
    gap: bool,
    head: Head,
    groups: Vec<Group>,
    is_sealed: bool,
    tail: Vec<u8>,
    flip: Option<(u16, u8)>,
}

#[derive(Arbitrary, Debug)]
enum Head {
    Right,
    Stranger(u64),
    Version(u32),
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Group {
    entries: Vec<AnyEntry>,
    is_unchained: bool,
    longer: u16,
}

#[derive(Arbitrary, Debug)]
struct AnyEntry {
    kind: u8,
    agent: u8,
    payload: Vec<u8>,
    longer: u32,
}

fuzz_target!(|input: (u8, Vec<Segment>)| {
    let (first, segments) = input;
    let disk = MemoryDisk::default();
    let (mut number, mut chain) = (u64::from(first % 4), 0);
    for segment in &segments {
        number += 1 + u64::from(segment.gap);
        let mut bytes = segment.bytes(number, &mut chain);
        if let Some((at, mask)) = segment.flip {
            let at = usize::from(at) % bytes.len().max(1);
            bytes.get_mut(at).map(|byte| *byte ^= mask);
        }
        disk.put(format!("{number:016x}.journal"), bytes);
    }
    check(&disk);
});

fn check(disk: &MemoryDisk) {
    let written = disk.len();
    let mut options = Options::new(LOG_ID);
    options.segment_bytes = 4096;
    let open = || Journal::open(Arc::new(disk.clone()), options.clone());
    let (mut journal, recovered) = match open() {
        Ok(opened) => opened,
        Err(error @ (OpenError::Corrupt { .. } | OpenError::Version { .. })) => {
            assert_eq!(disk.len(), written, "a log that is refused is left as it is");
            assert!(error.to_string().contains(".journal"));
            return;
        }
        Err(other) => panic!("{other}"),
    };
    let logs = recovered.agents.values();
    let held = logs.flat_map(|log| log.snapshot.iter().chain(&log.records));
    assert!(held.map(|bytes| bytes.len()).sum::<usize>() <= written);
    journal.append(1, Entry::Record(b"after")).expect("it is open");
    journal.sync().expect("the disk is well");
    drop(journal);

    let (_, again) = open().expect("what was opened once is whole");
    assert!(again.torn.is_none() && !again.is_new);
    let mut expected = recovered.agents;
    expected.entry(1).or_default().records.push(b"after"[..].into());
    assert_eq!(again.agents, expected);
}

impl Segment {
    fn bytes(&self, number: u64, chain: &mut u32) -> Vec<u8> {
        let mut bytes = self.head.bytes(number, *chain);
        for group in &self.groups {
            let position = (number, bytes.len() as u64);
            bytes.extend(group.bytes(position, chain));
        }
        if self.is_sealed {
            let seal = AnyEntry { kind: 6, agent: number as u8 + 1, payload: vec![], longer: 0 };
            let seal = Group { entries: vec![seal], is_unchained: false, longer: 0 };
            let position = (number, bytes.len() as u64);
            bytes.extend(seal.bytes(position, &mut chain.clone()));
        }
        bytes.extend(&self.tail);
        bytes
    }
}

impl Head {
    fn bytes(&self, number: u64, chain: u32) -> Vec<u8> {
        let (version, log_id) = match self {
            Self::Right => (1, LOG_ID),
            Self::Stranger(log_id) => (1, *log_id),
            Self::Version(version) => (*version, LOG_ID),
            Self::Raw(bytes) => return bytes.clone(),
        };
        let mut bytes = b"DXJOURNL".to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(log_id.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(chain.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }
}

impl Group {
    fn bytes(&self, (segment, offset): (u64, u64), chain: &mut u32) -> Vec<u8> {
        let mut head = b"DXJG".to_vec();
        let start = *chain ^ u32::from(self.is_unchained);
        let body: Vec<u8> = self.entries.iter().flat_map(|entry| entry.bytes(chain)).collect();
        head.extend((body.len() as u32 + u32::from(self.longer)).to_le_bytes());
        head.extend(start.to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        for number in [LOG_ID, segment, offset] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(&head);
        head.extend(hasher.finalize().to_le_bytes());
        head.extend(body);
        head
    }
}

impl AnyEntry {
    fn bytes(&self, chain: &mut u32) -> Vec<u8> {
        let mut rest = (self.payload.len() as u32).wrapping_add(self.longer).to_le_bytes().to_vec();
        rest.extend([self.kind % 8, 0, 0, 0]);
        rest.extend(u64::from(self.agent).to_le_bytes());
        rest.extend(&self.payload);
        let mut hasher = crc32fast::Hasher::new_with_initial(*chain);
        hasher.update(&rest);
        *chain = hasher.finalize();
        let mut bytes = chain.to_le_bytes().to_vec();
        bytes.extend(rest);
        bytes
    }
}
