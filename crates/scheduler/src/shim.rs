//! The shim: the process that runs a node's tasks. It is small, has one thread that decides, and
//! survives its runner; what it starts does not survive it.
//!
//! ```text
//! link -- socket --> event loop <-> core            decides: pure
//!                      |   |  `--- spawners         start processes: wait for disks
//!                      |   `------ logs             write and read what is printed
//!                      `---------- journal          keeps ends
//! ```
//!
//! *Invariant:* the event loop waits for nothing but events.
//! *Invariant:* descriptors are never inherited by tasks, but the three that they are meant to have.

mod cgroup;
mod clock;
mod connections;
mod core;
mod ends;
mod event_loop;
mod fault;
mod launch;
mod life;
mod log_file;
mod logs;
mod notes;
mod places;
mod poller;
mod progress;
mod readers;
mod spawn;
mod spawner;
mod strays;
mod sys;
mod tasks;
mod understand;
mod usage;
mod wake;
pub mod wire;
mod work;

use std::collections::btree_map::Entry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dx_agents::NodeId;
use rustix::process::{
    Resource, Rlimit, getpid, getrlimit, set_child_subreaper, setrlimit, setsid,
};

use crate::end::{End, Finish};
use crate::id::ShimId;

use cgroup::Cgroups;
use clock::boottime;
use connections::Connections;
use ends::{Ends, EndsError};
use event_loop::{LoopError, Shim};
use launch::Surroundings;
use life::{Home, LifeError};
use logs::Logs;
use notes::note;
use places::Places;
use poller::Poller;
use progress::Watch;
use spawner::Spawner;
use tasks::Tasks;
use wake::Wake;

/// The name of the socket in the shim's folder.
pub const SOCKET: &str = "socket";

/// What it prints onto standard output when it listens.
pub const READY: &str = "ready";

/// Descriptors that a running task takes at most: its process, two pipes with two ends each while
/// it starts, input, its cgroup with what is read and written of it, a file or log.
const PER_TASK: u64 = 12;

/// Descriptors that a shim takes at most: enough for more tasks than run on any machine.
const MAX_DESCRIPTORS: u64 = 1 << 17;

/// Descriptors that the shim has for itself: sockets, files, callers, `/proc`; and what those had
/// that have just ended.
const RESERVE: u64 = 64 + tasks::MAX_GONE as u64 * PER_TASK;

/// What a shim must know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its folder, made if it is not there: the socket, ends and logs are in it.
    pub folder: PathBuf,
    /// Its node.
    pub node: NodeId,
    /// Whether attempts get cgroups where there can be some.
    pub cgroups: bool,
}

/// Why a shim ended.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// It could not begin.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// Earlier ends cannot be read.
    #[error("failed to open the ends of earlier attempts: {0}")]
    Ends(#[from] EndsError),
    /// The system refused something that it cannot do without.
    #[error("failed to {what}: {reason}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// The system's reason.
        reason: io::Error,
    },
    /// It could not go on.
    #[error(transparent)]
    Loop(#[from] LoopError),
}

/// Runs a shim. To be called on the main thread of a process of its own: orphans of tasks are
/// given to that thread.
///
/// # Errors
/// Why it did not begin, or had to end.
pub fn main_with(config: &Config) -> Result<(), ShimError> {
    // A leader of a process group cannot have a session of its own: then it stays in its parent's.
    let _ = setsid();
    set_child_subreaper(Some(getpid())).map_err(refused("become a subreaper"))?;
    let mut home = Home::take(&config.folder)?;
    let overran = home.clear();
    home.clear_progress();
    let shim = begin(config, &mut home, overran)?;
    let shim = shim(home);
    tell_ready(&config.folder).map_err(|reason| ShimError::System { what: "detach", reason })?;
    note(format_args!(
        "life {} of the shim of node {} begins",
        shim.core.shim().incarnation,
        config.node
    ));
    let result = shim.run();
    if let Err(error) = &result {
        note(format_args!("{error}"));
    }
    Ok(result?)
}

