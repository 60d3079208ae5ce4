//! Other tools that run many processes, where they are installed.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::race::{SLOTS, Work};
use super::stand::{ensure_success, finish};

/// Such a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rival {
    /// `xargs -P`.
    Xargs,
    /// GNU parallel.
    Parallel,
    /// HyperQueue, with a server and a worker on this machine.
    HyperQueue,
}

/// [`SLOTS`] as a word.
const AT_A_TIME: &str = {
    assert!(SLOTS == 2, "the names in reports say so, too");
    "2"
};

impl Rival {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Xargs, Self::Parallel, Self::HyperQueue];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xargs => "xargs -P2",
            Self::Parallel => "parallel -j2",
            Self::HyperQueue => "hq",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Xargs => "xargs",
            Self::Parallel => "parallel",
            Self::HyperQueue => "hq",
        }
    }

    /// What it does of what a bare loop does, about, so that it takes about as long.
    pub fn share(self) -> f64 {
        match self {
            Self::Xargs => 0.5,
            Self::Parallel => 0.06,
            Self::HyperQueue => 0.2,
        }
    }

    /// Whether it is somewhere in `PATH`.
    pub fn is_installed(self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(self.program()).is_file())
    }

    /// Has it run `work` so many times.
    ///
    /// # Errors
    /// If it fails, or what it kept is not what should have been printed.
    pub async fn measure(self, folder: &Path, work: &Work, count: u64) -> anyhow::Result<Duration> {
        let folder = TempDir::new_in(folder).context("failed to make a folder")?;
        let arguments: &[&str] = match self {
            // No word of the command is `%`: so nothing is put into it.
            Self::Xargs => &["-P", AT_A_TIME, "-I", "%"],
            Self::Parallel => &["--will-cite", "-j", AT_A_TIME, "-N0"],
            Self::HyperQueue => return Server::start(folder).await?.measure(work, count).await,
        };
        let lines = folder.path().join("lines");
        std::fs::write(&lines, numbers(count))?;
        let began = Instant::now();
        let output = Command::new(self.program())
            .args(arguments)
            .args(work.exec)
            .stdin(File::open(&lines)?)
            .kill_on_drop(true)
            .output()
            .await?;
        let took = began.elapsed();
        ensure_success(&output)?;
        let (printed, expected) = (output.stdout.len() as u64, work.prints as u64 * count);
        ensure!(printed == expected, "{printed} bytes were printed, not {expected}");
        Ok(took)
    }
}

/// A line for each task.
fn numbers(count: u64) -> String {
    (0..count).fold(String::new(), |mut lines, number| {
        writeln!(lines, "{number}").expect("a string takes all");
        lines
    })
}

/// HyperQueue's server and worker. They end with this value.
struct Server {
    folder: TempDir,
    /// Killed when they are dropped.
    _children: Vec<Child>,
}

impl Server {
    async fn start(folder: TempDir) -> anyhow::Result<Self> {
        let mut children = Vec::new();
        let mut start = |arguments: &[&str]| -> anyhow::Result<()> {
            let mut command = hq(folder.path(), arguments);
            children.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
            Ok(())
        };
        start(&["server", "start"])?;
        finish(hq(folder.path(), &["server", "wait", "--timeout", "30s"])).await?;
        start(&["worker", "start", "--cpus", AT_A_TIME])?;
        finish(hq(folder.path(), &["worker", "wait", "1"])).await?;
        Ok(Self { folder, _children: children })
    }

    async fn measure(self, work: &Work, count: u64) -> anyhow::Result<Duration> {
        let array = format!("1-{count}");
        let submit = ["submit", "--wait", "--array", &array, "--"];
        let mut command = hq(self.folder.path(), &submit);
        command.args(work.exec);
        let began = Instant::now();
        finish(command).await?;
        Ok(began.elapsed())
    }
}

fn hq(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(Rival::HyperQueue.program());
    command.env("HQ_SERVER_DIR", folder).args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use super::super::race::OUTPUT;
    use super::*;

    #[tokio::test]
    async fn what_a_tool_kept_is_counted() {
        let folder = TempDir::new().unwrap();
        for rival in [Rival::Xargs, Rival::Parallel].into_iter().filter(|it| it.is_installed()) {
            rival.measure(folder.path(), &OUTPUT.work, 3).await.unwrap();
            let less = Work { prints: 1, ..OUTPUT.work };
            let error = rival.measure(folder.path(), &less, 3).await.unwrap_err();
            assert_eq!(error.to_string(), "30720 bytes were printed, not 3");
        }
    }
}
