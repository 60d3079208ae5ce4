//! A cluster of one node, as a user has it: started, asked and stopped by this program.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, ensure};
use dx_transport::id::ClusterId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::race::SLOTS;
use crate::control::Client;
use crate::home::Home;
use crate::jobs::Service;
use crate::ring::ports;

/// The cluster. It is stopped when it is dropped, if it was not [ended](Self::end).
pub struct Stand {
    /// Where all of it is: removed at the end.
    folder: TempDir,
    is_up: bool,
}

/// The cluster's name.
const CLUSTER: &str = "bench";

impl Stand {
    /// Starts it in a folder of its own under `folder`.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut stand = Self::prepared(folder, &cluster(ports::free(1)?[0]))?;
        stand.up().await?;
        Ok(stand)
    }

    /// One of which nothing runs: with this cluster file, in a folder of its own under `folder`.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn prepared(folder: &Path, file: &str) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(folder).context("failed to make a folder for the node")?;
        let stand = Self { folder, is_up: false };
        std::fs::write(stand.file(), file)?;
        Ok(stand)
    }

    /// Starts its node, which does not run.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn up(&mut self) -> anyhow::Result<()> {
        // From now on something may run.
        self.is_up = true;
        self.start_again().await.context("failed to start a node")
    }

    /// Starts its node, which ran before.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_again(&self) -> anyhow::Result<()> {
        let mut command = self.command()?;
        command.arg("up").arg(self.file()).arg("--detach");
        Starting::begin(command)?.end().await
    }

    /// This program, for a user who has only this cluster.
    ///
    /// # Errors
    /// If it is not found any more.
    pub fn command(&self) -> anyhow::Result<Command> {
        Ok(self.plain_command()?.into())
    }

    fn plain_command(&self) -> anyhow::Result<std::process::Command> {
        let program = std::env::current_exe().context("failed to find this program's own file")?;
        let mut command = std::process::Command::new(program);
        for (variable, _) in std::env::vars_os() {
            // They configure dx, and this cluster has its own configuration.
            if variable.to_string_lossy().starts_with("DX_") {
                command.env_remove(variable);
            }
        }
        command.env("XDG_STATE_HOME", self.folder.path());
        command.env("XDG_CONFIG_HOME", self.folder.path()).stdin(Stdio::null());
        Ok(command)
    }

    /// Its node's control socket.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::any(&self.home(), &name()).await?)
    }

    /// Its job service.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn service(&self) -> anyhow::Result<Service> {
        Ok(Service::new(self.home(), self.client().await?))
    }

    /// Stops it.
    ///
    /// # Errors
    /// If the node does not stop in good order.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let mut down = self.command()?;
        down.args(DOWN);
        finish(down).await.context("failed to stop a node")?;
        self.is_up = false;
        Ok(())
    }

    /// Where its nodes keep what they know.
    pub fn home(&self) -> Home {
        Home::at(&self.folder.path().join("dx"))
    }

    /// Its cluster file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("bench.toml")
    }
}

/// What stops it.
const DOWN: [&str; 3] = ["down", "--cluster", CLUSTER];

impl Drop for Stand {
    /// Nobody waits for it any more, as after Ctrl-C: it must not be left running.
    fn drop(&mut self) {
        if self.is_up
            && let Ok(mut command) = self.plain_command()
        {
            // A signal to the group that ended this must not end what cleans up after it.
            command.process_group(0);
            // Nobody is there to be told if it fails.
            drop(command.args(DOWN).stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
    }
}

/// The command that starts a node. Killed while it does so, it could leave one that nobody knows
/// of: so it is out of reach of whatever ends this program, and dropped, it is waited for.
struct Starting(Child);

impl Starting {
    fn begin(mut command: Command) -> anyhow::Result<Self> {
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(Self(command.spawn()?))
    }

    async fn end(mut self) -> anyhow::Result<()> {
        let mut stderr = Vec::new();
        if let Some(mut said) = self.0.stderr.take() {
            said.read_to_end(&mut stderr).await?;
        }
        let status = self.0.wait().await?;
        ensure_success(&Output { status, stdout: Vec::new(), stderr })
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        // It has a number until it was waited for.
        let number = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let Some(Ok(process)) = number.map(|it| pidfd_open(it, PidfdFlags::empty())) else {
            return;
        };
        // It ends by itself, whether the node starts or not.
        while poll(&mut [PollFd::new(&process, PollFlags::IN)], None) == Err(Errno::INTR) {}
    }
}

/// The cluster's name.
pub fn name() -> ClusterId {
    CLUSTER.parse().expect("a fixed name")
}

fn cluster(port: u16) -> String {
    format!(
        r#"[cluster]
name = "{CLUSTER}"
transport = "tls"

[node.n1]
id = 1
address = "127.0.0.1:{port}"
roles = ["controller", "runner"]
offer = {{ cpus = {SLOTS} }}
"#
    )
}

/// Waits for the end of a command that should succeed.
///
/// # Errors
/// If it does not, with what it said last.
pub async fn finish(mut command: Command) -> anyhow::Result<()> {
    ensure_success(&command.kill_on_drop(true).output().await?)
}

/// A command succeeded.
///
/// # Errors
/// If it did not, with what it said last.
pub fn ensure_success(output: &Output) -> anyhow::Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.trim_end().lines().last().unwrap_or("it said nothing");
    ensure!(output.status.success(), "{}: {why}", output.status);
    Ok(())
}
