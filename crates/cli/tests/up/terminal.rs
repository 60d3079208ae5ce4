//! A user with a home of their own, and the programs that they run.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for a loaded machine; only a test that fails takes so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A user, and the cluster `ping` of three nodes that they have.
pub struct User {
    folder: TempDir,
    pub ports: Vec<u16>,
}

impl User {
    pub fn new() -> Self {
        // All at once, so that they differ.
        let listeners: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        Self { folder: tempfile::tempdir().unwrap(), ports }
    }

    /// The file of a cluster: an echo, and two that greet it every `interval`.
    pub fn ping(&self, interval: &str) -> PathBuf {
        let agent = |id: usize, kind: &str, attr: &str| {
            let port = self.ports[id - 1];
            format!(
                r#""{id}": {{"kind": "{kind}", "ip": "127.0.0.1", "port": {port}, "attr": {attr}}}"#
            )
        };
        let attr = format!(r#"{{"target": "1", "interval": "{interval}"}}"#);
        let text = format!(
            "{{{}, {}, {}}}",
            agent(1, "echo", "{}"),
            agent(2, "ping", &attr),
            agent(3, "ping", &attr)
        );
        self.file("ping.json", &text)
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("dx")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dx"));
        command.args(arguments).env("XDG_STATE_HOME", self.folder.path());
        command.env("XDG_CONFIG_HOME", self.folder.path()).env_remove("DX_CLUSTER");
        command.stdin(Stdio::null());
        command
    }

    /// Runs to its end: exit code, standard output, standard error.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let (_, stdout, stderr) = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"))
    }

    /// Starts a program and listens to what it prints.
    pub fn start(&self, arguments: &[&str]) -> Program {
        Program::start(self.command(arguments))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // Whatever a test left running ends with it.
        for lock in glob(&self.home()) {
            let pid = std::fs::read_to_string(lock).ok().and_then(|text| text.trim().parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// The locks of all nodes in `home` that have a control socket.
fn glob(home: &std::path::Path) -> Vec<PathBuf> {
    let folders = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let nodes = folders(home).into_iter().flat_map(|cluster| folders(&cluster));
    nodes.filter(|node| node.join("control.sock").exists()).map(|node| node.join("lock")).collect()
}

/// A program that runs, and what it prints, line by line.
pub struct Program {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // A test that knows enough does not listen any more.
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line, and returns it.
    pub fn wait_for(&mut self, what: &str) -> String {
        self.find(what, |line| line.contains(what).then(|| line.to_owned()))
    }

    /// Waits for a line of which something can be made.
    pub fn find<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = find(&line);
                    self.seen.push(line);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no `{what}` in {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("no `{what}` in all of {:#?}", self.seen)
                }
            }
        }
    }

    /// The lines that were waited for, and those before them.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        signal_to(self.pid(), signal);
    }

    /// Waits for its end; returns how it ended, and all that it printed.
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let mut seen = std::mem::take(&mut self.seen);
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {seen:#?}"),
            }
        }
        (self.child.wait().unwrap(), seen)
    }

    /// Kills it; returns all that it had printed and nobody waited for.
    pub fn kill(mut self) -> Vec<String> {
        let _ = self.child.kill();
        let mut seen = std::mem::take(&mut self.seen);
        // What it started may have its output open still: nobody waits for the end of that.
        let _ = self.child.wait();
        seen.extend(self.lines.try_iter());
        seen
    }

    /// Ctrl-C, and its end.
    pub fn interrupt(self) -> (Option<i32>, Vec<String>) {
        self.signal(Signal::INT);
        let (status, lines) = self.end();
        (status.code(), lines)
    }
}

impl Drop for Program {
    #[allow(clippy::print_stderr, reason = "else nobody knows why a test fails")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.seen.extend(self.lines.try_iter());
            eprintln!("process {} had printed {:#?}", self.child.id(), self.seen);
        }
    }
}

pub fn signal_to(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// What the echo printed: which greetings of which agent, in their order.
pub fn heard(lines: &[String]) -> BTreeMap<u64, Vec<u64>> {
    let mut heard: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for line in lines {
        if let Some((from, number)) = greeting(line) {
            heard.entry(from).or_default().push(number);
        }
    }
    heard
}

/// `... received from agent 2: Hello #7 from Ping agent 2`.
pub fn greeting(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.split_once("received from agent ")?;
    let (from, rest) = rest.split_once(": Hello #")?;
    let (number, _) = rest.split_once(' ')?;
    Some((from.parse().ok()?, number.parse().ok()?))
}

/// Waits until the echo has heard greeting `number` of `from`, or a later one.
pub fn wait_for_greeting(program: &mut Program, from: u64, number: u64) {
    program.find(&format!("Hello #{number} from {from}"), |line| {
        greeting(line).filter(|(agent, heard)| *agent == from && *heard >= number)
    });
}
