//! A chat of three nodes. Whoever is away gets what was said meanwhile when they come back, as
//! messages wait for a peer that is not connected; a node that was killed and started again is
//! recognised as restarted.
//!
//! ```text
//! cargo run --example chat           three nodes in one process play a short scene
//! cargo run --example chat -- 1      node 1 of three: says what you type; so do 2 and 3 in
//!                                    other terminals. Leave with Ctrl-D or Ctrl-C
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "examples talk to people")]

use std::error::Error;
use std::io::BufRead;
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dx_transport::address::Address;
use dx_transport::credentials::Credentials;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, MeshConfig, PeerEvent};
use dx_transport::secret::ClusterSecret;
use tokio::sync::mpsc;

const NODES: [u32; 3] = [1, 2, 3];
/// Node `n` listens at this port plus `n`, on this host only.
const BASE_PORT: u32 = 7100;
/// Plain tcp proves nothing, so all nodes prove that they know this. A real cluster keeps it in
/// a file: `ClusterSecret::generate`, `save` and `load`.
const SECRET: &[u8] = b"known to all who take part in this chat";
/// Time to deliver what is left when leaving.
const GOODBYE: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let node = arguments.first().and_then(|text| text.parse().ok());
    let done = match (arguments.len(), node) {
        (0, _) => play().await,
        (1, Some(node)) if NODES.contains(&node) => take_part(node).await,
        _ => {
            eprintln!("usage: chat [1 | 2 | 3]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts `node`, whose earlier life was `stored`; `port` 0 takes any that is free.
async fn start(node: u32, port: u32, stored: u64) -> Result<Mesh, Box<dyn Error>> {
    let secret = Some(ClusterSecret::new(SECRET.to_vec())?);
    let credentials = Credentials { secret, ..Credentials::default() };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let incarnation = Incarnation::after(stored, u64::try_from(now.as_millis())?);
    let config = MeshConfig::new("chat".parse()?, NodeId(node), incarnation, credentials);
    Ok(Mesh::start(config.listen(address(port)?)).await?)
}

fn address(port: u32) -> Result<Address, Box<dyn Error>> {
    Ok(format!("tcp://127.0.0.1:{port}").parse()?)
}

/// One node of three: says to the others what is typed here, and prints what they say.
async fn take_part(node: u32) -> Result<(), Box<dyn Error>> {
    // A real node keeps its incarnation in a file, as clocks may be set back.
    let mesh = start(node, BASE_PORT + node, 0).await?;
    for other in NODES.into_iter().filter(|other| *other != node) {
        mesh.add_peer(NodeId(other), vec![address(BASE_PORT + other)?])?;
    }
    println!("* you are n{node}; type, and leave with Ctrl-D or Ctrl-C");
    let mut typed = typed_lines();
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            line = typed.recv() => match line {
                Some(line) => say(&mesh, &line),
                None => break,
            },
            batch = mesh.recv(Lane::DATA) => {
                for message in &batch {
                    println!("{}: {}", batch.peer(), String::from_utf8_lossy(&message));
                }
            }
            event = mesh.event() => tell(&mesh, &event),
            _ = &mut interrupt => break,
        }
    }
    leave(mesh).await;
    Ok(())
}

/// Lines from standard input, read by a thread of their own since that blocks.
fn typed_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut typed = std::io::stdin().lock().lines().map_while(Result::ok);
        while typed.next().is_some_and(|line| sender.blocking_send(line).is_ok()) {}
    });
    lines
}

fn say(mesh: &Mesh, line: &str) {
    for (peer, error) in mesh.broadcast_all(Lane::DATA, &Bytes::copy_from_slice(line.as_bytes())) {
        println!("* not for {peer}: {error}");
    }
}

/// Prints what `mesh` was told.
fn tell(mesh: &Mesh, event: &PeerEvent) {
    let text = match event {
        PeerEvent::Up { peer, resumed: true, transport, .. } => {
            format!("{peer} is back over {transport}")
        }
        PeerEvent::Up { peer, transport, .. } => format!("{peer} is up over {transport}"),
        PeerEvent::Down { peer, reason } => format!("{peer} is down: {reason}"),
        PeerEvent::Restarted { peer, .. } => format!("{peer} was restarted"),
        PeerEvent::GoingAway { peer } => format!("{peer} is leaving"),
        PeerEvent::Lost { peer, from, to, .. } => {
            format!("up to {} lines to or from {peer} were lost", to - from)
        }
        PeerEvent::Refused { error, .. } => error.to_string(),
        other => format!("{other:?}"),
    };
    println!("* {} sees: {text}", mesh.node());
}

async fn leave(mesh: Mesh) {
    let report = mesh.drain(GOODBYE).await;
    for left in report.unfinished.iter().filter(|left| left.queued_messages > 0) {
        println!("* {} was away and misses {} lines", left.peer, left.queued_messages);
    }
}

/// Three nodes, a few lines, one that leaves and comes back.
async fn play() -> Result<(), Box<dyn Error>> {
    let one = start(1, 0, 0).await?;
    let two = start(2, 0, 0).await?;
    let three = start(3, 0, 0).await?;
    meet(&[&one, &two, &three])?;
    line(&one, "hello, who is there?", &[&two, &three]).await;
    line(&two, "me", &[&one, &three]).await;
    line(&three, "me too, but I must go", &[&one, &two]).await;

    let Incarnation(life) = three.incarnation();
    leave(three).await;
    until_down(&one, 3).await;
    until_down(&two, 3).await;
    line(&one, "will you be back?", &[&two]).await;

    let three = start(3, 0, life).await?;
    meet(&[&three, &one, &two])?;
    hear(&three, "will you be back?").await;
    line(&three, "here I am, and I heard you", &[&one, &two]).await;

    for mesh in [three, two, one] {
        leave(mesh).await;
    }
    println!("* all have left");
    Ok(())
}

/// Tells each where the others are.
fn meet(meshes: &[&Mesh]) -> Result<(), Box<dyn Error>> {
    for mesh in meshes {
        for other in meshes.iter().filter(|other| other.node() != mesh.node()) {
            mesh.add_peer(other.node(), other.endpoints().to_vec())?;
        }
    }
    Ok(())
}

/// `speaker` says `text`, and all of `listeners` hear it.
async fn line(speaker: &Mesh, text: &str, listeners: &[&Mesh]) {
    println!("{}: {text}", speaker.node());
    say(speaker, text);
    for listener in listeners {
        hear(listener, text).await;
    }
}

async fn hear(listener: &Mesh, text: &str) {
    loop {
        tokio::select! {
            batch = listener.recv(Lane::DATA) => {
                println!("   {} heard {}", listener.node(), batch.peer());
                if batch.iter().any(|message| *message == *text.as_bytes()) {
                    return;
                }
            }
            event = listener.event() => tell(listener, &event),
        }
    }
}

async fn until_down(mesh: &Mesh, node: u32) {
    loop {
        let event = mesh.event().await;
        tell(mesh, &event);
        if matches!(event, PeerEvent::Down { peer, .. } if peer == NodeId(node)) {
            return;
        }
    }
}
