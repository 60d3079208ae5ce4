//! Three nodes, each a process of its own that a test can kill, stop and start again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use dx_lab::Host;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::processes;
use super::terminal::{Program, User, signal_to};
use super::world::{Got, curl};

/// The nodes: the first is the controller's, and all run tasks.
pub const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// The most tasks of an answer.
pub const PAGE: u64 = 1_000;

/// Tasks that a node runs at a time.
const CPUS: usize = 4;

/// A cluster that runs. Whatever is left of it when it is dropped is killed.
pub struct Place {
    pub user: User,
    file: PathBuf,
    shell: &'static str,
    /// Where the nodes are, if each has a host of its own.
    hosts: Vec<Host>,
    nodes: BTreeMap<&'static str, Program>,
    /// What nodes printed that were killed, for whoever asks why a test failed.
    said: Vec<String>,
}

/// How far, in milliseconds, the controller's clock can be from this one: it is behind by as long as
/// its start took.
const CLOCKS: u64 = 5_000;

/// That a life of a node's shim ended: its tasks may be lost.
#[derive(Clone, Debug)]
pub struct Death {
    node: usize,
    at: u64,
}

impl Death {
    /// It is about to end.
    pub fn now(name: &str) -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let node = NODES.iter().position(|node| *node == name).unwrap() + 1;
        Self { node, at: at.try_into().unwrap() }
    }

    /// Whether an attempt was there then.
    pub fn excuses(&self, attempt: &Value) -> bool {
        let number = |key: &str| attempt[key].as_u64().unwrap();
        let lived = number("assigned").saturating_sub(CLOCKS)..=number("ended") + CLOCKS;
        number("node") == self.node as u64 && lived.contains(&self.at)
    }
}

impl Place {
    /// All nodes, once they serve. `lease` is how long they may be silent.
    pub fn start(lease: &str) -> Self {
        Self::start_under(User::new(), ":", lease)
    }

    /// The same for this user, after these commands of a shell.
    pub fn start_under(user: User, shell: &'static str, lease: &str) -> Self {
        Self::begin(user, shell, lease, Vec::new())
    }

    /// The same with each node on a host of its own, which a test can cut off.
    pub fn start_on(hosts: Vec<Host>, lease: &str) -> Self {
        let user = User::new();
        // What is made for the cluster as a whole is made before its nodes look for it.
        let (code, _, stderr) = user.run(&["cert", "init", "--cluster", "jobs"]);
        assert_eq!(code, 0, "{stderr}");
        Self::begin(user, ":", lease, hosts)
    }

    fn begin(user: User, shell: &'static str, lease: &str, hosts: Vec<Host>) -> Self {
        let node = |(at, name): (usize, &str)| {
            let (id, port) = (at + 1, user.ports[at]);
            let ip =
                hosts.get(at).map_or("127.0.0.1".to_owned(), |host| host.address().to_string());
            let roles = if at == 0 { "\"controller\", \"runner\"" } else { "\"runner\"" };
            format!(
                "[node.{name}]\nid = {id}\naddress = \"{ip}:{port}\"\nroles = [{roles}]\n\
                 offer = {{ cpus = {CPUS} }}\n"
            )
        };
        let nodes: String = NODES.into_iter().enumerate().map(node).collect();
        let file = user.file("jobs.toml", &format!("[jobs]\nlease = \"{lease}\"\n{nodes}"));
        let mut place = Self { user, file, shell, hosts, nodes: BTreeMap::new(), said: Vec::new() };
        place.start_nodes(&NODES);
        place
    }

