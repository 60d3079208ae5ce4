//! The programs that speak to the kernel's network for us: ip, tc and nft.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

use crate::namespace::Namespace;
use crate::{CommandError, LabError, Unavailable};

/// A program that reads a script of its own commands on standard input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tool {
    /// Interfaces, addresses, routes; IPv4 where a line does not say.
    Ip,
    /// The same, IPv6 where a line does not say.
    Ip6,
    /// Rates.
    Tc,
    /// Cuts, and the choice of packets for the shaper.
    Nft,
}

impl Tool {
    fn program(self) -> &'static str {
        match self {
            Self::Ip | Self::Ip6 => "ip",
            Self::Tc => "tc",
            Self::Nft => "nft",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Ip | Self::Tc => &["-batch", "-"],
            Self::Ip6 => &["-6", "-batch", "-"],
            Self::Nft => &["-f", "-"],
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Ip | Self::Ip6 | Self::Tc => "iproute2",
            Self::Nft => "nftables",
        }
    }

    /// Has the tool carry out `script` inside `namespace`; returns what it prints.
    pub(crate) fn run(self, namespace: &Namespace, script: &str) -> Result<String, LabError> {
        let output = namespace.enter(|| self.feed(script)).map_err(|source| self.lost(source))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let error = CommandError {
            command: format!("{} {}", self.program(), self.arguments().join(" ")),
            script: script.to_owned(),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        Err(error.classify())
    }

    fn feed(self, script: &str) -> io::Result<Output> {
        let mut child = Command::new(self.program())
            .args(self.arguments())
            .env("PATH", search_path())
            .env("LC_ALL", "C") // errors are classified by their English words
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("stdin was piped");
        // A tool that stops reading says why on stderr, which is read below.
        let _ = stdin.write_all(script.as_bytes());
        drop(stdin);
        child.wait_with_output()
    }

    fn lost(self, source: io::Error) -> LabError {
        if source.kind() == io::ErrorKind::NotFound {
            Unavailable::MissingTool { tool: self.program(), package: self.package() }.into()
        } else {
            LabError::System { step: "run a network tool", source }
        }
    }
}

/// The caller's PATH and the places where Debian keeps these tools, which are
/// not in the PATH of ordinary users.
fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let error = Tool::Nft.lost(io::ErrorKind::NotFound.into());
        assert_eq!(error.to_string(), "`nft` is not installed: apt-get install -y nftables");
        assert!(matches!(error, LabError::Unavailable(_)));
    }

    #[test]
    fn a_kernel_that_cannot_is_told_from_a_command_that_is_wrong() {
        let says = |stderr: &str| CommandError {
            command: "ip -batch -".to_owned(),
            script: "link add".to_owned(),
            status: ExitStatus::from_raw(256),
            stderr: stderr.to_owned(),
        };
        let cannot = says("RTNETLINK answers: Operation not supported\n").classify();
        assert!(matches!(cannot, LabError::Unavailable(_)), "{cannot}");
        let wrong = says("Cannot find device \"eth7\"\n").classify();
        assert_eq!(
            wrong.to_string(),
            "`ip -batch -` ended with exit status: 1: Cannot find device \"eth7\"; \
             its input was:\nlink add"
        );
    }
}