/// All that a shim has, but the home that it takes with it. `overran` says that something of the
/// life before ran past the end of its lease.
fn begin(
    config: &Config,
    home: &mut Home,
    overran: bool,
) -> Result<impl FnOnce(Home) -> Shim + use<>, ShimError> {
    let system = |what| move |reason| ShimError::System { what, reason };
    let folder = home.folder.clone();
    let way = spawn::Way::best();
    let cgroups = (config.cgroups && way.has_cgroups())
        .then(|| Cgroups::find(&format!("dx-{}", home.secret)))
        .flatten();
    home.sign(cgroups.as_ref())?;
    let wake = Wake::new().map_err(refused("make an event"))?;
    let incarnation = home.next_life()?;
    let (mut ends, mut ended) = Ends::open(&folder.join("ends"), incarnation, wake.clone())?;
    let (places, left) =
        Places::open(folder.join("tasks")).map_err(system("open the tasks' table"))?;
    for attempt in left {
        match ended.entry(attempt) {
            // Its end was on the disk, and only its place was not left.
            Entry::Occupied(_) => places.leave(attempt),
            Entry::Vacant(vacant) => {
                let finish = lost(logs::kept(&folder.join("logs"), attempt));
                ends.keep(boottime(), attempt, vacant.insert(core::Ended { finish, overran }));
            }
        }
    }
    let listener = listen(&folder.join(SOCKET)).map_err(system("listen"))?;
    let shim_id = ShimId { node: config.node, incarnation };
    let surroundings = Arc::new(Surroundings {
        node: config.node,
        environment: launch::inherited(),
        secret: home.secret.clone(),
        cgroups,
        places: Arc::new(places),
        way,
        descriptors: raise_descriptors(way),
        folder,
    });
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let poller = Arc::new(Poller::new().map_err(refused("make an epoll instance"))?);
    let spawner = Spawner::new(threads, &surroundings, &poller, &wake);
    let spawner = spawner.map_err(system("start a thread"))?;
    let logs =
        Logs::new(surroundings.folder.join("logs"), Arc::clone(&surroundings.places), wake.clone())
            .map_err(system("start a thread"))?;
    let timer = event_loop::timer().map_err(refused("make a timer"))?;
    let watch = Watch::new(surroundings.progress()).map_err(refused("watch a folder"))?;
    let tasks = Tasks::new(Arc::clone(&surroundings));
    Ok(move |home| Shim {
        core: core::Core::new(shim_id, ended, room()),
        home,
        surroundings,
        spawner,
        logs,
        ends,
        tasks,
        connections: Connections::default(),
        readers: readers::Readers::default(),
        listener,
        poller,
        timer,
        wake,
        understanding: understand::Understanding::default(),
        meter: usage::Meter::default(),
        watch,
        machine: usage::machine(),
        alarm: 0,
        next_second: 0,
        look_at: None,
        tell_at: None,
        heard_at: boottime(),
        is_over: false,
    })
}

fn refused(what: &'static str) -> impl Fn(rustix::io::Errno) -> ShimError {
    move |errno| ShimError::System { what, reason: errno.into() }
}

/// Takes as many descriptors as there may be, where tasks can be given what they would have had.
fn raise_descriptors(way: spawn::Way) -> Option<spawn::Descriptors> {
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current?, limit.maximum?);
    let raised = Rlimit { current: Some(hard.min(MAX_DESCRIPTORS).max(soft)), ..limit };
    // Only what starts processes itself can give them back the limit that they expect.
    let can = way != spawn::Way::Plain && setrlimit(Resource::Nofile, raised).is_ok();
    can.then_some(spawn::Descriptors { soft, hard })
}

/// How many commands may run at a time, by the descriptors that they need.
fn room() -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(most.saturating_sub(RESERVE) / PER_TASK).unwrap_or(usize::MAX).max(1)
}

/// The end of an attempt that ran in an earlier life, and left so much of a log.
fn lost(kept: u64) -> Finish {
    Finish {
        end: End::Lost,
        command: 0,
        exit: None,
        not_started: None,
        yielded: false,
        detached: false,
        ran: 0,
        cpu: 0,
        max_rss: 0,
        printed: kept,
        kept,
    }
}

/// Listens where nobody else does: whoever calls this holds the folder's lock.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let _ = fs::remove_file(path);
    let short = wire::short_path(path)?;
    let listener = UnixListener::bind(short.path())?;
    fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Says that it listens, and lets go of whoever started it: from here on it speaks to a file.
fn tell_ready(folder: &Path) -> io::Result<()> {
    let mut out = io::stdout();
    // Nobody may be listening.
    let _ = writeln!(out, "{READY}").and_then(|()| out.flush());
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).open(folder.join("notes"))?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&file)?;
    rustix::stdio::dup2_stderr(&file)?;
    Ok(())
}
