//! Reads a file piece by piece, without ever holding all of it.

use std::io;

use super::disk::Disk;

/// Bytes that are read at once; a guess.
const CHUNK: usize = 1 << 20;

/// The part of a file that is in memory.
pub(super) struct Window<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    start: u64,
    bytes: Vec<u8>,
    /// The bytes reach to the end of the file.
    ends: bool,
}

impl<'a> Window<'a> {
    pub(super) fn new(disk: &'a dyn Disk, name: &'a str) -> Self {
        Self { disk, name, start: 0, bytes: Vec::new(), ends: false }
    }

    /// `length` bytes from `offset` on; fewer only at the end of the file.
    pub(super) fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let is_here = |window: &Self| {
            let end = window.start + window.bytes.len() as u64;
            offset >= window.start && (window.ends || offset + length as u64 <= end)
        };
        if !is_here(self) {
            let wanted = length.max(CHUNK);
            self.bytes = self.disk.read(self.name, offset, wanted)?;
            self.start = offset;
            self.ends = self.bytes.len() < wanted;
        }
        let from = ((offset - self.start) as usize).min(self.bytes.len());
        let to = (from + length).min(self.bytes.len());
        Ok(&self.bytes[from..to])
    }

    /// The next place from `offset` on where `pattern` stands.
    pub(super) fn find(&mut self, pattern: &[u8], mut offset: u64) -> io::Result<Option<u64>> {
        loop {
            let bytes = self.at(offset, CHUNK)?;
            if let Some(at) = bytes.windows(pattern.len()).position(|part| part == pattern) {
                return Ok(Some(offset + at as u64));
            }
            if bytes.len() < CHUNK {
                return Ok(None);
            }
            // It may lie across the border.
            offset += (CHUNK - pattern.len() + 1) as u64;
        }
    }

    /// The length of the file, of which all up to `offset` is there.
    pub(super) fn end(&mut self, mut offset: u64) -> io::Result<u64> {
        loop {
            match self.at(offset, CHUNK)?.len() {
                CHUNK => offset += CHUNK as u64,
                rest => return Ok(offset + rest as u64),
            }
        }
    }
}
