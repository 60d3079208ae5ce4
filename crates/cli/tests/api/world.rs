//! A cluster of two nodes that run jobs, and curl.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::terminal::{Program, User};

/// A cluster that runs; stopped in good order when dropped, so that nothing it ran is left.
pub struct World {
    pub user: User,
    pub file: PathBuf,
    up: Option<Program>,
}

/// What curl got.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub kind: String,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The code of a failure.
    pub fn code(&self) -> String {
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

impl World {
    /// Two nodes. `more` is added to the cluster's file.
    pub fn start(more: &str) -> Self {
        let user = User::new();
        let node = |at: usize, roles: &str| {
            let (id, port) = (at + 1, user.ports[at]);
            format!(
                "[node.n{id}]\nid = {id}\naddress = \"127.0.0.1:{port}\"\nroles = [{roles}]\n\
                 labels = {{ name = \"n{id}\" }}\noffer = {{ cpus = 8 }}\n"
            )
        };
        let nodes = node(0, "\"controller\", \"runner\"") + &node(1, "\"runner\"");
        let file = user.file("jobs.toml", &format!("{nodes}{more}"));
        let mut world = Self { user, file, up: None };
        world.up();
        world
    }

    /// Starts the nodes, and waits until they serve.
    pub fn up(&mut self) {
        let mut up = self.user.start(&["up", self.file.to_str().unwrap()]);
        up.wait_for("ready");
        self.up = Some(up);
        for node in ["n1", "n2"] {
            assert_eq!(self.get_from(node, "/v1/ready").status, 200);
        }
    }

    /// Asks node 2, which is not the controller's.
    pub fn get(&self, path: &str) -> Got {
        self.get_from("n2", path)
    }

    pub fn get_from(&self, node: &str, path: &str) -> Got {
        self.curl(node, path, &[])
    }

    pub fn post(&self, path: &str, body: &Value) -> Got {
        let body = body.to_string();
        self.curl("n2", path, &["-H", "content-type: application/json", "--data", &body])
    }

    /// Asks at a node's control socket.
    pub fn curl(&self, node: &str, path: &str, arguments: &[&str]) -> Got {
        let socket = self.user.home().join("jobs").join(node).join("control.sock");
        let url = format!("http://dx{path}");
        let socket = ["--unix-socket", socket.to_str().unwrap(), &url];
        curl(&[&socket, arguments].concat())
    }

    /// Submits a job, and returns its number.
    pub fn submit(&self, job: &Value) -> u64 {
        let got = self.post("/v1/jobs", job);
        assert_eq!(got.status, 201, "{got:?}");
        got.json()["job"].as_u64().unwrap()
    }

    /// A job that runs a shell's script.
    pub fn script(&self, script: &str) -> u64 {
        self.submit(&json!({ "commands": [{ "exec": ["sh", "-c", script] }] }))
    }

    /// Waits until a job is as it is wanted to be.
    pub fn wait(&self, job: u64, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut view = self.get(&format!("/v1/jobs/{job}")).json();
        // Each turn waits for a change, or for half a minute.
        for _ in 0..200 {
            if is_so(&view) {
                return view;
            }
            let version = view["version"].as_u64().unwrap();
            let got = self.get(&format!("/v1/jobs/{job}?since={version}&wait=30s"));
            assert_eq!(got.status, 200, "{got:?}");
            view = got.json();
        }
        panic!("it never is: {view}")
    }

    pub fn ended(&self, job: u64) -> Value {
        self.wait(job, |view| !view["ended"].is_null())
    }

    /// Stops all nodes in good order.
    pub fn down(&mut self) {
        let (code, _, stderr) = self.user.run(&["down", "--cluster", "jobs"]);
        assert_eq!(code, 0, "{stderr}");
        drop(self.up.take());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.user.run(&["down", "--cluster", "jobs"]);
    }
}

/// What curl gets with these arguments.
pub fn curl(arguments: &[&str]) -> Got {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60"]);
    command.args(["--write-out", "\n%{http_code} %{content_type}"]);
    let output = command.args(arguments).output().expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, end) = text.rsplit_once('\n').unwrap();
    let (status, kind) = end.split_once(' ').unwrap();
    Got { status: status.parse().unwrap(), kind: kind.to_owned(), body: body.to_owned() }
}
