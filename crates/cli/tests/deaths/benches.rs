//! A bench that is told to end while it starts a node.

use std::os::unix::process::CommandExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};

use super::processes;
use super::terminal::User;

/// Signals that ask it to end, each when a process of this command is there.
const WHEN: [(Signal, &str); 5] = [
    (Signal::INT, "up"),
    (Signal::TERM, "up"),
    (Signal::INT, "node"),
    (Signal::HUP, "node"),
    (Signal::INT, "shim"),
];

#[test]
fn a_bench_that_is_told_to_end_leaves_no_node_whenever_that_is() {
    for (signal, command) in WHEN {
        let user = User::new();
        let folder = user.file("bench", "").with_file_name("");
        let folder = folder.to_str().unwrap();
        let mut bench = user.command(&["bench", "scheduler", "--quick", "--scenario", "sleep"]);
        bench.args(["--folder", folder]).process_group(0);
        let mut bench = bench.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !processes::having(folder).into_iter().any(|pid| processes::is(pid, command)) {
            let ended = bench.try_wait().unwrap();
            assert!(ended.is_none(), "no `dx {command}` was seen: {ended:?}");
        }
        let group = Pid::from_raw(i32::try_from(bench.id()).unwrap()).unwrap();
        kill_process_group(group, signal).unwrap();
        assert!(!bench.wait().unwrap().success());
        let left = processes::having(folder);
        left.iter().copied().for_each(processes::kill);
        assert_eq!(left, [0_u32; 0], "{signal:?} while `dx {command}` was there");
    }
}
