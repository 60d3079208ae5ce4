//! The bytes of a segment: its head, groups, entries. `docs/journal.md` has the offsets.
//!
//! Each checksum begins where the one before it ended (the *chain*), so that an entry is valid
//! only after the very entry that was written before it. A group's head, in contrast, can be
//! checked on its own, wherever it is found: that is how recovery knows what was synced.

use crc32fast::Hasher;

/// Bytes of a segment's head.
pub(super) const SEGMENT_HEAD: usize = 40;
/// Bytes of a group's head.
pub(super) const GROUP_HEAD: usize = 16;
/// Bytes before an entry's payload.
pub(super) const ENTRY_HEAD: usize = 20;
/// Bytes of the group that ends a segment.
pub(super) const SEAL: usize = GROUP_HEAD + ENTRY_HEAD;
/// The version of the format.
pub(super) const VERSION: u32 = 1;
/// What a group begins with; recovery looks for it behind damage.
pub(super) const GROUP_MAGIC: [u8; 4] = *b"DXJG";

const SEGMENT_MAGIC: [u8; 8] = *b"DXJOURNL";

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A record of an agent.
    Record = 1,
    /// A snapshot: what the agent wrote before is void.
    Snapshot = 2,
    /// The agent is gone: what it wrote before is void.
    Forget = 3,
    /// What the agent wrote before is void, and follows anew in this group.
    Restart = 4,
    /// Segments below the number in the agent's place hold nothing that is needed.
    Trim = 5,
    /// The segment ends; the one whose number is in the agent's place goes on.
    Seal = 6,
}

impl Kind {
    fn decode(byte: u8) -> Option<Self> {
        use Kind::{Forget, Record, Restart, Seal, Snapshot, Trim};
        [Record, Snapshot, Forget, Restart, Trim, Seal].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub log_id: u64,
    pub number: u64,
    /// The chain at the end of the segment before.
    pub chain: u32,
}

/// Why the first bytes of a file are no segment's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHead {
    Damaged,
    Version(u32),
}

impl SegmentHead {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEAD] {
        let mut bytes = [0; SEGMENT_HEAD];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.chain.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..36]);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, NoHead> {
        let bytes: &[u8; SEGMENT_HEAD] = bytes.first_chunk().ok_or(NoHead::Damaged)?;
        if bytes[..8] != SEGMENT_MAGIC || crc32fast::hash(&bytes[..36]) != u32_at(bytes, 36) {
            return Err(NoHead::Damaged);
        }
        match u32_at(bytes, 8) {
            VERSION => Ok(Self {
                log_id: u64_at(bytes, 16),
                number: u64_at(bytes, 24),
                chain: u32_at(bytes, 32),
            }),
            other => Err(NoHead::Version(other)),
        }
    }
}

/// Where a group begins. It is part of the group's checksum and so need not be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub log_id: u64,
    pub segment: u64,
    pub offset: u64,
}

/// The head of a group: all that one write and one sync brought to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHead {
    /// Bytes of the entries that follow.
    pub length: u32,
    /// The chain before its first entry.
    pub chain: u32,
}

impl GroupHead {
    pub(super) fn encode(self, at: Position) -> [u8; GROUP_HEAD] {
        let mut bytes = [0; GROUP_HEAD];
        bytes[..4].copy_from_slice(&GROUP_MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.chain.to_le_bytes());
        let crc = Self::checksum(&bytes, at);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The head that was written at this very place, or none.
    pub(super) fn decode(bytes: &[u8], at: Position) -> Option<Self> {
        let bytes: &[u8; GROUP_HEAD] = bytes.first_chunk()?;
        let is_one = bytes[..4] == GROUP_MAGIC && Self::checksum(bytes, at) == u32_at(bytes, 12);
        is_one.then(|| Self { length: u32_at(bytes, 4), chain: u32_at(bytes, 8) })
    }

    fn checksum(bytes: &[u8; GROUP_HEAD], at: Position) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&at.log_id.to_le_bytes());
        hasher.update(&at.segment.to_le_bytes());
        hasher.update(&at.offset.to_le_bytes());
        hasher.update(&bytes[..12]);
        hasher.finalize()
    }
}

/// An entry as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub kind: Kind,
    pub agent: u64,
    pub payload: &'a [u8],
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEntry {
    /// They are not what was written.
    Damaged,
    /// They are what was written, and this version cannot know what it means.
    Unknown,
}

impl Entry<'_> {
    /// Appends it, and moves the chain on.
    pub(super) fn push(&self, buffer: &mut Vec<u8>, chain: &mut u32) {
        let mut head = [0; ENTRY_HEAD];
        let length = u32::try_from(self.payload.len()).expect("an entry's length was checked");
        head[4..8].copy_from_slice(&length.to_le_bytes());
        head[8] = self.kind as u8;
        head[12..].copy_from_slice(&self.agent.to_le_bytes());
        let start = buffer.len();
        buffer.extend_from_slice(&head);
        buffer.extend_from_slice(self.payload);
        // Over head and payload at once: short pieces miss the processor's fast way.
        *chain = checksum(*chain, &buffer[start + 4..]);
        buffer[start..start + 4].copy_from_slice(&chain.to_le_bytes());
    }

    /// Takes the next one off `bytes`, and moves the chain on.
    pub(super) fn take<'a>(bytes: &mut &'a [u8], chain: &mut u32) -> Result<Entry<'a>, NoEntry> {
        let head: &[u8; ENTRY_HEAD] = bytes.first_chunk().ok_or(NoEntry::Damaged)?;
        let length = u32_at(head, 4) as usize;
        let whole = bytes.get(..ENTRY_HEAD + length).ok_or(NoEntry::Damaged)?;
        let crc = checksum(*chain, &whole[4..]);
        if crc != u32_at(head, 0) {
            return Err(NoEntry::Damaged);
        }
        let kind = Kind::decode(head[8]).ok_or(NoEntry::Unknown)?;
        let may_have_payload = matches!(kind, Kind::Record | Kind::Snapshot);
        if head[9..12] != [0; 3] || (length > 0 && !may_have_payload) {
            return Err(NoEntry::Unknown);
        }
        *chain = crc;
        *bytes = &bytes[whole.len()..];
        Ok(Entry { kind, agent: u64_at(head, 12), payload: &whole[ENTRY_HEAD..] })
    }
}

fn checksum(chain: u32, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(chain);
    hasher.update(bytes);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("heads have a fixed length"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("heads have a fixed length"))
}

/// The name of a segment's file.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016x}.journal")
}

/// The name of a segment that is not whole yet.
pub(super) fn draft_name(number: u64) -> String {
    format!("{number:016x}.draft")
}

/// The number in the name of a segment; none if it is another file.
pub(super) fn parse_name(name: &str, name_of: fn(u64) -> String) -> Option<u64> {
    let number = u64::from_str_radix(name.split_once('.')?.0, 16).ok()?;
    (number > 0 && name_of(number) == name).then_some(number)
}
