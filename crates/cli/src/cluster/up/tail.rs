//! The lines that are added to a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that grows, and may give way to a new one of the same name.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: File,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

/// The longest line, in bytes; a longer one is shown in parts.
const MAX_LINE: usize = 64 * 1024;

impl Tail {
    /// What is added to the file from now on.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), file, begun: Vec::new() })
    }

    /// The lines that are complete, without their ends.
    pub fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        self.read(&mut lines)?;
        if self.has_successor() {
            self.file = File::open(&self.path)?;
            self.read(&mut lines)?;
        }
        Ok(lines)
    }

    /// All that is there, the last line included even if its end is missing.
    pub fn rest(&mut self) -> io::Result<Vec<String>> {
        let mut lines = self.lines()?;
        if !self.begun.is_empty() {
            lines.push(text(&std::mem::take(&mut self.begun)));
        }
        Ok(lines)
    }

    fn read(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        let mut chunk = [0; 8192];
        loop {
            let read = match self.file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for part in chunk[..read].split_inclusive(|byte| *byte == b'\n') {
                self.begun.extend_from_slice(part);
                if part.ends_with(b"\n") || self.begun.len() >= MAX_LINE {
                    lines.push(text(&std::mem::take(&mut self.begun)));
                }
            }
        }
    }

    fn has_successor(&self) -> bool {
        let inode = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let (own, named) = (self.file.metadata(), std::fs::metadata(&self.path));
        matches!((own.map(inode), named.map(inode)), (Ok(own), Ok(named)) if own != named)
    }
}

/// `line` as it can be shown: whatever a program wrote, it moves no cursor.
fn text(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let shown = text.trim_end_matches(['\n', '\r']).chars();
    shown.map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn only_what_is_added_is_read_and_lines_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "old\n").unwrap();
        let mut tail = Tail::of(&path).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.lines().unwrap(), ["one"]);
        file.write_all(b"o\nlast").unwrap();
        assert_eq!(tail.lines().unwrap(), ["two"]);
        assert_eq!(tail.rest().unwrap(), ["last"]);
        assert!(tail.rest().unwrap().is_empty());
    }

    #[test]
    fn a_file_that_takes_the_place_is_read_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "").unwrap();
        let mut tail = Tail::of(&path).unwrap();
        fs::write(&path, "one\n").unwrap();
        fs::rename(&path, folder.path().join("log.old")).unwrap();
        fs::write(&path, "two\n").unwrap();
        assert_eq!(tail.lines().unwrap(), ["one", "two"]);
    }

    #[test]
    fn a_line_without_end_is_shown_in_parts_and_moves_no_cursor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "").unwrap();
        let mut tail = Tail::of(&path).unwrap();
        fs::write(&path, vec![0x1b; 3 * MAX_LINE]).unwrap();
        let lines = tail.lines().unwrap();
        assert!(lines.len() >= 2 && lines.iter().all(|line| !line.contains('\u{1b}')));
    }
}
