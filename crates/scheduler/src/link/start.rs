//! Finds the shim that listens in a folder, or starts one.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::LinkConfig;
use super::process::Process;
use crate::shim::wire::{self, GREETING, WireError};
use crate::shim::{READY, SOCKET};

/// Bytes of what a shim says that does not begin.
const MAX_SAID: u64 = 4096;

/// Why there is no connection to a shim.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its program cannot be run.
    #[error("failed to start {}: {reason}", .program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// It did not begin.
    #[error("it ended with {status} before it listened: {said}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// What listens there cannot be talked to.
    #[error("failed to connect to {}: {reason}", .socket.display())]
    Connect {
        /// Where.
        socket: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// What listens there cannot be talked to. A shim of another version was ended, with all that
    /// it ran; what is no shim is left alone.
    #[error("what listens there is of no use: {0}")]
    Other(WireError),
}

/// Connects to the shim; if none listens, starts it.
///
/// # Errors
/// If that is not possible.
pub async fn connect(config: &LinkConfig) -> Result<UnixStream, StartError> {
    let socket = config.folder.join(SOCKET);
    let failed = |reason| StartError::Connect { socket: socket.clone(), reason };
    let stream = match reach(config).await {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => {
            start(config).await?;
            reach(config).await.map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    greet(stream).await.map_err(failed)?
}

async fn reach(config: &LinkConfig) -> io::Result<UnixStream> {
    let short = wire::short_path(&config.folder.join(SOCKET))?;
    UnixStream::connect(short.path()).await
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Both say who they are. A shim that stands still is waited for: when it goes on, it is to kill
/// before it does anything else.
async fn greet(mut stream: UnixStream) -> io::Result<Result<UnixStream, StartError>> {
    stream.write_all(&wire::greeting()).await?;
    let mut theirs = [0; GREETING];
    stream.read_exact(&mut theirs).await?;
    match wire::check_greeting(theirs) {
        Ok(()) => Ok(Ok(stream)),
        Err(error) => {
            let is_other = matches!(error, WireError::Version { .. });
            if is_other && let Some(shim) = Process::behind(&stream)? {
                // What it ran is killed by the next one.
                shim.kill()?;
                shim.ended().await?;
            }
            Ok(Err(StartError::Other(error)))
        }
    }
}

/// Starts a shim, and waits until it listens.
async fn start(config: &LinkConfig) -> Result<(), StartError> {
    let failed = |reason| StartError::Program { program: config.program.clone(), reason };
    let mut child = Command::new(&config.program)
        .args(&config.arguments)
        .envs(config.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take().expect("it was asked for");
    let stderr = child.stderr.take().expect("it was asked for");
    let mut line = String::new();
    // It ends early only if the shim does.
    let _ = BufReader::new(stdout.take(MAX_SAID)).read_line(&mut line).await;
    if line.trim_end() == READY {
        // From here on it is on its own. Whoever is dropped here is reaped when it ends.
        return Ok(());
    }
    let mut said = Vec::new();
    let _ = stderr.take(MAX_SAID).read_to_end(&mut said).await;
    let status = child.wait().await.map_err(failed)?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Err(StartError::Ended { status, said })
}
