//! The cluster secret: what nodes prove to each other where no certificate speaks for them.

use std::fmt;
use std::path::Path;

use crate::private_file;
pub use crate::private_file::PrivateFileError;

/// At least 128 random bits that all nodes of a cluster hold.
///
/// It is never sent, shown or logged; nodes prove that they hold it by an HMAC over fresh nonces.
/// It has no equality: compare proofs, in constant time.
#[derive(Clone)]
pub struct ClusterSecret(Vec<u8>);

/// The least length of a secret, in bytes: 128 bits.
pub const MIN_SECRET: usize = 16;

/// The greatest length of a secret, in bytes.
pub const MAX_SECRET: usize = 1024;

/// Why a secret could not be had. The texts never quote it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Its file could not be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The text is not hexadecimal.
    #[error("the cluster secret is not hexadecimal: `openssl rand -hex 32` prints a good one")]
    NotHex,
    /// It is shorter than [`MIN_SECRET`] or longer than [`MAX_SECRET`].
    #[error(
        "the cluster secret has {0} bytes: {MIN_SECRET} to {MAX_SECRET} are allowed (two hexadecimal digits each)"
    )]
    Length(usize),
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
}

impl ClusterSecret {
    /// The secret of these bytes, which must be random.
    ///
    /// # Errors
    /// If there are fewer than [`MIN_SECRET`] or more than [`MAX_SECRET`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        if (MIN_SECRET..=MAX_SECRET).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SecretError::Length(bytes.len()))
        }
    }

    /// A new secret of 256 bits.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    #[cfg(feature = "mesh")]
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes).map_err(|error| SecretError::Random(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// Reads the secret from a file that holds it in hexadecimal digits.
    ///
    /// # Errors
    /// If anybody but the owner may read the file, or it holds no secret.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        Self::new(from_hex(private_file::read(path)?.trim())?)
    }

    /// Writes the secret to a new file of mode 0600.
    ///
    /// # Errors
    /// If the file exists already, or the operating system refuses.
    pub fn save(&self, path: &Path) -> Result<(), SecretError> {
        let mut text = String::with_capacity(2 * self.0.len() + 1);
        for byte in &self.0 {
            for half in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(half)]));
            }
        }
        text.push('\n');
        Ok(private_file::write(path, &text)?)
    }

    /// The secret itself, as the key of an HMAC.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

fn from_hex(text: &str) -> Result<Vec<u8>, SecretError> {
    let digits = |pair: &[u8]| {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(*pair.get(1)?).to_digit(16)?;
        u8::try_from(high << 4 | low).ok()
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(digits).collect();
    bytes.ok_or(SecretError::NotHex)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secret = ClusterSecret::new((0..32).collect()).unwrap();
        secret.save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(ClusterSecret::load(&path).unwrap().expose(), secret.expose());
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        ClusterSecret::new(vec![7; 16]).unwrap().save(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = ClusterSecret::load(&path).unwrap_err().to_string();
            assert!(error.contains("can be read by others"), "{error}");
        }
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "precious").unwrap();
        let error = ClusterSecret::new(vec![7; 16]).unwrap().save(&path).unwrap_err();
        assert!(matches!(error, SecretError::File(PrivateFileError::Exists(_))), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn weak_and_broken_secrets_are_refused() {
        assert!(matches!(ClusterSecret::new(vec![0; 15]), Err(SecretError::Length(15))));
        assert!(matches!(from_hex("0g"), Err(SecretError::NotHex)));
        assert!(matches!(from_hex("012"), Err(SecretError::NotHex)));
        assert_eq!(from_hex("00fF").unwrap(), [0, 255]);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let shown = format!("{:?}", ClusterSecret::new(vec![0xab; 16]).unwrap());
        assert_eq!(shown, "ClusterSecret(..)");
    }
}
