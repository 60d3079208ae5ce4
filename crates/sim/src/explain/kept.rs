//! Diagrams kept as files, for whoever finds a test failed.

use std::fmt::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::{env, fs, io};

use super::Explanation;
use super::ready::name_of;
use crate::campaign::Scenario;
use crate::choices::Choices;
use crate::failure::Failure;
use crate::sim::Sim;

/// The environment's variable that names the folder for diagrams. Without it they go into `dx-sim`
/// in the system's folder for temporary files.
pub const FOLDER_VARIABLE: &str = "DX_SIM_DIAGRAMS";

impl<M, P> Scenario<M, P>
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    /// Tries these seeds, as [`explore`](Self::explore) does, and draws what fails: as text, and
    /// into a file as a picture.
    ///
    /// # Panics
    /// If a seed fails: with how to see it again, where its picture is, and its diagram.
    #[track_caller]
    pub fn must_hold(&self, seeds: Range<u64>) {
        let Some(failure) = self.explore(seeds).first().cloned() else { return };
        let mut said = failure.to_string();
        // To run again what panics would be to panic with less to say.
        let explanation = if failure.is_panic() { None } else { self.explain(&failure) };
        if let Some(explanation) = explanation {
            let _ = match explanation.keep() {
                Ok(file) => write!(said, "\nits picture: {}", file.display()),
                Err(error) => write!(said, "\nits picture cannot be written: {error}"),
            };
            let _ = write!(said, "\n\n{explanation}");
        }
        panic!("{said}");
    }
}

impl Explanation {
    /// Writes the picture into the folder of [`FOLDER_VARIABLE`]: its file.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn keep(&self) -> io::Result<PathBuf> {
        let named = env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
        let folder = named.unwrap_or_else(|| env::temp_dir().join("dx-sim"));
        fs::create_dir_all(&folder)?;
        // A file's name has 255 bytes at most on all common systems.
        let name: String = name_of(&self.what).chars().take(100).collect();
        let file = folder.join(format!("{name}-seed-{}.svg", self.seed));
        fs::write(&file, self.svg())?;
        Ok(file)
    }
}
