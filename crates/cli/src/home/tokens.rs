//! Who may ask the job API over TCP: tokens, of which only hashes are kept.
//!
//! The file lies in the cluster's folder on the machine of the node that serves the API, and is
//! read at each request, so that a token that is revoked is revoked at once.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use dx_scheduler::api::Scope;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::cluster::Cluster;
use super::folder::{self, FolderError};
use crate::hex;

/// The most tokens of a cluster: each request is compared with all. A guess.
pub const MAX_TOKENS: usize = 256;

/// The longest name of a token.
const MAX_NAME: usize = 64;

/// What a token begins with, so that those who look for secrets in files recognise it.
const PREFIX: &str = "dxt_";

/// The tokens of a cluster.
#[derive(Clone, Debug)]
pub struct Tokens {
    folder: PathBuf,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// What jobs are submitted as.
    pub name: String,
    /// What its holder may.
    pub scope: Scope,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created: u64,
}

/// A token as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: String,
    scope: Scope,
    created: u64,
    /// SHA-256 of the text that is sent. The text has 256 random bits, so that nothing is gained by
    /// guessing it from here.
    hash: String,
}

/// Why tokens could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Others may read or change it.
    #[error("{} is open to others (mode {mode:o}): `chmod 600` it, and revoke what you do not know", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error("{} is damaged: remove it, and make new tokens ({reason})", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Somebody has this name already.
    #[error("there is a token `{0}`: revoke it first, or choose another name")]
    Taken(String),
    /// Nobody has it.
    #[error("there is no token `{name}`{suggestion}")]
    Unknown {
        /// The name.
        name: String,
        /// `; did you mean ...?`, or nothing.
        suggestion: String,
    },
    /// It cannot be one.
    #[error("`{}` is no name of a token: 1 to {MAX_NAME} letters, digits, `-`, `_` or `.`", .0.escape_debug())]
    Name(String),
    /// There are as many as there can be.
    #[error("there are {MAX_TOKENS} tokens already: revoke some")]
    TooMany,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Cluster {
    /// Its tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        Tokens { folder: self.path().to_owned() }
    }
}

impl Tokens {
    /// All of them, by name.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn list(&self) -> Result<Vec<Token>, TokenError> {
        Ok(self.load()?.into_iter().map(Kept::into_token).collect())
    }

    /// Makes one at wall-clock time `now`. What is returned is its secret, and nowhere else.
    ///
    /// # Errors
    /// If there can be no such token, or the file cannot be used.
    pub fn create(&self, name: &str, scope: Scope, now: SystemTime) -> Result<String, TokenError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_allowed) {
            return Err(TokenError::Name(name.to_owned()));
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(TokenError::Random)?;
        let secret = format!("{PREFIX}{}", hex::encode(&random));
        let created = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let hash = hex::encode(&hash(&secret));
        let (name, _lock) = (name.to_owned(), folder::lock(&self.folder)?);
        let mut kept = self.load()?;
        if kept.iter().any(|kept| kept.name == name) {
            return Err(TokenError::Taken(name));
        }
        if kept.len() >= MAX_TOKENS {
            return Err(TokenError::TooMany);
        }
        kept.push(Kept { name, scope, created, hash });
        kept.sort_by(|a, b| a.name.cmp(&b.name));
        self.save(&kept)?;
        Ok(secret)
    }

    /// Ends one: from now on it is nobody's.
    ///
    /// # Errors
    /// If there is no such token, or the file cannot be used.
    pub fn revoke(&self, name: &str) -> Result<(), TokenError> {
        let _lock = folder::lock(&self.folder)?;
        let mut kept = self.load()?;
        let Some(at) = kept.iter().position(|kept| kept.name == name) else {
            let suggestion = super::suggestion(name, kept.iter().map(|kept| kept.name.as_str()));
            return Err(TokenError::Unknown { name: name.to_owned(), suggestion });
        };
        kept.remove(at);
        self.save(&kept)
    }

    /// Whose secret this is. How long it takes does not depend on how much of it is right.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn holder(&self, secret: &str) -> Result<Option<Token>, TokenError> {
        let sent = hash(secret);
        let mut holder = None;
        for kept in self.load()? {
            let is_it =
                hex::decode_array::<32>(&kept.hash).is_some_and(|hash| hash.ct_eq(&sent).into());
            if is_it {
                holder = Some(kept.into_token());
            }
        }
        Ok(holder)
    }

    fn load(&self) -> Result<Vec<Kept>, TokenError> {
        let path = self.path();
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            metadata => metadata.map_err(|error| FolderError::new("read", &path, error))?,
        };
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed { path, mode });
        }
        let text = folder::read(&path)?;
        serde_json::from_str(&text)
            .map_err(|error| TokenError::Damaged { path, reason: error.to_string() })
    }

    fn save(&self, kept: &[Kept]) -> Result<(), TokenError> {
        let text = serde_json::to_string_pretty(kept).expect("it has text keys only") + "\n";
        folder::replace(&self.path(), |file: &Path| Ok(folder::write(file, &text, 0o600)?))
    }

    fn path(&self) -> PathBuf {
        self.folder.join("tokens")
    }
}

