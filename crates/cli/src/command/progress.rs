//! `dx progress`: from arguments to exit code.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::Progress;
use crate::exit::{self, Usage};

/// The variable that names the file into which a task writes how far it is.
const VARIABLE: &str = "DX_PROGRESS";

/// Says how far the task is that this runs in.
pub fn run(arguments: &Progress) -> anyhow::Result<ExitCode> {
    let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) else {
        let text = format!("{VARIABLE} is not set: only a task of dx can say how far it is");
        return Err(Usage(text).into());
    };
    let path = PathBuf::from(path);
    // One write, so that lines of several processes do not mix.
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .with_context(|| format!("failed to open {}", path.display()))?;
    file.write_all(line(arguments).as_bytes())
        .with_context(|| format!("failed to write to {}", path.display()))?;
    Ok(exit::OK)
}

/// A label is one word of a line, whatever is in it.
fn line(progress: &Progress) -> String {
    let label = progress.label.replace(|c: char| c.is_control(), " ");
    let total = progress.total.map(|total| format!("\t{total}")).unwrap_or_default();
    format!("{label}\t{}{total}\n", progress.step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_label_says_it_is_one_line() {
        let line = |label: &str, total| line(&Progress { label: label.to_owned(), step: 3, total });
        assert_eq!(line("training", Some(10)), "training\t3\t10\n");
        assert_eq!(line("a\tb\nc", None), "a b c\t3\n");
    }
}
