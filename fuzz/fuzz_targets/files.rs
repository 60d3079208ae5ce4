//! Files that hold a secret or an authority: whatever they hold, and whoever may read them.
#![no_main]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use dx_fuzz::assert_printable;
use dx_transport::identity::Authority;
use dx_transport::secret::{ClusterSecret, MAX_SECRET, MIN_SECRET};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for the files can be made"));

#[derive(Arbitrary, Debug)]
struct Input {
    mode: u16,
    file: File,
}

#[derive(Arbitrary, Debug)]
enum File {
    Secret(Vec<u8>),
    /// A secret in hexadecimal digits with these bytes around it.
    Hex {
        bytes: Vec<u8>,
        before: String,
        after: String,
    },
    Authority {
        certificate: Option<Vec<u8>>,
        key: Option<Vec<u8>>,
    },
}

fuzz_target!(|input: Input| {
    // The owner must be able to read it even where tests do not run as root.
    let mode = u32::from(input.mode) & 0o777 | 0o600;
    match input.file {
        File::Secret(text) => secret(mode, &text),
        File::Hex { bytes, before, after } => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            secret(mode, format!("{before}{digits}{after}").as_bytes());
        }
        File::Authority { certificate, key } => {
            let certificate =
                certificate.as_deref().unwrap_or(include_bytes!("../fixtures/ca.pem"));
            let key = key.as_deref().unwrap_or(include_bytes!("../fixtures/ca.key"));
            authority(mode, certificate, key);
        }
    }
});

fn secret(mode: u32, text: &[u8]) {
    let path = FOLDER.path().join("secret");
    write(&path, mode, text);
    match ClusterSecret::load(&path) {
        Ok(secret) => {
            assert_eq!(mode & 0o077, 0, "others can read it");
            assert!((MIN_SECRET..=MAX_SECRET).contains(&secret.expose().len()));
        }
        Err(error) => assert_printable(&error.to_string()),
    }
}

fn authority(mode: u32, certificate: &[u8], key: &[u8]) {
    let paths = ["ca.pem", "ca.key"].map(|name| FOLDER.path().join(name));
    write(&paths[0], 0o644, certificate);
    write(&paths[1], mode, key);
    match Authority::load(&paths[0], &paths[1]) {
        Ok(_) => assert_eq!(mode & 0o077, 0, "others can read it"),
        Err(error) => assert_printable(&error.to_string()),
    }
}

fn write(path: &Path, mode: u32, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file can be written");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode can be set");
}