impl Kept {
    fn into_token(self) -> Token {
        Token { name: self.name, scope: self.scope, created: self.created }
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::home::Home;

    fn tokens(root: &Path) -> Tokens {
        Home::at(root).open_or_create(&"local".parse().unwrap()).unwrap().tokens()
    }

    #[test]
    fn a_token_is_known_by_its_secret_alone_until_it_is_revoked() {
        let root = tempfile::tempdir().unwrap();
        let tokens = tokens(root.path());
        let now = UNIX_EPOCH + std::time::Duration::from_secs(7);
        let ci = tokens.create("ci", Scope::Submit, now).unwrap();
        let bob = tokens.create("bob", Scope::Read, now).unwrap();
        let holder = tokens.holder(&ci).unwrap().unwrap();
        assert_eq!(holder, Token { name: "ci".into(), scope: Scope::Submit, created: 7000 });
        assert_eq!(tokens.holder(&bob).unwrap().unwrap().name, "bob");
        for wrong in ["", "ci", &ci[..ci.len() - 1], &format!("{ci} "), &ci.to_uppercase()] {
            assert_eq!(tokens.holder(wrong).unwrap(), None, "{wrong}");
        }
        let kept = fs::read_to_string(tokens.path()).unwrap();
        assert!(!kept.contains(&ci) && !kept.contains(&ci[PREFIX.len()..]), "{kept}");
        // Nor is the hash that is kept as good as the secret.
        let hashed = hex::encode(&hash(&ci));
        assert!(kept.contains(&hashed));
        assert_eq!(tokens.holder(&hashed).unwrap(), None);
        tokens.revoke("ci").unwrap();
        assert_eq!(tokens.holder(&ci).unwrap(), None);
        assert_eq!(tokens.list().unwrap().len(), 1);
    }

    #[test]
    fn a_token_has_a_name_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let tokens = tokens(root.path());
        tokens.create("ci", Scope::Read, UNIX_EPOCH).unwrap();
        let again = tokens.create("ci", Scope::Admin, UNIX_EPOCH).unwrap_err();
        assert!(matches!(again, TokenError::Taken(_)), "{again}");
        for name in ["", "a b", "a\n", &"x".repeat(65), "ä"] {
            let error = tokens.create(name, Scope::Read, UNIX_EPOCH).unwrap_err();
            assert!(matches!(error, TokenError::Name(_)), "{error}");
        }
        tokens.create("builder", Scope::Read, UNIX_EPOCH).unwrap();
        let error = tokens.revoke("bulider").unwrap_err().to_string();
        assert_eq!(error, "there is no token `bulider`; did you mean `builder`?");
    }

    #[test]
    fn tokens_that_others_may_change_are_nobodys() {
        let root = tempfile::tempdir().unwrap();
        let tokens = tokens(root.path());
        let secret = tokens.create("ci", Scope::Read, UNIX_EPOCH).unwrap();
        assert_eq!(fs::metadata(tokens.path()).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(tokens.path(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = tokens.holder(&secret).unwrap_err();
        assert!(matches!(error, TokenError::Exposed { mode: 0o640, .. }), "{error}");
        fs::set_permissions(tokens.path(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(tokens.path(), "[{}]").unwrap();
        assert!(matches!(tokens.holder(&secret), Err(TokenError::Damaged { .. })));
    }

    #[test]
    fn as_many_tokens_as_there_can_be_are_read_whole() {
        let root = tempfile::tempdir().unwrap();
        let tokens = tokens(root.path());
        let kept = |at: usize| Kept {
            name: format!("{at:0>64}"),
            scope: Scope::Submit,
            created: u64::MAX,
            hash: hex::encode(&[0; 32]),
        };
        let all: Vec<Kept> = (0..MAX_TOKENS).map(kept).collect();
        tokens.save(&all).unwrap();
        assert_eq!(tokens.list().unwrap().len(), MAX_TOKENS);
        assert!(matches!(tokens.create("x", Scope::Read, UNIX_EPOCH), Err(TokenError::TooMany)));
    }
}
