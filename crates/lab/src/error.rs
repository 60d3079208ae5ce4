//! What can go wrong in a lab, and what a machine may be unable to do.

use std::io;
use std::process::ExitStatus;

/// Why a lab could not be built or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The machine cannot do this; nothing was changed. A test should skip.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A tool ran and refused. The lab may be half changed; drop it.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The operating system refused a step that is not a tool's.
    #[error("failed to {step}: {source}")]
    System {
        /// What was attempted.
        step: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The lab has its full number of hosts; nothing was changed.
    #[error("the lab is full: it holds at most {0} hosts")]
    Full(u16),
    /// The hosts of one call belong to different labs; nothing was changed.
    #[error("host {0} belongs to another lab")]
    Stranger(String),
    /// The loss of a shape is no fraction from 0 to 1; nothing was changed.
    #[error("loss is a fraction from 0 to 1, not {0}")]
    Loss(f64),
}

impl LabError {
    /// Names the step that an I/O error belongs to.
    pub(crate) fn step(step: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { step, source }
    }
}

/// Why this machine, or this user on it, cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The process may not create network namespaces.
    #[error(
        "network namespaces are not permitted ({0}): run as root, or under `unshare -Urn` as any user"
    )]
    NoNetworkNamespaces(io::Error),
    /// A program that the lab uses is not installed.
    #[error("`{tool}` is not installed: apt-get install -y {package}")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// Debian's package that holds it.
        package: &'static str,
    },
    /// The kernel does not have a setting that the lab needs, keeps it
    /// read-only, or does not know the value.
    #[error("the kernel refuses to set {setting} to {value}: {source}")]
    Setting {
        /// The setting's path under /proc/sys.
        setting: &'static str,
        /// The value.
        value: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel lacks a feature that a tool asked it for, or forbids it.
    #[error("the kernel refuses: {0}")]
    Refused(CommandError),
    /// Packets cannot be taken through user space, so delay and loss cannot be had.
    #[error("delay and loss need a packet socket, which the kernel refuses: {0}")]
    NoPacketSocket(io::Error),
}

/// A tool's refusal, with all that is needed to try it by hand.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` ended with {status}: {}; its input was:\n{script}", stderr.trim())]
pub struct CommandError {
    /// The command line.
    pub command: String,
    /// What the command read on its standard input.
    pub script: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub stderr: String,
}

/// What tools print when the kernel lacks a feature or forbids it, as opposed
/// to a mistake in what it was asked.
const KERNEL_REFUSALS: [&str; 4] =
    ["Operation not permitted", "not supported", "Unknown device type", "is unknown"];

impl From<CommandError> for Unavailable {
    fn from(error: CommandError) -> Self {
        Self::Refused(error)
    }
}

impl CommandError {
    /// Tells a machine that cannot from a command that is wrong.
    pub(crate) fn classify(self) -> LabError {
        if KERNEL_REFUSALS.iter().any(|refusal| self.stderr.contains(refusal)) {
            Unavailable::Refused(self).into()
        } else {
            self.into()
        }
    }
}