    /// Starts nodes, and waits until they serve.
    pub fn start_nodes(&mut self, names: &[&'static str]) {
        for name in names {
            let file = self.file.to_str().unwrap();
            let node = self.user.command(&["node", file, "--name", name]);
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{}\nexec \"$0\" \"$@\"", self.shell)]);
            shell.arg(node.get_program()).args(node.get_args()).stdin(Stdio::null());
            for (name, value) in node.get_envs() {
                let _ = match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            let host = self.hosts.get(NODES.iter().position(|it| it == name).unwrap());
            let node = match host {
                Some(host) => host.enter(|| Program::start(shell)),
                None => Program::start(shell),
            };
            self.nodes.insert(name, node);
        }
        for name in names {
            self.nodes.get_mut(name).unwrap().wait_for("is ready");
        }
        for name in names {
            let ready = self.get_from(name, "/v1/ready");
            assert_eq!(ready.status, 200, "{name}: {ready:?}");
        }
    }

    /// Waits until a node prints a line.
    pub fn wait_for_line(&mut self, name: &str, what: &str) {
        self.nodes.get_mut(name).unwrap().wait_for(what);
    }

    /// Kills the process of a node. Its shim goes on.
    pub fn kill_node(&mut self, name: &str) {
        let said = self.nodes.remove(name).unwrap().kill();
        self.said.extend(said.into_iter().map(|line| format!("{name}: {line}")));
    }

    /// Stops a node in good order. Returns all that it printed.
    pub fn stop(&mut self, name: &str) -> Vec<String> {
        self.nodes.remove(name).unwrap().interrupt().1
    }

    pub fn signal_node(&self, name: &str, signal: Signal) {
        self.nodes[name].signal(signal);
    }

    /// Kills the shim of a node.
    pub fn kill_shim(&self, name: &str) -> Death {
        let death = Death::now(name);
        processes::kill(self.shim(name));
        death
    }

    pub fn signal_shim(&self, name: &str, signal: Signal) {
        signal_to(self.shim(name), signal);
    }

    /// What a node's shim notes from here on.
    pub fn notes(&self, name: &str) -> Program {
        follow("--lines=0", &self.folder(name).join("shim/notes"))
    }

    /// Waits until a node has run something that only it may run.
    pub fn wait_for_work_on(&self, name: &str) {
        let job = self.submit(&json!({
            "commands": [{ "exec": ["true"] }],
            "constraints": [{ "label": "node", "value": name }],
        }));
        assert_eq!(self.wait(job)["state"], "succeeded");
    }

    /// The process of a node's shim.
    pub fn shim(&self, name: &str) -> u32 {
        let lock = std::fs::read_to_string(self.folder(name).join("shim/lock")).unwrap();
        lock.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Where a node has what it keeps.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.user.home().join("jobs").join(name)
    }

    /// Asks a node at its control socket.
    pub fn get_from(&self, name: &str, path: &str) -> Got {
        self.curl(name, path, &[])
    }

    /// Asks the node that is not the controller's.
    pub fn get(&self, path: &str) -> Value {
        let got = self.get_from("n2", path);
        assert_eq!(got.status, 200, "{path}: {got:?}");
        got.json()
    }

    pub fn post(&self, path: &str, body: &Value) -> Got {
        let body = body.to_string();
        self.curl("n1", path, &["-H", "content-type: application/json", "--data", &body])
    }

    fn curl(&self, name: &str, path: &str, arguments: &[&str]) -> Got {
        let socket = self.folder(name).join("control.sock");
        let url = format!("http://dx{path}");
        curl(&[&["--unix-socket", socket.to_str().unwrap(), &url], arguments].concat())
    }

    /// Submits a job, and returns its number.
    pub fn submit(&self, job: &Value) -> u64 {
        let got = self.post("/v1/jobs", job);
        assert_eq!(got.status, 201, "{got:?}");
        got.json()["job"].as_u64().unwrap()
    }

    /// Waits for a job's end as its user would, whatever happens to nodes meanwhile.
    pub fn wait(&self, job: u64) -> Value {
        let (_, _, stderr) = self.user.run(&["job", "wait", &job.to_string(), "--timeout", "5m"]);
        let view = self.get(&format!("/v1/jobs/{job}"));
        assert!(!view["ended"].is_null(), "{view}\n{stderr}");
        view
    }

    /// Waits until a task is as it is wanted to be.
    pub fn wait_for_task(&self, job: u64, index: u32, is_so: impl Fn(&Value) -> bool) -> Value {
        // Each turn waits for a change, or for half a minute.
        for _ in 0..200 {
            let version = self.get(&format!("/v1/jobs/{job}"))["version"].as_u64().unwrap();
            let task = self.get(&format!("/v1/jobs/{job}/tasks/{index}"));
            if is_so(&task) {
                return task;
            }
            self.get(&format!("/v1/jobs/{job}?since={version}&wait=30s"));
        }
        panic!("task {index} never is")
    }

    /// All tasks of a job.
    pub fn tasks(&self, job: u64) -> Vec<Value> {
        let (mut tasks, mut from) = (Vec::new(), json!(0));
        while !from.is_null() {
            let (page, next) = self.some_tasks(job, &from);
            tasks.extend(page);
            from = next;
        }
        tasks
    }

    /// A page of a job's tasks, and where the next one begins.
    pub fn some_tasks(&self, job: u64, from: &Value) -> (Vec<Value>, Value) {
        let mut page = self.get(&format!("/v1/jobs/{job}/tasks?limit={PAGE}&from={from}"));
        let Value::Array(listed) = page["tasks"].take() else { panic!("{page}") };
        (listed, page["next"].take())
    }
}

/// The lines of a file as they are written; `from` is an option of `tail`.
pub fn follow(from: &str, path: &Path) -> Program {
    let mut tail = Command::new("tail");
    tail.args([from, "--follow"]).arg(path);
    Program::start(tail)
}

impl Drop for Place {
    fn drop(&mut self) {
        // What was stopped by a signal is killed nevertheless.
        for name in
            NODES.into_iter().filter(|name| self.nodes.contains_key(name)).collect::<Vec<_>>()
        {
            self.kill_node(name);
        }
        if std::thread::panicking() {
            eprintln!("nodes said:\n{}", self.said.join("\n"));
        }
        let home = self.user.home();
        let home = home.parent().unwrap().to_str().unwrap();
        loop {
            let left = processes::having(home);
            left.iter().copied().for_each(processes::kill);
            if left.is_empty() {
                break;
            }
        }
    }
}
