//! What a machine is short of: descriptors, room on its disk.

use std::process::Command;

use dx_scheduler::end::{End, Fault};
use dx_scheduler::id::AttemptId;
use dx_scheduler::processor::Told;
use serde_json::json;

use crate::rig::{Caller, Rig, Shim, attempt, exec, sh};

#[test]
fn with_few_descriptors_many_tasks_wait_and_none_fails() {
    let folder = tempfile::tempdir().unwrap();
    for options in [&[][..], &["--without-cgroups"]] {
        let mut limited = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_dx-shim");
        limited.args(["-c", "ulimit -n 256; exec \"$0\" \"$@\"", program]);
        let path = folder.path().join(format!("shim{}", options.len()));
        let shim = Shim::start_by(limited, &path, options);
        let caller = Caller::connect(&shim.folder);
        let mut rig = Rig { shim, caller, folder: tempfile::tempdir().unwrap() };
        let ids: Vec<AttemptId> = (0..500).map(|index| attempt(1, index)).collect();
        rig.caller.run_many(&ids, &sh("ulimit -n; sleep 0.01"));
        for id in &ids {
            let finish = rig.caller.ended(*id);
            assert_eq!(finish.end, End::Succeeded, "{:?}", finish.not_started);
        }
        assert_eq!(rig.caller.log(ids[7])[0], b"256\n");
    }
}

#[test]
fn a_full_disk_costs_output_and_blocks_nobody() {
    let Some(disk) = SmallDisk::mount() else { return };
    let shim = Shim::start(&disk.path(), &[]);
    let caller = Caller::connect(&shim.folder);
    let mut rig = Rig { shim, caller, folder: tempfile::tempdir().unwrap() };
    let cwd = rig.folder.path().to_str().unwrap().to_owned();
    let mut flood = sh("head -c 100000000 /dev/zero; echo done > done");
    flood["cwd"] = json!(cwd);
    flood["output"] = json!({ "max": "1GiB" });
    let finish = rig.caller.finish(attempt(1, 0), &flood);
    assert_eq!((finish.end, finish.printed), (End::Succeeded, 100_000_000));
    assert!(finish.kept > 0 && finish.kept < 16 << 20, "{}", finish.kept);
    assert_eq!(rig.caller.read(attempt(1, 0), 0, false).dropped, finish.printed - finish.kept);
    assert_eq!(rig.caller.log(attempt(1, 0))[0].len() as u64, finish.kept);
    // Where nothing at all can be made any more, that is the node's fault, and is told.
    disk.fill();
    let ids: Vec<AttemptId> = (0..3000).map(|index| attempt(2, index)).collect();
    rig.caller.run_many(&ids, &exec(&["true"]));
    for id in &ids {
        let finish = rig.caller.ended(*id);
        if let Some(why) = finish.not_started {
            assert_eq!(why.fault, Fault::Node, "{}", why.reason);
        }
    }
    rig.caller.wait(|told| matches!(told, Told::Beat { .. }).then_some(()));
}

/// A file system of some mebibytes, if this test may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m,nr_inodes=2000", "none"]).arg(folder.path());
        mount.output().is_ok_and(|it| it.status.success()).then_some(Self(folder))
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("shim")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.path().join("filling")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the shim may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}
