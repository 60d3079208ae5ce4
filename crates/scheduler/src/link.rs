//! The link between a runner and its node's shim: it finds or starts the shim, carries calls to it
//! and back what it tells, and does so again when the shim or the way to it is gone.
//!
//! ```text
//! Runner -- Call --> Port == Link -- socket --> shim
//!        <- Told --
//! ```
//!
//! *Invariant:* whoever does not take what is meant for it holds up its own side only: a full runner
//! the shim's stories, a full shim the runner's calls.

mod process;
mod start;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use dx_agents::runtime::{Heard, Port};
use dx_agents::{AgentId, RefusedBecause};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::message::RunnerMessage;
use crate::processor::{Call, Told};
use crate::shim::wire::{self, Inbound, WireError};

use process::Process;
pub use start::StartError;

/// Bytes of calls that wait for the shim, after which no more are taken from the runner.
const MAX_OUT: usize = 8 << 20;

/// The most of what the shim told that is one message: what a runner has room for counts messages.
const MAX_AT_ONCE: usize = 256;

/// How long a runner without room is left alone, if it does not say earlier that it has some.
const NO_ROOM: Duration = Duration::from_millis(20);

/// Between two tries to start a shim: from the first, doubling, to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// What a link must know.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The shim's folder.
    pub folder: PathBuf,
    /// The program that is the shim.
    pub program: PathBuf,
    /// What makes it the shim of this node in this folder.
    pub arguments: Vec<OsString>,
    /// What it finds in its environment beside what is there.
    pub environment: Vec<(OsString, OsString)>,
    /// The runner.
    pub runner: AgentId,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The shim closed it, or is dead.
    #[error("the shim hung up")]
    HungUp,
    /// The way to it is broken.
    #[error("failed to talk to the shim: {0}")]
    Io(#[from] io::Error),
    /// What it says makes no sense.
    #[error("the shim cannot be understood: {0}")]
    Wire(#[from] WireError),
    /// There is none.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Connects `port` and the shim until `ending` is true. Then the shim ends all that it runs, tells
/// of it, and ends itself; this returns when its process is gone, if that does not take too long.
pub async fn run(port: Port, config: LinkConfig, mut ending: watch::Receiver<bool>) {
    port.monitor(config.runner);
    let mut pause = PAUSES.0;
    loop {
        let ended = match start::connect(&config).await {
            Ok(stream) => {
                pause = PAUSES.0;
                serve(&port, &config, stream, &mut ending).await
            }
            Err(error) => {
                pause = (pause * 2).min(PAUSES.1);
                error.into()
            }
        };
        if *ending.borrow() {
            return;
        }
        tracing::warn!("the shim in {}: {ended}", config.folder.display());
        // After a shim's death another is wanted at once; only failure to start one slows down.
        if matches!(ended, LinkError::Start(_)) {
            tokio::select! {
                () = sleep(pause) => {}
                () = asked_to_end(&mut ending) => return,
            }
        }
    }
}

/// Ready when the link is to end.
async fn asked_to_end(ending: &mut watch::Receiver<bool>) {
    if ending.wait_for(|is_ending| *is_ending).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
}

/// Is of use until the way is broken. The shim that was asked to end is waited for.
async fn serve(
    port: &Port,
    config: &LinkConfig,
    stream: UnixStream,
    ending: &mut watch::Receiver<bool>,
) -> LinkError {
    let shim = Process::behind(&stream);
    let ended = relay(port, config.runner, stream, ending).await;
    // What it did not come to read makes its end look like a broken way.
    let is_last = *ending.borrow() && matches!(ended, LinkError::HungUp | LinkError::Io(_));
    if is_last && let Err(error) = gone(shim).await {
        tracing::warn!("the shim in {} may go on: {error}", config.folder.display());
    }
    ended
}

/// Ready when a process has ended, if there was one.
async fn gone(process: io::Result<Option<Process>>) -> io::Result<()> {
    match process? {
        Some(process) => process.ended().await,
        None => Ok(()),
    }
}

/// Carries everything, both ways, until it cannot.
async fn relay(
    port: &Port,
    runner: AgentId,
    mut stream: UnixStream,
    ending: &mut watch::Receiver<bool>,
) -> LinkError {
    let (mut from_shim, mut to_shim) = stream.split();
    let mut inbound = Inbound::greeted_already();
    let mut out: Vec<u8> = Vec::new();
    let mut bytes = vec![0; 64 << 10];
    let mut untold = VecDeque::new();
    let mut is_ending = false;
    loop {
        if let Err(error) = take(&mut inbound, &mut untold) {
            return error.into();
        }
        deliver(port, runner, &mut untold);
        tokio::select! {
            heard = port.recv(), if out.len() < MAX_OUT => hear(heard, runner, &mut out),
            read = from_shim.read(&mut bytes), if untold.is_empty() => match read {
                Ok(0) => return LinkError::HungUp,
                Ok(len) => inbound.push(&bytes[..len]),
                Err(error) => return error.into(),
            },
            written = to_shim.write(&out), if !out.is_empty() => match written {
                Ok(len) => drop(out.drain(..len)),
                Err(error) => return error.into(),
            },
            () = sleep(NO_ROOM), if !untold.is_empty() => {}
            () = asked_to_end(ending), if !is_ending => {
                is_ending = true;
                wire::put_call(Call::Stop, &mut out);
            }
        }
    }
}

/// A call of the runner, or the news that it is another.
fn hear(heard: Heard, runner: AgentId, out: &mut Vec<u8>) {
    match heard {
        Heard::Message(message) if message.from() == runner => match message.open::<Call>() {
            Ok(call) => wire::put_call(call, out),
            Err(error) => tracing::warn!("the runner's call cannot be understood: {error}"),
        },
        // What the shim told the one before may be lost with it: all that is kept is told again.
        Heard::Down(who, _) if who == runner => wire::put_call(Call::Hello, out),
        Heard::Message(_) | Heard::Down(..) | Heard::Refused(_) | Heard::Writable(_) => {}
    }
}

/// What the shim told at once is one message, so that the runner says at once what comes of it. But
/// for a beat, which is urgent. As nothing is read while anything is untold, that is what one read
/// has brought.
fn take(inbound: &mut Inbound, untold: &mut VecDeque<Vec<Told>>) -> Result<(), WireError> {
    let is_beat = |told: &Told| matches!(told, Told::Beat { .. });
    while let Some(told) = inbound.take_frame()? {
        match untold.back_mut() {
            Some(last)
                if last.len() < MAX_AT_ONCE
                    && !is_beat(&told)
                    && !last.last().is_some_and(is_beat) =>
            {
                last.push(told);
            }
            _ => untold.push_back(vec![told]),
        }
    }
    Ok(())
}

/// Gives the runner what the shim told, up to what it has no room for.
fn deliver(port: &Port, runner: AgentId, untold: &mut VecDeque<Vec<Told>>) {
    while let Some(told) = untold.front() {
        let sent = port.send(runner, RunnerMessage::Processor(told.clone()));
        if sent == Err(RefusedBecause::Full) {
            return;
        }
        // If there is no runner now, the next one is told all that is kept.
        untold.pop_front();
    }
}
