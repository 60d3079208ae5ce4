//! JSON Lines: a header object, then one object per figure.

use std::io::{self, Write};

use serde::Serialize;

use crate::bench::header::Header;
use crate::bench::report::Entry;

/// Writes entries as they come, so that an interrupted run keeps what it has.
pub struct JsonLines {
    out: Box<dyn Write>,
}

#[derive(Serialize)]
struct HeaderLine<'a> {
    header: &'a Header,
}

impl JsonLines {
    /// Writes the header.
    ///
    /// # Errors
    /// If `out` does not take it.
    pub fn start(out: Box<dyn Write>, header: &Header) -> io::Result<Self> {
        let mut lines = Self { out };
        lines.line(&HeaderLine { header })?;
        Ok(lines)
    }

    /// Writes one entry.
    ///
    /// # Errors
    /// If the file or pipe does not take it.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.line(entry)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}
