//! What is left when a lab is gone: nothing.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use dx_lab::{Host, Lab, Shape, or_skip};

use crate::sockets::PATIENCE;

/// Prints the ids of itself and of a child that no signal to its parent
/// reaches. It sheds the mark by which it could be swept, so that nothing but
/// the kernel ends it; the child keeps the mark.
const FAMILY: &str = "setsid sleep 1000 >/dev/null 2>&1 </dev/null & \
                      echo $$ $!; exec env -u DX_LAB_OWNER sleep 1000";

fn namespace(host: &Host) -> u64 {
    host.enter(|| fs::metadata("/proc/thread-self/ns/net").unwrap().ino())
}

/// All that keeps a namespace alive: threads inside it and open descriptors of it.
fn holders(namespace: u64) -> usize {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let is_it = |path: &Path| fs::metadata(path).is_ok_and(|found| found.ino() == namespace);
    let tasks = entries(Path::new("/proc")).flat_map(|process| {
        let threads = entries(&process.path().join("task")).map(|task| task.path().join("ns/net"));
        let descriptors = entries(&process.path().join("fd")).map(|descriptor| descriptor.path());
        threads.chain(descriptors).collect::<Vec<_>>()
    });
    tasks.filter(|path| is_it(path)).count()
}

/// Waits until nothing holds the namespace. Its number may soon belong to a
/// namespace of another test, but to none for good.
fn await_release(namespace: u64) {
    let deadline = Instant::now() + PATIENCE;
    while holders(namespace) > 0 {
        assert!(Instant::now() < deadline, "namespace {namespace} outlived its lab");
    }
}

/// The two ids that [`FAMILY`] prints.
fn family(output: impl std::io::Read) -> [u32; 2] {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).unwrap();
    let ids: Vec<u32> = line.split_whitespace().map(|id| id.parse().unwrap()).collect();
    ids.try_into().unwrap()
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_dropped_lab_leaves_neither_processes_nor_namespaces_even_after_a_panic() {
    let mut seen = None;
    let crash = catch_unwind(AssertUnwindSafe(|| {
        let Some(lab) = or_skip(Lab::new("drop")) else { return };
        let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
        let _shaped = or_skip(lab.shape(&a, &b, Shape::default()));
        let mut shell = Command::new("sh");
        let mut shell = a.spawn(shell.args(["-c", FAMILY]).stdout(Stdio::piped())).unwrap();
        seen = Some((namespace(&a), family(shell.stdout().unwrap())));
        panic!("on purpose");
    }));
    let Some((namespace, family)) = seen else { return };
    assert_eq!(crash.unwrap_err().downcast_ref(), Some(&"on purpose"));
    assert_eq!(family.map(is_alive), [false, false]);
    await_release(namespace);
}

/// Starts this test binary again as the process that builds a lab and hangs.
fn victim() -> (Child, ChildStdout) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cleanup::builds_a_lab_and_hangs", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    (child, output)
}

#[test]
#[ignore = "the victim of a_killed_lab_leaves_nothing_that_the_next_does_not_sweep"]
fn builds_a_lab_and_hangs() {
    let lab = Lab::new("victim").unwrap();
    let a = lab.host("a").unwrap();
    let mut shell = Command::new("sh");
    let mut shell = a.spawn(shell.args(["-c", FAMILY]).stdout(Stdio::piped())).unwrap();
    let [child, orphan] = family(shell.stdout().unwrap());
    println!("\nlab {} {child} {orphan}", namespace(&a));
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_killed_lab_leaves_nothing_that_the_next_does_not_sweep() {
    if or_skip(Lab::new("able")).is_none() {
        return;
    }
    let (mut victim, output) = victim();
    let mut lines = BufReader::new(output).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("lab ")).expect("the victim built its lab");
    let numbers: Vec<u64> =
        line.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect();
    let [namespace, child, orphan] = numbers.try_into().unwrap();
    let (child, orphan) = (u32::try_from(child).unwrap(), u32::try_from(orphan).unwrap());
    victim.kill().unwrap();
    victim.wait().unwrap();

    await_end(child); // by the kernel
    drop(Lab::new("next").unwrap());
    await_end(orphan); // by the next lab, here or in a test beside this one
    await_release(namespace);
}

fn await_end(pid: u32) {
    let deadline = Instant::now() + PATIENCE;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} outlived its lab");
        std::thread::sleep(Duration::from_millis(1));
    }
}
