//! Where a token comes from: a terminal that does not show it, or a file; never an argument,
//! which every user of the machine could read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::token::{InvalidToken, MAX_TOKEN, Token};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// There is no terminal to ask at.
    #[error("failed to ask for the join token: {0}: without a terminal, give it in a file")]
    NoTerminal(io::Error),
    /// The file cannot be read.
    #[error("failed to read the join token from {}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// Others may read the file, and decide by it which cluster the node joins.
    #[error(
        "{} can be read by others (mode {mode:o}): start `dx node --listen` again for a new token, and keep it in a file of mode 600",
        .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// What was given is no token.
    #[error(transparent)]
    Token(#[from] InvalidToken),
}

/// Reads a token from `file`, or else from the terminal, where it is not shown.
///
/// # Errors
/// If there is neither, or what is there is no token.
pub fn read_token(file: Option<&Path>) -> Result<Token, PromptError> {
    let text = match file {
        Some(path) => from_file(path)?,
        None => rpassword::prompt_password("join token: ").map_err(PromptError::NoTerminal)?,
    };
    Ok(text.parse()?)
}

fn from_file(path: &Path) -> Result<String, PromptError> {
    let failed = |reason| PromptError::File { path: path.to_owned(), reason };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o777;
    // A pipe is nobody else's, whatever its mode.
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(PromptError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    // Room for line breaks; what is longer is no token, and is cut, and so found to be none.
    file.take(2 * MAX_TOKEN as u64).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_in_a_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token { address: "a:1".to_owned(), fingerprint: [1; 32], secret: [2; 16] };
        fs::write(&path, format!("{token}\n")).unwrap();
        for (mode, is_private) in [(0o644, false), (0o640, false), (0o600, true), (0o400, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match read_token(Some(&path)) {
                Ok(read) => assert!(is_private && read == token, "{mode:o}"),
                Err(error) => assert!(
                    !is_private && matches!(error, PromptError::Exposed { .. }),
                    "{mode:o}: {error}"
                ),
            }
        }
    }

    #[test]
    fn a_file_that_is_no_token_is_read_only_so_far() {
        let error = read_token(Some(Path::new("/dev/zero"))).unwrap_err();
        assert!(matches!(error, PromptError::Token(InvalidToken::Scheme)), "{error}");
        let error = read_token(Some(Path::new("/no/such/file"))).unwrap_err();
        assert!(matches!(error, PromptError::File { .. }), "{error}");
    }
}
