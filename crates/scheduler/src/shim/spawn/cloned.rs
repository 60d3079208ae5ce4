//! By `clone3`.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::super::sys::clone::{self, Newborn};
use super::{Child, Ready};

pub fn start(ready: &Ready<'_>) -> io::Result<Child> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
    let argv = ready.argv.iter().map(|it| text(it.as_bytes())).collect::<io::Result<Vec<_>>>()?;
    let environment = ready.environment.iter().map(|(name, value)| {
        let mut pair: OsString = name.clone();
        pair.push("=");
        pair.push(value);
        text(&pair.into_vec())
    });
    let environment = environment.collect::<io::Result<Vec<_>>>()?;
    let (pid, pidfd) = clone::start(&Newborn {
        program: &text(ready.program.as_os_str().as_bytes())?,
        argv: &argv,
        environment: &environment,
        cwd: &text(ready.cwd.as_os_str().as_bytes())?,
        stdio: [ready.stdin.as_fd(), ready.stdout.as_fd(), ready.stderr().as_fd()],
        cgroup: ready.cgroup.map(AsFd::as_fd),
        descriptors: ready
            .descriptors
            .map(|it| libc::rlimit { rlim_cur: it.soft, rlim_max: it.hard }),
    })?;
    Ok(Child { pid, pidfd })
}
