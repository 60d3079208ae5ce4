//! Whether a node's folder is still there. One whose folder is gone can keep nothing, nobody finds
//! its control socket, and another process could begin as the same node.

use std::future::pending;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::watch;

use crate::home::Running;

/// What is said of a node that ends for this.
const GONE: &str = "its folder was removed, or the lock in it: nobody could find it there any more";

/// What becomes of entries of the folder, and of itself.
const CHANGES: WatchFlags = WatchFlags::DELETE
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Room for some events, each with a name of at most 255 bytes: more come in the next turn.
const EVENTS: usize = 4096;

/// Ready, with the reason to end, when the folder of `running` is not there any more. Where it cannot
/// be watched, as when this user watches too much, that is told once, and its end is not noticed.
pub async fn gone(running: &Running) -> String {
    match Changes::of(running.node.path()) {
        Ok(mut changes) => {
            while running.is_in_place() {
                changes.next().await;
            }
        }
        // Nothing of it was left to be watched.
        Err(_) if !running.is_in_place() => {}
        Err(error) => {
            tracing::warn!(%error, "the node's folder cannot be watched: removed, it is not missed");
            pending::<()>().await;
        }
    }
    GONE.to_owned()
}

/// Changes of a folder, seen by a thread that waits for them. It ends with this value.
struct Changes {
    seen: watch::Receiver<()>,
    /// Closed when this is dropped, which the thread sees.
    _end: OwnedFd,
}

impl Changes {
    fn of(folder: &Path) -> io::Result<Self> {
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&changes, folder, CHANGES)?;
        let (ended, end) = pipe_with(PipeFlags::CLOEXEC)?;
        let (see, seen) = watch::channel(());
        let thread = thread::Builder::new().name("folder".to_owned());
        thread.spawn(move || while wait(&changes, &ended) && see.send(()).is_ok() {})?;
        Ok(Self { seen, _end: end })
    }

    /// Waits for the next ones.
    async fn next(&mut self) {
        if self.seen.changed().await.is_err() {
            // Nobody looks any more, which is told by nobody either: the system had no memory.
            pending::<()>().await;
        }
    }
}

/// Waits for changes, and takes them. False at the end.
fn wait(changes: &OwnedFd, ended: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(changes, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
    match poll(&mut fds, None) {
        Ok(_) if !fds[1].revents().is_empty() => false,
        Ok(_) => {
            let mut buffer = [MaybeUninit::uninit(); EVENTS];
            let mut events = Reader::new(changes, &mut buffer);
            // Which ones does not matter: whoever waits looks for itself.
            while events.next().is_ok() {}
            true
        }
        Err(error) => error == Errno::INTR,
    }
}
