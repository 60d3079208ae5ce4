//! Where the items of an array come from: the command line, lines of a file, or JSON.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dx_scheduler::job::{JobSpec, MAX_SPEC};
use serde_json::Value;

use crate::cli::JobOptions;

/// What items were to be read from cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ItemsError {
    /// The file cannot be read.
    #[error("failed to read the items from {}: {reason}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// It is longer than a job may be.
    #[error(
        "the items in {} are too many: a job has at most {MAX_SPEC} bytes; submit a part of them, or \
         the file's name and an `--array`",
        .0.display()
    )]
    TooLong(PathBuf),
    /// It is no JSON.
    #[error("the items in {} are no JSON: {reason}", .file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        reason: serde_json::Error,
    },
    /// It is something else than an array.
    #[error("the items in {} are no array: write `[\"a\", \"b\"]`", .0.display())]
    NoArray(PathBuf),
    /// A variable of the matrix is given twice.
    #[error("`--matrix {0}` is there twice: give all its values at once, as `--matrix {0}=a,b`")]
    Twice(String),
    /// There are none.
    #[error("there are no items in {}: a job needs a task", .0.display())]
    None(PathBuf),
}

impl JobOptions {
    /// Gives `spec` the items and the matrix that the options say.
    ///
    /// # Errors
    /// If they are not what they should be.
    pub fn apply_items(&self, spec: &mut JobSpec) -> Result<(), ItemsError> {
        if let Some(items) = self.items()? {
            spec.items = items;
        }
        for (at, axis) in self.matrix.iter().enumerate() {
            if self.matrix[..at].iter().any(|before| before.name == axis.name) {
                return Err(ItemsError::Twice(axis.name.clone()));
            }
            let values = axis.value.split(',').map(str::to_owned).collect();
            spec.matrix.insert(axis.name.clone(), values);
        }
        Ok(())
    }

    fn items(&self) -> Result<Option<Vec<String>>, ItemsError> {
        let (file, items) = if let Some(file) = &self.each_line {
            let text = text_of(file)?;
            let lines = text.lines().filter(|line| !line.is_empty());
            (file, lines.map(str::to_owned).collect())
        } else if let Some(file) = &self.each_json {
            (file, elements(file)?)
        } else {
            return Ok((!self.each.is_empty()).then(|| self.each.clone()));
        };
        if items.is_empty() { Err(ItemsError::None(file.clone())) } else { Ok(Some(items)) }
    }
}

fn elements(file: &Path) -> Result<Vec<String>, ItemsError> {
    let text = text_of(file)?;
    let json = serde_json::from_str(&text)
        .map_err(|reason| ItemsError::Json { file: file.to_owned(), reason })?;
    let Value::Array(elements) = json else { return Err(ItemsError::NoArray(file.to_owned())) };
    let text = |element| match element {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(elements.into_iter().map(text).collect())
}

fn text_of(file: &Path) -> Result<String, ItemsError> {
    let failed = |reason| ItemsError::Read { file: file.to_owned(), reason };
    let mut source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).map_err(failed)?)
    };
    let mut text = String::new();
    // One more than is taken: so that too much is seen.
    let most = MAX_SPEC as u64 + 1;
    source.by_ref().take(most).read_to_string(&mut text).map_err(failed)?;
    if text.len() > MAX_SPEC { Err(ItemsError::TooLong(file.to_owned())) } else { Ok(text) }
}
