//! Node 2 as a program of its own, to be killed and paused: this test binary once more, told by
//! its environment to be a node.
//!
//! It sends back what comes on the data lane, and on the control lane it answers anything with a
//! [`Report`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use dx_lab::{Host, Process};
use dx_transport::codec::{decode, encode};
use dx_transport::credentials::Credentials;
use dx_transport::id::NodeId;
use dx_transport::identity::{IdentityFiles, NodeIdentity};
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, PeerEvent};
use serde::{Deserialize, Serialize};

use crate::hosts::{on_its_host, quick};
use crate::subject::{credentials, peer, soon};

/// The test at the end of this file, and the variable that makes a node of it.
const BODY: &str = "program::node_two";
const ORDERS: &str = "DX_TEST_NODE";
const MAX_REPORT: usize = 64 * 1024;

/// What the program is to be.
pub struct Program {
    pub transport: &'static str,
    pub silence: Duration,
    /// Its peers and where they are.
    pub peers: Vec<(u32, String)>,
    folder: tempfile::TempDir,
}

/// What node 2 has seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Nodes that it was told are down, in the order of the events.
    pub downs: Vec<u32>,
    /// Time that it did not run and did not hold against node 1, in microseconds.
    pub stalled_us: u64,
}

impl Program {
    pub fn new(transport: &'static str, silence: Duration, peers: Vec<(u32, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = credentials(2).identity.unwrap();
        identity.save(&IdentityFiles::in_folder(folder.path())).unwrap();
        Self { transport, silence, peers, folder }
    }

    /// Starts node 2 in its `life`th incarnation.
    pub fn start(&self, host: &Host, life: u64) -> Process {
        let folder = self.folder.path().display();
        let silence = self.silence.as_millis();
        let peers = self.peers.iter().map(|(node, address)| format!("{node} {address}"));
        let peers = peers.collect::<Vec<_>>().join(" ");
        let orders = format!("{} {life} {silence} {folder} {peers}", self.transport);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([BODY, "--exact", "--ignored", "--nocapture"]);
        command.env(ORDERS, orders).stdout(Stdio::null());
        host.spawn(&mut command).unwrap()
    }
}

/// Asks node 2 what it has seen.
pub async fn report(mesh: &Mesh) -> Report {
    peer(mesh, 2).send(Lane::CONTROL, b"report").await.unwrap();
    let answer = soon(mesh.recv(Lane::CONTROL)).await;
    decode(&answer.iter().next().unwrap()).unwrap()
}

/// Starts the node that `orders` describe; see [`Program::start`].
async fn obey(orders: &str) -> Mesh {
    let mut words = orders.split(' ');
    let mut word = || words.next().unwrap();
    let transport: &'static str = word().to_owned().leak();
    let life = word().parse().unwrap();
    let silence = Duration::from_millis(word().parse().unwrap());
    let folder = PathBuf::from(word());
    let config = on_its_host(transport).config_with(2, life, given(&folder));
    let mesh = Mesh::start(quick(config, silence)).await.unwrap();
    while let (Some(node), Some(address)) = (words.next(), words.next()) {
        mesh.add_peer(NodeId(node.parse().unwrap()), vec![address.parse().unwrap()]).unwrap();
    }
    mesh
}

/// The certificate that the tests' own authority has issued.
fn given(folder: &Path) -> Credentials {
    let identity = NodeIdentity::load(&IdentityFiles::in_folder(folder)).unwrap();
    Credentials { identity: Some(identity), ..credentials(2) }
}

async fn watch(mesh: &Mesh, seen: &Mutex<Report>) {
    loop {
        if let PeerEvent::Down { peer, .. } = mesh.event().await {
            seen.lock().unwrap().downs.push(peer.0);
        }
    }
}

async fn echo(mesh: &Mesh) {
    loop {
        let batch = mesh.recv(Lane::DATA).await;
        for message in &batch {
            peer(mesh, batch.peer().0).send_bytes(Lane::DATA, message.to_bytes()).await.unwrap();
        }
    }
}

async fn answer(mesh: &Mesh, seen: &Mutex<Report>) {
    loop {
        let asker = mesh.recv(Lane::CONTROL).await.peer().0;
        let stalled_us = peer(mesh, 1).status().stalled_us;
        let bytes = {
            let mut seen = seen.lock().unwrap();
            seen.stalled_us = stalled_us;
            encode(&*seen, MAX_REPORT).unwrap()
        };
        peer(mesh, asker).send(Lane::CONTROL, &bytes).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "it is the program that other tests start"]
async fn node_two() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let mesh = obey(&orders).await;
    let seen = Mutex::default();
    tokio::join!(watch(&mesh, &seen), echo(&mesh), answer(&mesh, &seen));
}
