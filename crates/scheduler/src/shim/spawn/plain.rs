//! By the standard library. It uses `posix_spawn` as long as nothing is asked for that needs a hook
//! in the child: with a hook it would fork, which costs time for each page that the shim has.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Child, Ready};

pub fn start(ready: &Ready<'_>) -> io::Result<Child> {
    let copy = |fd: &std::os::fd::OwnedFd| fd.try_clone().map(Stdio::from);
    let mut command = Command::new(ready.program);
    command
        .arg0(&ready.argv[0])
        .args(&ready.argv[1..])
        .env_clear()
        .envs(ready.environment)
        .current_dir(ready.cwd)
        .stdin(copy(&ready.stdin)?)
        .stdout(copy(&ready.stdout)?)
        .stderr(copy(ready.stderr())?)
        .process_group(0);
    let child = command.spawn()?;
    let pid = Pid::from_child(&child);
    // Nobody has waited for it: the number is still its own.
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    })?;
    Ok(Child { pid, pidfd })
}
