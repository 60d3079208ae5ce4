//! One corosync, and how it is set.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use dx_lab::{Host, Process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

/// How a corosync is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// As Debian's package has it: no encryption, a token that may take 3 s.
    Default,
    /// With a token that is missed, and sent again, sooner.
    Tuned,
    /// So, and encrypted.
    TunedEncrypted,
}

/// A corosync that runs. Dropped, it is killed.
pub struct Daemon {
    process: Process,
    _folder: TempDir,
}

/// `corosync -f` with a `/run` of its own, where it keeps its lock.
const START: &str = "mount --bind \"$1/run\" /run && exec corosync -f -c \"$1/corosync.conf\"";

/// How long one may take to stop.
const STOP: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// What `corosync -v` says first.
pub fn version() -> Option<String> {
    let output = Command::new("corosync").arg("-v").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_once("version '")?.1.split_once('\'')?.0;
    Some(version.to_owned())
}

impl Setting {
    /// In `corosync.conf`, beside what is said of nodes.
    pub fn text(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Tuned => "token: 1000\ntoken_coefficient: 0\n",
            Self::TunedEncrypted => {
                "token: 1000\ntoken_coefficient: 0\ncrypto_cipher: aes256\ncrypto_hash: sha256\n"
            }
        }
    }
}

impl Daemon {
    /// One on each host, all of one cluster.
    pub fn start_all(setting: Setting, hosts: &[Host]) -> anyhow::Result<Vec<Self>> {
        let addresses: Vec<IpAddr> = hosts.iter().map(Host::address).collect();
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        hosts.iter().map(|host| Self::start(setting, host, &addresses, &key)).collect()
    }

    fn start(
        setting: Setting,
        host: &Host,
        addresses: &[IpAddr],
        key: &[u8],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        for name in ["run", "state"] {
            fs::create_dir(path.join(name))?;
        }
        fs::write(path.join("key"), key)?;
        fs::write(path.join("corosync.conf"), configuration(setting, addresses, path))?;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", START, "sh"]).arg(path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = host.spawn(&mut command).context("failed to start corosync")?;
        Ok(Self { process, _folder: folder })
    }
}

/// As many as `corosync-keygen` makes.
const KEY_BYTES: usize = 256;

fn configuration(setting: Setting, addresses: &[IpAddr], folder: &Path) -> String {
    let folder = folder.display();
    let mut text = format!(
        "totem {{\nversion: 2\ncluster_name: peers\ntransport: knet\nkeyfile: {folder}/key\n{}}}\n\
         system {{\nsched_rr: no\nmove_to_root_cgroup: no\nstate_dir: {folder}/state\n}}\n\
         logging {{\nto_stderr: no\nto_syslog: no\nto_logfile: yes\nlogfile: {folder}/log\n}}\n\
         nodelist {{\n",
        setting.text()
    );
    for (id, address) in (1..).zip(addresses) {
        writeln!(text, "node {{\nnodeid: {id}\nname: h{id}\nring0_addr: {address}\n}}")
            .expect("a string takes all text");
    }
    text + "}\n"
}

/// Tells all to stop, and waits until they have. Killed, they would leave behind the memory that
/// they share with clients.
pub fn stop_all(daemons: &[Daemon]) {
    let running = daemons.iter().filter_map(|daemon| {
        let pid = Pid::from_raw(daemon.process.id().cast_signed())?;
        // Its end can be waited for, with a limit, though it is not our own child's handle.
        let end = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        kill_process(pid, Signal::TERM).is_ok().then_some(end)
    });
    for end in running.collect::<Vec<_>>() {
        // What does not stop in time is killed when it is dropped.
        let _ = poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&STOP));
    }
    // Its flight recorder outlives a corosync, for whoever wants to know what it died of.
    for (daemon, part) in daemons.iter().flat_map(|it| ["data", "header"].map(|part| (it, part))) {
        let file = format!("/dev/shm/qb-corosync-{}-blackbox-{part}", daemon.process.id());
        let _ = fs::remove_file(file);
    }
}
