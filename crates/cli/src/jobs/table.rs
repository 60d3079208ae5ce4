//! Aligned tables for people, in colour where a terminal wants them.

use std::io::{self, IsTerminal};

use dx_scheduler::client::JobState;
use dx_scheduler::end::TaskState;

use crate::console::shown;

/// What a cell looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As all others.
    #[default]
    Plain,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// It goes on.
    Busy,
    /// It wants to be looked at.
    Notable,
    /// Less important than others.
    Faint,
}

impl From<JobState> for Style {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Waiting => Self::Plain,
            JobState::Held | JobState::Cancelled => Self::Notable,
            JobState::Running => Self::Busy,
            JobState::Succeeded => Self::Good,
            JobState::Failed => Self::Bad,
        }
    }
}

impl From<TaskState> for Style {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Succeeded => Self::Good,
            TaskState::Held | TaskState::Cancelled => Self::Notable,
            TaskState::Skipped => Self::Faint,
            _ if state.is_failure() => Self::Bad,
            _ if state.has_attempt() => Self::Busy,
            _ => Self::Plain,
        }
    }
}

impl Style {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Busy => Some("36"),
            Self::Notable => Some("33"),
            Self::Faint => Some("2"),
        }
    }
}

/// Rows under a header. Cells that begin with `>` in the header are aligned to the right.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    /// A table without rows. A name that begins with `>` is that of a column of numbers, which are
    /// aligned to the right.
    #[must_use]
    pub fn new<const N: usize>(header: [&'static str; N]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. Whatever is in its texts, each is one line.
    pub fn row<const N: usize>(&mut self, cells: [(String, Style); N]) {
        let one_line = |(text, style): (String, Style)| (shown(text.as_bytes()), style);
        self.rows.push(cells.into_iter().map(one_line).collect());
    }

    /// The same without a column that is empty in all rows.
    #[must_use]
    pub fn without_empty(mut self, name: &str) -> Self {
        let Some(at) = self.header.iter().position(|it| *it == name) else { return self };
        if self.rows.iter().all(|row| row[at].0.is_empty()) {
            self.header.remove(at);
            for row in &mut self.rows {
                row.remove(at);
            }
        }
        self
    }

    /// The table as standard output wants it: cut off at the edge of a terminal, and coloured
    /// there unless `NO_COLOR` is set.
    #[must_use]
    pub fn for_stdout(&self) -> String {
        let stdout = io::stdout();
        let width = if stdout.is_terminal() {
            rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col))
        } else {
            None
        };
        self.text(is_coloured(), width.filter(|width| *width >= MIN_WIDTH))
    }

    /// The table as text.
    #[must_use]
    pub fn text(&self, is_coloured: bool, width: Option<usize>) -> String {
        let names: Vec<&str> =
            self.header.iter().map(|name| name.trim_start_matches('>')).collect();
        let widths: Vec<usize> = (0..names.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| length(&row[column].0));
                cells.chain([length(names[column])]).max().unwrap_or(0)
            })
            .collect();
        let header: Vec<_> = names.iter().map(|name| ((*name).to_owned(), Style::Plain)).collect();
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut room = width.unwrap_or(usize::MAX);
            let mut line = String::new();
            for (column, (cell, style)) in row.iter().enumerate() {
                let is_right = self.header[column].starts_with('>');
                let is_last = column + 1 == row.len();
                let blanks = " ".repeat(widths[column] - length(cell));
                let (before, after) = if is_right { (&*blanks, "") } else { ("", &*blanks) };
                let after = if is_last { "" } else { after };
                let fitting: String =
                    cell.chars().take(room.saturating_sub(before.len())).collect();
                room = room.saturating_sub(widths[column] + 2);
                line.push_str(before);
                line.push_str(&paint(&fitting, *style, is_coloured));
                line.push_str(after);
                line.push_str(if is_last { "" } else { "  " });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Below so many columns a terminal's word is not taken: some say 0.
const MIN_WIDTH: usize = 20;

fn length(text: &str) -> usize {
    text.chars().count()
}

/// `text` in the colours of `style`.
#[must_use]
pub fn paint(text: &str, style: Style, is_coloured: bool) -> String {
    match style.code() {
        Some(code) if is_coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        _ => text.to_owned(),
    }
}

/// Whether standard output is a terminal that wants colours.
#[must_use]
pub fn is_coloured() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([">ID", "STATE", "COMMAND"]);
        table.row([plain("7"), ("failed".to_owned(), Style::Bad), plain("echo a\nb")]);
        table.row([plain("1234"), plain("ok"), plain("true")]);
        table
    }

    fn plain(text: &str) -> (String, Style) {
        (text.to_owned(), Style::Plain)
    }

    #[test]
    fn columns_are_aligned_and_each_row_is_one_line() {
        let expected = "  ID  STATE   COMMAND\n   7  failed  echo a\\nb\n1234  ok      true\n";
        assert_eq!(table().text(false, None), expected);
    }

    #[test]
    fn a_line_ends_at_the_edge_of_the_terminal() {
        let text = table().text(false, Some(18));
        assert_eq!(text, "  ID  STATE   COMM\n   7  failed  echo\n1234  ok      true\n");
    }

    #[test]
    fn colours_change_nothing_of_the_alignment() {
        let coloured = table().text(true, None);
        assert!(coloured.contains("\x1b[31mfailed\x1b[0m  echo"), "{coloured:?}");
        let bare = coloured.replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(bare, table().text(false, None));
    }
}
