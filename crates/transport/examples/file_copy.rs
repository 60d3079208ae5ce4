//! Copies a file over the bulk lane while pings run on the control lane of the same link. The
//! copy fills the link, and the pings pass it: control goes first. Both nodes live in this
//! process and talk over tls, with certificates of an authority made for the occasion. What
//! arrives is checked against the hash of what was sent, and only then put in its place.
//!
//! ```text
//! cargo run --release --example file_copy              copies 64 MiB that it makes up
//! cargo run --release --example file_copy -- FROM TO   copies a file
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "examples talk to people")]

use std::error::Error;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dx_transport::credentials::Credentials;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::identity::Authority;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, MeshConfig, Peer};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::task::block_in_place;
use tokio::time::MissedTickBehavior;

/// Bytes of one message of the bulk lane.
const CHUNK: usize = 256 * 1024;
/// Bytes of the file that is made up.
const MADE_UP: u64 = 64 * 1024 * 1024;
/// How long the idle link is pinged, to compare with.
const IDLE: Duration = Duration::from_millis(300);
/// A ping starts this long after the one before, or once that is back.
const PACE: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_hours(24);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let work = async {
        match &arguments[..] {
            [from, to] => copy(from, to).await,
            _ => copy_what_is_made_up().await,
        }
    };
    if !matches!(arguments.len(), 0 | 2) {
        eprintln!("usage: file_copy [FROM TO]");
        return ExitCode::from(2);
    }
    let done = tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted: nothing was copied".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("file_copy: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn copy_what_is_made_up() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let from = folder.path().join("original");
    let bytes: Vec<u8> = (0..MADE_UP).map(|index| (index ^ (index >> 12)) as u8).collect();
    block_in_place(|| std::fs::write(&from, bytes))?;
    copy(&from, &folder.path().join("copy")).await
}

/// Copies from node 1 to node 2, which answers the pings of node 1 meanwhile.
async fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let file = File::open(from).map_err(|error| format!("{}: {error}", from.display()))?;
    let arriving = Arriving::at(to)?;
    let authority = Authority::create()?;
    let one = start(1, &authority).await?;
    let two = Arc::new(start(2, &authority).await?);
    let to_two = one.add_peer(two.node(), two.endpoints().to_vec())?;
    let to_one = two.add_peer(one.node(), Vec::new())?;
    tokio::spawn(echo(two.clone(), to_one));

    // The first one waits for the connection.
    ping(&one, &to_two).await?;
    let ((), idle) = ping_during(tokio::time::sleep(IDLE), &one, &to_two).await?;
    report("idle", idle);
    let begin = Instant::now();
    let sending = tokio::spawn(send(file, to_two.clone()));
    let receiving = tokio::spawn(receive(two.clone(), arriving));
    let copying = async { tokio::try_join!(sending, receiving) };
    let (done, during) = ping_during(copying, &one, &to_two).await?;
    let (sent, received) = done?;
    sent?;
    let bytes = received?;
    report("during the copy", during);
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{bytes} bytes in {seconds:.2} s: {:.0} MB/s, hash checked",
        bytes as f64 / 1e6 / seconds
    );
    one.drain(Duration::from_secs(1)).await;
    Ok(())
}

async fn start(node: u32, authority: &Authority) -> Result<Mesh, Failure> {
    let identity = Some(authority.issue(NodeId(node), DAY)?);
    let credentials = Credentials { identity, ..Credentials::default() };
    let config = MeshConfig::new("copy".parse()?, NodeId(node), Incarnation(1), credentials);
    Ok(Mesh::start(config.listen("tls://127.0.0.1:0".parse()?)).await?)
}

/// Sends the file's length, its bytes, and their hash.
async fn send(mut file: File, to: Peer) -> Result<(), Failure> {
    let length = file.metadata()?.len();
    to.send(Lane::BULK, &length.to_le_bytes()).await?;
    let mut hash = Sha256::new();
    let mut left = length;
    while left > 0 {
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        block_in_place(|| file.read_exact(&mut chunk))?;
        hash.update(&chunk);
        left -= chunk.len() as u64;
        // Waits while the lane is full: no more lies in memory than its bounds allow.
        to.send_bytes(Lane::BULK, chunk.into()).await?;
    }
    Ok(to.send_bytes(Lane::BULK, Bytes::copy_from_slice(&hash.finalize())).await?)
}

/// Receives one file; returns its length.
async fn receive(mesh: Arc<Mesh>, mut arriving: Arriving) -> Result<u64, Failure> {
    loop {
        let batch = mesh.recv(Lane::BULK).await;
        for message in &batch {
            if block_in_place(|| arriving.take(&message))? {
                return arriving.finish();
            }
        }
    }
}

/// A file on its way. It is a temporary one until all is there.
struct Arriving {
    file: NamedTempFile,
    to: PathBuf,
    hash: Sha256,
    length: Option<u64>,
    written: u64,
}

impl Arriving {
    fn at(to: &Path) -> Result<Self, Failure> {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .map_err(|error| format!("cannot write beside {}: {error}", to.display()))?;
        Ok(Self { file, to: to.to_owned(), hash: Sha256::new(), length: None, written: 0 })
    }

    /// Takes the next message; returns whether it was the last.
    fn take(&mut self, message: &[u8]) -> Result<bool, Failure> {
        match self.length {
            None => self.length = Some(u64::from_le_bytes(message.try_into()?)),
            Some(length) if self.written < length => {
                self.file.write_all(message)?;
                self.hash.update(message);
                self.written += message.len() as u64;
                progress(self.written, length);
            }
            Some(_) if *message == *self.hash.finalize_reset() => return Ok(true),
            Some(_) => return Err("the copy's hash is not the original's".into()),
        }
        Ok(false)
    }

    /// Puts the file in its place.
    fn finish(self) -> Result<u64, Failure> {
        self.file.persist(&self.to)?;
        Ok(self.written)
    }
}

/// Shows people how far it is, in whole percents.
fn progress(written: u64, length: u64) {
    let percent = |bytes: u64| bytes.saturating_mul(100) / length;
    let is_news = percent(written) > percent(written.saturating_sub(CHUNK as u64));
    if is_news && std::io::stderr().is_terminal() {
        let end = if written == length { "\r          \r" } else { "" };
        eprint!("\r{:3} % {end}", percent(written));
    }
}

/// Sends every ping back.
async fn echo(mesh: Arc<Mesh>, to: Peer) {
    loop {
        for message in &mesh.recv(Lane::CONTROL).await {
            if to.send(Lane::CONTROL, &message).await.is_err() {
                return;
            }
        }
    }
}

async fn ping(mesh: &Mesh, peer: &Peer) -> Result<(), Failure> {
    peer.send(Lane::CONTROL, b"ping").await?;
    mesh.recv(Lane::CONTROL).await;
    Ok(())
}

/// Pings until `work` is done; returns what came of it, and how long each ping took.
async fn ping_during<T>(
    work: impl Future<Output = T>,
    mesh: &Mesh,
    peer: &Peer,
) -> Result<(T, Vec<Duration>), Failure> {
    let mut work = pin!(work);
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Vec::new();
    loop {
        pace.tick().await;
        let begin = Instant::now();
        tokio::select! {
            done = &mut work => return Ok((done, times)),
            back = ping(mesh, peer) => back?,
        }
        times.push(begin.elapsed());
    }
}

fn report(when: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let micros = |percent: usize| match times.get(times.len() * percent / 100) {
        Some(time) => format!("{} us", time.as_micros()),
        None => "-".to_owned(),
    };
    println!("{} pings {when}: p50 {}, p99 {}", times.len(), micros(50), micros(99));
}
