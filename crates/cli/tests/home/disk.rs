use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::SystemTime;

use dx::home::{ClusterError, FolderError, Home, IncarnationError, NodeError};
use dx_transport::id::NodeId;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use super::{cluster, node};

/// A tiny file system, unmounted when dropped.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// One of 64 KiB, or nothing where this user may not mount.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = mount("tmpfs", folder.path(), "tmpfs", MountFlags::empty(), c"size=64k");
        if mounted.is_err() {
            eprintln!("skipped: only root may mount a file system");
            return None;
        }
        Some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut size = 64 * 1024;
        let mut name = 0;
        while size > 0 {
            let file = self.path().join(format!(".filler-{name}"));
            if fs::write(file, vec![0; size]).is_err() {
                size /= 2;
            }
            name += 1;
        }
    }

    fn make_room(&self) {
        for entry in fs::read_dir(self.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with(".filler") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_half_made() {
    let Some(disk) = Tmpfs::new() else { return };
    let home = Home::at(disk.path());
    let name = "local".parse().unwrap();
    disk.fill();
    let error = home.create(&name).unwrap_err();
    assert!(matches!(error, ClusterError::Folder(FolderError::Full { .. })), "{error}");
    assert!(home.clusters().unwrap().is_empty());
    disk.make_room();
    assert!(home.create(&name).unwrap());
}

#[test]
fn a_node_starts_again_once_there_is_room() {
    let Some(disk) = Tmpfs::new() else { return };
    let now = SystemTime::now();
    let first = node(disk.path(), "n1").start(NodeId(1), now).unwrap().incarnation;
    disk.fill();
    let error = node(disk.path(), "n1").start(NodeId(1), now).unwrap_err();
    let is_full = matches!(
        error,
        NodeError::Folder(FolderError::Full { .. })
            | NodeError::Incarnation(IncarnationError::Folder(FolderError::Full { .. }))
    );
    assert!(is_full, "{error}");
    disk.make_room();
    let next = node(disk.path(), "n1").start(NodeId(1), now).unwrap().incarnation;
    assert!(next > first);
}

#[test]
fn a_read_only_disk_is_named() {
    let Some(disk) = Tmpfs::new() else { return };
    node(disk.path(), "n1").start(NodeId(1), SystemTime::now()).unwrap();
    mount_remount(disk.path(), MountFlags::RDONLY, "").unwrap();
    let error = Home::at(disk.path()).create(&"other".parse().unwrap()).unwrap_err();
    assert!(matches!(error, ClusterError::Folder(FolderError::ReadOnly { .. })), "{error}");
    let error = node(disk.path(), "n1").start(NodeId(1), SystemTime::now()).unwrap_err();
    assert!(matches!(error, NodeError::Folder(FolderError::ReadOnly { .. })), "{error}");
}

#[test]
fn a_folder_that_others_can_open_or_own_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::at(root.path());
    let name = "local".parse().unwrap();
    let path = cluster(root.path()).path().to_owned();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let error = home.open(&name).unwrap_err();
    assert!(matches!(error, ClusterError::Folder(FolderError::Exposed { .. })), "{error}");
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    if chown(&path, Some(12345), None).is_err() {
        eprintln!("skipped: only root may give a folder away");
        return;
    }
    let error = home.open(&name).unwrap_err();
    assert!(matches!(error, ClusterError::Folder(FolderError::Foreign { .. })), "{error}");
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_known_at_the_start() {
    let root = tempfile::tempdir().unwrap();
    let name = "x".repeat(64);
    let deep = root.path().join("y".repeat(64));
    let error = node(&deep, &name).start(NodeId(1), SystemTime::now()).unwrap_err();
    assert!(matches!(error, NodeError::SocketPath(_)), "{error}");
    assert!(!deep.join("local").join(&name).exists());
}
