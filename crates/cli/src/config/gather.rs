//! What the machine says: files and the environment. All that touches them is here.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use super::parse::assignment;
use super::place::{Layer, Source};

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Cluster files, in order.
    pub files: Vec<PathBuf>,
    /// `--set`: each `key=value`.
    pub set: Vec<String>,
    /// Other options that set a key: the option, and `key=value`.
    pub flags: Vec<(String, String)>,
}

/// A file cannot be read. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// It is not there, or not to be read.
    #[error("failed to read {}: {source}{hint}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// The name that may have been meant.
        hint: String,
    },
    /// It is no configuration: one is never that large.
    #[error("{} has more than {MAX_FILE_BYTES} bytes, and is hardly a configuration", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A variable is not UTF-8.
    #[error("the variable {name} is no UTF-8: set it anew, or unset it")]
    Variable {
        /// Its name.
        name: String,
    },
}

/// Bytes of a file. A thousand nodes with ten agents each fit in a tenth of it.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The machine's file.
pub const SYSTEM_FILE: &str = "/etc/dx/dx.toml";

/// All sources: what `request` names, and the files and variables that are always looked at.
///
/// # Errors
/// If a file that was named, or is there, cannot be read.
pub fn gather(request: &Request) -> Result<Vec<Source>, GatherError> {
    let mut sources = Vec::new();
    sources.extend(read_if_there(Layer::System, Path::new(SYSTEM_FILE))?);
    if let Some(path) = user_file(env::var_os("XDG_CONFIG_HOME"), env::var_os("HOME")) {
        sources.extend(read_if_there(Layer::User, &path)?);
    }
    for path in &request.files {
        sources.push(read(Layer::File, path)?);
    }
    sources.extend(variables(env::vars_os())?);
    let set = request.set.iter().map(|text| Source::new(Layer::Set, "--set", text));
    sources.extend(set);
    let flags = request.flags.iter().map(|(flag, text)| Source::new(Layer::Flag, flag, text));
    sources.extend(flags);
    Ok(sources)
}

/// The user's file: in `$XDG_CONFIG_HOME`, or in `~/.config`. The former counts only if it is
/// absolute, as its specification wants.
#[must_use]
pub fn user_file(config_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let config_home = config_home.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(".config"));
    Some(config_home.or(home)?.join("dx/dx.toml"))
}

/// The variables that set a key, in the order of their names.
fn variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Source>, GatherError> {
    let mut sources = Vec::new();
    for (name, value) in all {
        let Some(name) = name.to_str().filter(|name| assignment::is_meant(name)) else { continue };
        let value =
            value.to_str().ok_or_else(|| GatherError::Variable { name: name.to_owned() })?;
        sources.push(Source::new(Layer::Environment, name, format!("{name}={value}")));
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

fn read_if_there(layer: Layer, path: &Path) -> Result<Option<Source>, GatherError> {
    match read(layer, path) {
        Ok(source) => Ok(Some(source)),
        Err(GatherError::Read { source, .. }) if is_absence(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The text of a file.
///
/// # Errors
/// If it cannot be read, or is too large.
pub fn read(layer: Layer, path: &Path) -> Result<Source, GatherError> {
    let failed = |source: io::Error| {
        let hint = if is_absence(&source) { similar(path) } else { None };
        let hint = hint.map(|name| format!("; did you mean {}?", name.display()));
        GatherError::Read { path: path.to_owned(), source, hint: hint.unwrap_or_default() }
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(GatherError::TooLarge { path: path.to_owned() });
    }
    // Some editors begin a file with a mark that is no part of its text.
    let text = text.trim_start_matches('\u{feff}');
    Ok(Source::new(layer, path.display().to_string(), text))
}

/// A file beside `path` whose name is much like its.
fn similar(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = listed.read_dir().ok()?.take(MAX_LISTED).flatten();
    let names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    let name = nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(folder.join(name))
}

/// Files of a folder that are looked at for a name that may have been meant.
const MAX_LISTED: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_file_is_where_xdg_says() {
        let file = |config: Option<&str>, home: Option<&str>| {
            user_file(config.map(Into::into), home.map(Into::into))
        };
        assert_eq!(file(Some("/c"), Some("/h")), Some("/c/dx/dx.toml".into()));
        assert_eq!(file(Some("relative"), Some("/h")), Some("/h/.config/dx/dx.toml".into()));
        assert_eq!(file(None, Some("")), None);
    }

    #[test]
    fn variables_that_set_nothing_of_ours_are_left_alone() {
        let all = [
            ("DX_LOG", "debug"),
            ("DX_CLUSTER", "lab"),
            ("DX_LAB_REQUIRED", "1"),
            ("DXX__A", "1"),
            ("DX_CLUSTER__NAME", "a"),
            ("DX_AGENT_1", "typo"),
            ("DX_BOGUS__KEY", "1"),
        ];
        let all = all.into_iter().map(|(name, value)| (name.into(), value.into()));
        let names: Vec<_> = variables(all).unwrap().into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["DX_AGENT_1", "DX_BOGUS__KEY", "DX_CLUSTER__NAME"]);
    }
}
