//! Changes of folders.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use tokio::sync::watch;

/// Bytes of notices that are read at a time.
const BUFFER: usize = 4096;

/// Changes when something in `folder` does.
///
/// # Errors
/// If the folder cannot be watched.
pub fn of(folder: &Path) -> io::Result<watch::Receiver<()>> {
    Ok(watch(vec![folder.to_owned()])?.pop().expect("there is one per folder"))
}

/// One receiver per folder, which changes when something in the folder does. A thread of its own
/// waits for that; it ends at the first change after the receivers have gone.
pub fn watch(folders: Vec<PathBuf>) -> io::Result<Vec<watch::Receiver<()>>> {
    let notices = init(CreateFlags::CLOEXEC)?;
    // A socket that is bound appears before it listens, and changes its mode after that.
    let what = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::ATTRIB | WatchFlags::MOVED_TO;
    let (mut senders, mut receivers) = (BTreeMap::new(), Vec::new());
    for folder in folders {
        let (sender, receiver) = watch::channel(());
        senders.insert(add_watch(&notices, &folder, what)?, sender);
        receivers.push(receiver);
    }
    thread::Builder::new().name("dx-watch".to_owned()).spawn(move || tell(&notices, &senders))?;
    Ok(receivers)
}

fn tell(notices: &OwnedFd, senders: &BTreeMap<i32, watch::Sender<()>>) {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut reader = Reader::new(notices, &mut buffer);
    while senders.values().any(|sender| !sender.is_closed()) {
        match reader.next() {
            Ok(event) => {
                // Where notices were lost, all look again.
                let all = event.wd() == -1;
                let changed = senders.iter().filter(|(folder, _)| all || **folder == event.wd());
                for (_, sender) in changed {
                    sender.send_replace(());
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!("failed to watch the nodes' folders: {error}");
                return;
            }
        }
    }
}
