//! A small disk, which can be full.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Command;

/// Room for some segments of the journals of three nodes, which are reserved one by one.
const SIZE: &str = "size=160m,mode=700";

/// A disk in a folder, gone with this.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Only root can do this.
    pub fn mount(folder: PathBuf) -> Self {
        // As a home of keys must be.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "dx-test"]).arg(&folder));
        Self(folder)
    }

    /// Fills what is left of it.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    /// Undoes that.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while something still has a file of it open.
        run(Command::new("umount").arg("--lazy").arg(&self.0));
        // Whoever removes a test's folder could not remove this, and what it is in.
        while fs::remove_dir(&self.0).is_ok() && self.0.pop() {}
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
