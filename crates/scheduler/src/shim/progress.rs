//! Tasks say how far they are by appending lines to a file: `label step total`, or `label step`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::id::AttemptId;
use crate::processor::Progress;

use super::launch;

/// How often the progress of a task is told at most: people see no more.
const INTERVAL: u64 = 200_000_000;

/// Bytes at the end of a file that are looked at; the last line is among them if it is no longer.
const TAIL: u64 = 4096;

/// The longest label, in characters: more does not fit beside a bar.
const MAX_LABEL: usize = 200;

/// The folder in which all of the node's tasks say how far they are.
#[derive(Debug)]
pub struct Watch {
    folder: PathBuf,
    inotify: OwnedFd,
    /// Those that said something since they were last told.
    changed: BTreeSet<AttemptId>,
    /// What was told last, and when.
    told: BTreeMap<AttemptId, (u64, Progress)>,
    last_look: u64,
}

impl Watch {
    /// Watches `folder`.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn new(folder: PathBuf) -> Result<Self, Errno> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&inotify, &folder, WatchFlags::MODIFY | WatchFlags::MOVED_TO)?;
        let (changed, told) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { folder, inotify, changed, told, last_look: 0 })
    }

    /// Something has changed in the folder.
    pub fn look(&mut self) {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().and_then(|name| name.to_str().ok());
            self.changed.extend(name.and_then(launch::parse_file_name));
        }
    }

    /// When [`take`](Self::take) has something.
    pub fn due(&self) -> u64 {
        if self.changed.is_empty() { u64::MAX } else { self.last_look + INTERVAL }
    }

    /// What tasks said since.
    pub fn take(&mut self, now: u64) -> Vec<(AttemptId, Progress)> {
        if now < self.due() {
            return Vec::new();
        }
        self.last_look = now;
        let mut news = Vec::new();
        for id in std::mem::take(&mut self.changed) {
            let Some(progress) = self.last(id) else { continue };
            if self.told.get(&id).is_none_or(|(_, told)| *told != progress) {
                self.told.insert(id, (now, progress.clone()));
                news.push((id, progress));
            }
        }
        news
    }

    /// It has ended.
    pub fn forget(&mut self, id: AttemptId) {
        self.changed.remove(&id);
        if self.told.remove(&id).is_some() {
            // What was never told of is removed when the next life begins.
            let _ = fs::remove_file(self.folder.join(launch::file_name(id)));
        }
    }

    fn last(&self, id: AttemptId) -> Option<Progress> {
        let file = File::open(self.folder.join(launch::file_name(id))).ok()?;
        let metadata = file.metadata().ok()?;
        let start = metadata.len().saturating_sub(TAIL);
        let mut tail = vec![0; TAIL as usize];
        let len = metadata.is_file().then(|| file.read_at(&mut tail, start).ok())??;
        last(&String::from_utf8_lossy(&tail[..len]))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The last whole line that says something.
fn last(text: &str) -> Option<Progress> {
    let (whole, _) = text.rsplit_once('\n')?;
    whole.lines().rev().find_map(parse)
}

fn parse(line: &str) -> Option<Progress> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let count = words.len();
    let (label, step, total) =
        match (count.checked_sub(2).and_then(number), count.checked_sub(1).and_then(number)) {
            (Some(step), Some(total)) => (&words[..count - 2], step, Some(total)),
            (None, Some(step)) => (&words[..count - 1], step, None),
            (_, None) => return None,
        };
    let label = label.join(" ").chars().filter(|it| !it.is_control()).take(MAX_LABEL).collect();
    Some(Progress { label, step, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(label: &str, step: u64, total: Option<u64>) -> Progress {
        Progress { label: label.to_owned(), step, total }
    }

    #[test]
    fn the_last_whole_line_counts() {
        assert_eq!(last("load 1 3\nload 2 3\nload 3"), Some(progress("load", 2, Some(3))));
        assert_eq!(last("load 1 3"), None);
    }

    #[test]
    fn a_label_may_have_spaces_and_a_total_may_be_unknown() {
        assert_eq!(
            parse("reading the input 5 10"),
            Some(progress("reading the input", 5, Some(10)))
        );
        assert_eq!(parse("rows 7"), Some(progress("rows", 7, None)));
        assert_eq!(parse("3 4"), Some(progress("", 3, Some(4))));
        for nothing in ["", "hello", "half 1.5", "back -1"] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }
}
