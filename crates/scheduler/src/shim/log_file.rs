//! The format of a log: what a task printed, in pieces.
//!
//! ```text
//! head   8 bytes  dxlog, version
//!        8 bytes  bytes that were dropped, written at the end
//! piece  4 bytes  the length of its bytes; the highest bit is set for standard error
//!        8 bytes  when it was read: milliseconds since the Unix epoch
//!        its bytes
//! ```
//! All numbers are little-endian. The head has its place on the disk from the beginning, so that a
//! full disk does not keep it from being written.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;

use crate::processor::{MAX_LOG_PART, Piece, Stream};

const MAGIC: &[u8; 8] = b"dxlog\0\0\x01";
const HEAD: u64 = 16;
const PIECE_HEAD: usize = 12;
const IS_STDERR: u32 = 1 << 31;

/// The longest piece: what is read from a pipe at once. `next` has room for places in it.
pub const MAX_PIECE: usize = 1 << 16;

/// Bits of a place that count bytes within a piece.
const WITHIN: u32 = 17;

/// A log that is being written.
#[derive(Debug)]
pub struct Writer {
    file: File,
    end: u64,
    /// Bytes of pieces that are in it.
    pub kept: u64,
}

/// What was read of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// In the order in which they were printed.
    pub pieces: Vec<Piece>,
    /// Where the next part begins.
    pub next: u64,
    /// Whether nothing follows now.
    pub is_all: bool,
    /// Bytes that were dropped, as far as it says.
    pub dropped: u64,
}

impl Writer {
    /// Begins a log.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut head = [0; HEAD as usize];
        head[..8].copy_from_slice(MAGIC);
        file.write_all_at(&head, 0)?;
        Ok(Self { file, end: HEAD, kept: 0 })
    }

    /// Adds a piece. If that fails, the log is as it was.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn append(&mut self, stream: Stream, at: u64, bytes: &[u8]) -> io::Result<()> {
        debug_assert!(bytes.len() <= MAX_PIECE);
        let mark = if stream == Stream::Stderr { IS_STDERR } else { 0 };
        let mut piece = Vec::with_capacity(PIECE_HEAD + bytes.len());
        piece.extend_from_slice(&(bytes.len() as u32 | mark).to_le_bytes());
        piece.extend_from_slice(&at.to_le_bytes());
        piece.extend_from_slice(bytes);
        if let Err(error) = self.file.write_all_at(&piece, self.end) {
            // What was written of it is not read: a reader sees the length, and that it is cut.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += piece.len() as u64;
        self.kept += bytes.len() as u64;
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn close(self, dropped: u64) -> io::Result<()> {
        if dropped > 0 {
            self.file.write_all_at(&dropped.to_le_bytes(), 8)?;
        }
        Ok(())
    }
}

/// Reads from a log at most `max` bytes, from a place that an earlier part said, or 0.
///
/// # Errors
/// If there is none, it is no log, or the disk refuses.
pub fn read(path: &Path, from: u64, max: usize) -> io::Result<Part> {
    let file = File::open(path)?;
    let mut head = [0; HEAD as usize];
    file.read_exact_at(&mut head, 0)?;
    if head[..8] != *MAGIC {
        let text = format!("{} is no log of this version", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let dropped = u64::from_le_bytes(head[8..].try_into().expect("eight bytes are left"));
    let (mut at, mut within) = ((from >> WITHIN).max(HEAD), (from & ((1 << WITHIN) - 1)) as usize);
    let mut room = max.clamp(1, MAX_LOG_PART);
    let mut pieces = Vec::new();
    let is_all = loop {
        let Some((stream, time, len)) = piece_head(&file, at)? else { break true };
        let take = len.saturating_sub(within).min(room);
        let mut bytes = vec![0; take];
        let start = at + (PIECE_HEAD + within) as u64;
        if !read_whole(&file, &mut bytes, start)? {
            break true;
        }
        if take > 0 {
            pieces.push(Piece { stream, at: time, bytes: Bytes::from(bytes) });
        }
        room -= take;
        within += take;
        if within >= len {
            at += (PIECE_HEAD + len) as u64;
            within = 0;
        }
        if room == 0 {
            break false;
        }
    };
    Ok(Part { pieces, next: at << WITHIN | within as u64, is_all, dropped })
}

/// Bytes of pieces in a log that was not ended.
///
/// # Errors
/// If there is none, or the disk refuses.
pub fn kept(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    let (mut at, mut kept) = (HEAD, 0);
    while let Some((_, _, len)) = piece_head(&file, at)? {
        at += (PIECE_HEAD + len) as u64;
        if at > end {
            break;
        }
        kept += len as u64;
    }
    Ok(kept)
}

fn piece_head(file: &File, at: u64) -> io::Result<Option<(Stream, u64, usize)>> {
    let mut head = [0; PIECE_HEAD];
    if !read_whole(file, &mut head, at)? {
        return Ok(None);
    }
    let (len, time) = head.split_at(4);
    let len = u32::from_le_bytes(len.try_into().expect("it has four bytes"));
    let time = u64::from_le_bytes(time.try_into().expect("it has eight bytes"));
    let stream = if len & IS_STDERR == 0 { Stream::Stdout } else { Stream::Stderr };
    let len = (len & !IS_STDERR) as usize;
    // Damage, or what a crash left of the last piece: nothing behind it can be read.
    Ok((len <= MAX_PIECE).then_some((stream, time, len)))
}

/// Whether all of it was there.
fn read_whole(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(path: &Path, max: usize) -> Vec<(Stream, Vec<u8>)> {
        let mut from = 0;
        let mut all: Vec<(Stream, Vec<u8>)> = Vec::new();
        loop {
            let part = read(path, from, max).unwrap();
            for piece in part.pieces {
                match all.last_mut() {
                    Some((stream, bytes)) if *stream == piece.stream => bytes.extend(piece.bytes),
                    _ => all.push((piece.stream, piece.bytes.to_vec())),
                }
            }
            from = part.next;
            if part.is_all {
                return all;
            }
        }
    }

    #[test]
    fn a_log_reads_the_same_in_parts_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Writer::create(&path).unwrap();
        log.append(Stream::Stdout, 1, b"hello ").unwrap();
        log.append(Stream::Stdout, 2, &vec![7; MAX_PIECE]).unwrap();
        log.append(Stream::Stderr, 3, b"\0\xff\n").unwrap();
        assert_eq!(log.kept, 9 + MAX_PIECE as u64);
        log.close(0).unwrap();
        let all = whole(&path, MAX_LOG_PART);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].1.len(), &all[1].1[..]), (6 + MAX_PIECE, &b"\0\xff\n"[..]));
        for max in [1, 5, 1000, MAX_PIECE] {
            assert_eq!(whole(&path, max), all, "{max}");
        }
    }

    #[test]
    fn what_a_crash_cut_off_ends_the_log_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Writer::create(&path).unwrap();
        log.append(Stream::Stdout, 1, b"whole").unwrap();
        log.append(Stream::Stdout, 2, b"torn").unwrap();
        drop(log);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        let part = read(&path, 0, 100).unwrap();
        assert_eq!((part.pieces.len(), part.is_all), (1, true));
        assert_eq!(kept(&path).unwrap(), 5);
    }

    #[test]
    fn it_says_what_was_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        Writer::create(&path).unwrap().close(77).unwrap();
        assert_eq!(read(&path, 0, 100).unwrap().dropped, 77);
    }
}
