//! Where what tasks print goes: standard output and standard error, as they printed it.

use std::io::{self, Write};

use dx_scheduler::id::{AttemptId, TaskId};
use dx_scheduler::processor::Stream;

use super::Printed;

/// How what is printed is marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Each line begins with its task.
    pub task: bool,
    /// Each line begins with its time.
    pub time: bool,
    /// Each piece is a JSON object.
    pub json: bool,
}

/// Standard output and standard error.
#[derive(Debug, Default)]
pub struct Terminal {
    marks: Marks,
    /// Who printed last onto each stream, if the line has not ended.
    open: [Option<TaskId>; 2],
}

impl Terminal {
    /// The same, with marks.
    #[must_use]
    pub fn new(marks: Marks) -> Self {
        Self { marks, open: [None; 2] }
    }

    /// Prints a piece, at once.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn print(&mut self, from: AttemptId, printed: &Printed) -> io::Result<()> {
        let bytes = self.marked(from, printed);
        let is_error = printed.stream == Stream::Stderr && !self.marks.json;
        if is_error {
            let mut stderr = io::stderr().lock();
            stderr.write_all(&bytes)
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&bytes)?;
            stdout.flush()
        }
    }

    fn marked(&mut self, from: AttemptId, printed: &Printed) -> Vec<u8> {
        if self.marks.json {
            let mut line = json(from, printed).to_string().into_bytes();
            line.push(b'\n');
            return line;
        }
        if !self.marks.task && !self.marks.time {
            return printed.bytes.clone();
        }
        let open = &mut self.open[usize::from(printed.stream == Stream::Stderr)];
        let mut text = Vec::with_capacity(printed.bytes.len() + 64);
        for line in printed.bytes.split_inclusive(|&byte| byte == b'\n') {
            // What another task began ends here: its line and this one must not be one.
            if open.is_some_and(|task| task != from.task) {
                text.push(b'\n');
                *open = None;
            }
            if open.is_none() {
                if self.marks.time {
                    text.extend_from_slice(timestamp(printed.at).as_bytes());
                    text.push(b' ');
                }
                if self.marks.task {
                    text.extend_from_slice(format!("{}: ", from.task).as_bytes());
                }
            }
            text.extend_from_slice(line);
            *open = if line.ends_with(b"\n") { None } else { Some(from.task) };
        }
        text
    }
}

fn json(from: AttemptId, printed: &Printed) -> serde_json::Value {
    use base64::Engine;
    let mut piece = serde_json::json!({
        "job": from.task.job,
        "index": from.task.index,
        "attempt": from.number,
        "stream": printed.stream,
        "at": printed.at,
    });
    match std::str::from_utf8(&printed.bytes) {
        Ok(text) => piece["text"] = text.into(),
        Err(_) => {
            piece["base64"] = base64::prelude::BASE64_STANDARD.encode(&printed.bytes).into();
        }
    }
    piece
}

/// A moment in UTC, as `2026-01-31T23:59:59.123Z`.
#[must_use]
pub fn timestamp(at: u64) -> String {
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at);
    humantime::format_rfc3339_millis(moment).to_string()
}

#[cfg(test)]
mod tests {
    use dx_scheduler::id::JobId;

    use super::*;

    fn piece(stream: Stream, bytes: &[u8]) -> Printed {
        Printed { stream, at: 1_000, bytes: bytes.to_vec() }
    }

    fn text(terminal: &mut Terminal, index: u32, printed: &Printed) -> String {
        let bytes = terminal.marked(JobId(7).task(index).attempt(1), printed);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn without_marks_bytes_are_what_they_were() {
        let bytes = [0, 255, b'\n', b'a'];
        let mut terminal = Terminal::default();
        let from = JobId(7).task(0).attempt(1);
        assert_eq!(terminal.marked(from, &piece(Stream::Stdout, &bytes)), bytes);
    }

    #[test]
    fn every_line_has_its_mark_once_however_it_came() {
        let mut terminal = Terminal::new(Marks { task: true, ..Marks::default() });
        assert_eq!(text(&mut terminal, 0, &piece(Stream::Stdout, b"a\nb")), "7.0: a\n7.0: b");
        assert_eq!(text(&mut terminal, 0, &piece(Stream::Stdout, b"c\n\n")), "c\n7.0: \n");
        let mut terminal = Terminal::new(Marks { time: true, ..Marks::default() });
        let expected = "1970-01-01T00:00:01.000Z a";
        assert_eq!(text(&mut terminal, 0, &piece(Stream::Stderr, b"a")), expected);
    }

    #[test]
    fn lines_of_two_tasks_never_become_one() {
        let mut terminal = Terminal::new(Marks { task: true, ..Marks::default() });
        assert_eq!(text(&mut terminal, 0, &piece(Stream::Stdout, b"half")), "7.0: half");
        assert_eq!(text(&mut terminal, 1, &piece(Stream::Stderr, b"x\n")), "7.1: x\n");
        assert_eq!(text(&mut terminal, 1, &piece(Stream::Stdout, b"y\n")), "\n7.1: y\n");
    }

    #[test]
    fn what_is_no_text_is_coded_in_json() {
        let from = JobId(7).task(0).attempt(2);
        let piece = json(from, &piece(Stream::Stdout, &[0xff]));
        assert_eq!((&piece["attempt"], &piece["base64"]), (&2.into(), &"/w==".into()));
        assert!(piece.get("text").is_none());
    }
}
