//! Several processes at once. Each is this test's own program again, told by its environment what
//! to do: the ignored test below.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::SystemTime;

use dx::home::{Home, NodeError};
use dx_transport::id::NodeId;

use super::{cluster, node};

const ROOT: &str = "DX_TEST_HOME";

/// Processes that race, each time. The window is a key's making, some tenths of a millisecond.
const RACERS: usize = 8;

#[test]
#[ignore = "the process that the other tests start"]
fn process() {
    let root = env::var(ROOT).expect("another test starts this one");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let cluster = Home::at(Path::new(&root)).open_or_create(&"local".parse().unwrap()).unwrap();
    let authority = cluster.authority_certificate().unwrap().fingerprint();
    match cluster.node(&"n1".parse().unwrap()).start(NodeId(1), SystemTime::now()) {
        Ok(running) => {
            println!("\nruns {authority} {}", running.incarnation);
            std::io::stdin().read_line(&mut line).unwrap();
        }
        Err(NodeError::Running { pid, .. }) => println!("\nheld {authority} {pid:?}"),
        Err(error) => println!("\nfailed {authority} {error}"),
    }
}

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(root: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "processes::process", "--ignored", "--nocapture"])
            .env(ROOT, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// What became of it: a word, the authority's fingerprint, and more.
    fn outcome(&mut self) -> [String; 3] {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the process said nothing");
            let words: Vec<&str> = line.trim_end().splitn(3, ' ').collect();
            if let [word @ ("runs" | "held" | "failed"), authority, rest] = words[..] {
                return [word, authority, rest].map(str::to_owned);
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn of_many_processes_one_makes_the_authority_and_one_runs_the_node() {
    for _ in 0..5 {
        let root = tempfile::tempdir().unwrap();
        let mut processes: Vec<_> = (0..RACERS).map(|_| Process::start(root.path())).collect();
        processes.iter_mut().for_each(Process::go);
        let outcomes: Vec<_> = processes.iter_mut().map(Process::outcome).collect();
        let runs: Vec<_> = outcomes.iter().filter(|outcome| outcome[0] == "runs").collect();
        let held = outcomes.iter().filter(|outcome| outcome[0] == "held").count();
        assert_eq!((runs.len(), held), (1, RACERS - 1), "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| outcome[1] == runs[0][1]), "{outcomes:?}");
    }
}

#[test]
fn a_running_node_is_named_with_its_process() {
    let root = tempfile::tempdir().unwrap();
    let mut first = Process::start(root.path());
    first.go();
    assert_eq!(first.outcome()[0], "runs");
    let error = node(root.path(), "n1").start(NodeId(1), SystemTime::now()).unwrap_err();
    let expected = format!("node n1 of cluster local runs already (pid {})", first.child.id());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_killed_node_gives_its_lock_back_and_its_next_life_has_a_greater_number() {
    let root = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let mut process = Process::start(root.path());
        process.go();
        let [word, _, incarnation] = process.outcome();
        let incarnation: u64 = incarnation.parse().unwrap();
        assert!(word == "runs" && incarnation > last, "{word} {incarnation} after {last}");
        last = incarnation;
        // SIGKILL: nothing is tidied up.
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }
    let next = node(root.path(), "n1").start(NodeId(1), SystemTime::now()).unwrap();
    assert!(next.incarnation.0 > last);
}

#[test]
fn what_a_killed_process_left_unfinished_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let unfinished = root.path().join(".local.new");
    std::fs::create_dir_all(unfinished.join("n1")).unwrap();
    std::fs::write(unfinished.join("ca.key"), "half").unwrap();
    cluster(root.path()).authority().unwrap();
    assert!(!unfinished.exists());
}
