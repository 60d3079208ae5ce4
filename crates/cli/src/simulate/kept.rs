//! A failing seed as a file: everything that it takes to see the run again, but the program.
//!
//! ```text
//! dx-tape 1            the choices of the run, as dx-sim writes them
//! ...
//! end
//! setup {"cluster":...}
//! failure {"what":...}
//! ```

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dx_sim::Failure;
use dx_sim::tape::{TapeError, TapeFile};

use super::Setup;

/// A failing seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The version of dx and the commit that it was built from.
    pub program: String,
    /// What was simulated.
    pub setup: Setup,
    /// Whether the setup is another than it was: somebody has changed the file.
    pub is_edited: bool,
    /// How it failed, with its tape.
    pub failure: Failure,
}

/// A file is no failing seed.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The part before `end` is no tape.
    #[error("{}: {source}", path.display())]
    Tape {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TapeError,
    },
    /// What comes after `end` is not there: it is a tape, and not one of `dx sim run`.
    #[error(
        "{}: there is no line `{key} ...` after `end`: it is no file of `dx sim run`, or was cut off",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        key: &'static str,
    },
    /// What comes after `end` cannot be read.
    #[error("{}: `{key}`: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Which part.
        key: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

const SETUP: &str = "setup";
const FAILURE: &str = "failure";

/// Bytes of a file: a tape has some tens for each of its choices.
const MAX_BYTES: u64 = 1 << 30;

impl Kept {
    /// The name of the file: of the cluster and the seed.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-seed-{}.tape", self.setup.cluster.name, self.failure.seed)
    }

    /// Writes it into `folder`, which is made if it is not there. Only this user can read it: the
    /// attributes of agents may be nobody else's business.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(self.file_name());
        self.write_to(&path)?;
        Ok(path)
    }

    /// The same into this file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        // Whole or not at all: an older one of the same seed may be all that somebody has.
        let new = path.with_extension("tape.new");
        let written = self.write_anew(&new).and_then(|()| std::fs::rename(&new, path));
        if written.is_err() {
            // Where there is no room, what is of no use takes none.
            drop(std::fs::remove_file(&new));
        }
        written
    }

    fn write_anew(&self, path: &Path) -> io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(self.to_string().as_bytes())?;
        file.sync_all()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Self, KeptError> {
        let failed = |source| KeptError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(failed(io::Error::other("it is too large to be a tape")));
        }
        let tape = TapeFile::from_str(&text);
        let tape = tape.map_err(|source| KeptError::Tape { path: path.to_owned(), source })?;
        let setup: Setup = part(&text, path, SETUP)?;
        let is_edited = setup.hash() != tape.config;
        let failure: Failure = part(&text, path, FAILURE)?;
        let failure = Failure { seed: tape.seed, tape: Some(Box::new(tape.tape)), ..failure };
        Ok(Self { program: tape.commit, setup, is_edited, failure })
    }
}

fn part<T: serde::de::DeserializeOwned>(
    text: &str,
    path: &Path,
    key: &'static str,
) -> Result<T, KeptError> {
    let after = text.lines().skip_while(|line| line.trim() != "end");
    let mut found = after.filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let json = found.next().ok_or(KeptError::Missing { path: path.to_owned(), key })?;
    let failed = |source| KeptError::Json { path: path.to_owned(), key, source };
    serde_json::from_str(json).map_err(failed)
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.setup.cluster.name.to_string();
        let tape = Box::new(self.failure.tape.as_deref().cloned().unwrap_or_default());
        let whole = Failure { tape: Some(tape), ..self.failure.clone() };
        let file = whole.file(&name, &self.program, self.setup.hash()).expect("it has a tape");
        let failure = Failure { tape: None, ..self.failure.clone() };
        let json = |value: Result<String, _>| value.map_err(|_| fmt::Error);
        write!(f, "{file}")?;
        writeln!(f, "{SETUP} {}", json(serde_json::to_string(&self.setup))?)?;
        writeln!(f, "{FAILURE} {}", json(serde_json::to_string(&failure))?)
    }
}
