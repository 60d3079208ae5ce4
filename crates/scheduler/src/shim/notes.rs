//! What the shim has to say to people: lines in a file that stays small.

use std::fmt;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::PoisonError;

use super::clock;

/// Bytes after which the file begins anew. A mebibyte is thousands of lines.
const MAX: u64 = 1 << 20;

static WRITTEN: Mutex<u64> = Mutex::new(0);

/// Writes a line with the time. Nothing of a job's environment or arguments belongs in here.
pub fn note(text: fmt::Arguments<'_>) {
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let line = format!("{} {text}\n", clock::wall_ms());
    *written += line.len() as u64;
    if *written > MAX {
        *written = line.len() as u64;
        // If standard error is no file, it cannot be cut, and need not be.
        let _ = rustix::fs::ftruncate(io::stderr(), 0);
    }
    // A full disk must not stop the shim.
    let _ = io::stderr().write_all(line.as_bytes());
}
