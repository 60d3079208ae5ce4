//! Joining: a machine that has nothing becomes a node, and everybody else is turned away.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "join/callers.rs"]
mod callers;
#[path = "join/places.rs"]
mod places;
#[path = "join/strangers.rs"]
mod strangers;

use std::path::Path;
use std::time::Duration;

use dx::home::Home;
use dx::join::{Bounds, Enrolment, Invitation, Joined, Token, WaitError};
use dx_transport::id::NodeId;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Two machines: one holds cluster `local`, the other has nothing.
struct Machines {
    owner: TempDir,
    joiner: TempDir,
}

impl Machines {
    fn new() -> Self {
        let machines = Self { owner: folder(), joiner: folder() };
        machines.home(&machines.owner).create(&"local".parse().unwrap()).unwrap();
        machines
    }

    #[expect(clippy::unused_self, reason = "reads as what it is: a machine's home")]
    fn home(&self, machine: &TempDir) -> Home {
        Home::at(&machine.path().join("dx"))
    }

    /// The second machine waits. Returns its token and what becomes of it.
    async fn wait(&self, bounds: Bounds) -> (Token, JoinHandle<Result<Joined, WaitError>>) {
        let home = self.home(&self.joiner);
        let invitation = Invitation::open("127.0.0.1:0", None, &home, bounds).await.unwrap();
        (invitation.token().clone(), tokio::spawn(invitation.wait()))
    }

    /// A place for node `name`, of which the first machine is to tell the second.
    fn enrolment(&self, name: &str, id: u32) -> Enrolment {
        enrolment(&self.home(&self.owner), name, id)
    }
}

fn enrolment(home: &Home, name: &str, id: u32) -> Enrolment {
    let cluster = home.open_or_create(&"local".parse().unwrap()).unwrap();
    Enrolment {
        node: cluster.node(&name.parse().unwrap()),
        id: NodeId(id),
        configuration: json!({ "agent": { "1": { "kind": "echo" } } }),
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// No pause between callers, and no patience with slow ones.
fn hasty() -> Bounds {
    let moment = Duration::from_millis(200);
    Bounds { pace: Duration::from_millis(1), proof: moment, rest: moment, ..Bounds::default() }
}

/// The token, with one part replaced.
fn altered(token: &Token, part: usize, by: &str) -> Token {
    let text = token.to_string();
    let mut parts: Vec<&str> = text.splitn(5, ':').collect();
    parts[part] = by;
    parts.join(":").parse().unwrap()
}

fn files(path: &Path) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}
