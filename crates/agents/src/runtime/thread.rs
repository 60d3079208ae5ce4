//! Workers on threads: the shared pool's, and those of heavyweight agents.

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, JoinHandle, Thread};

use crate::event::Down;
use crate::runtime::birth::Birth;
use crate::runtime::shared::Shared;
use crate::runtime::worker::{Progress, Worker};
use crate::runtime::worker_handle::Ending;

/// Steps between two looks at whether the worker is to sleep; any number does.
const STRETCH: usize = 4096;

/// Runs `worker` on a thread of its own, bound to processor `pin` if there is one.
pub fn run(name: &str, worker: Worker, pin: Option<usize>) -> io::Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(move || {
        if let Some(processor) = pin {
            bind_to(processor);
        }
        drive(worker);
    })
}

/// Starts an agent on a thread of its own. False if its id is taken.
pub fn spawn_own(node: &Arc<Shared>, birth: Birth, pin: Option<usize>) -> bool {
    let mut worker = Worker::new(Arc::clone(node), None);
    worker.is_own = true;
    let name = format!("dx-{}", birth.id);
    let Some(resident) = birth.settle(node, worker.handle()) else { return false };
    let mailbox = Arc::clone(&resident.mailbox);
    worker.handle().order(|incoming| {
        incoming.arriving.push(resident.into());
        incoming.ending = Some(Ending::WhenDone);
    });
    match run(&name, worker, pin) {
        Ok(thread) => node.keep_thread(thread),
        Err(error) => {
            node.routes.remove(mailbox.id);
            for watcher in node.bury(mailbox.id, mailbox.close(), Down::Stopped) {
                node.tell_down(watcher, mailbox.id, Down::Stopped);
            }
            panic!("failed to start a thread for {name}: {error}");
        }
    }
    true
}

fn drive(mut worker: Worker) {
    let handle = Arc::clone(worker.handle());
    handle.wake_with(&Waker::from(Arc::new(Unpark(thread::current()))));
    loop {
        match worker.run(STRETCH) {
            Progress::Again => {}
            Progress::Ended => return,
            // Whoever left something after the worker's last look has unparked this thread: then
            // parking returns at once.
            Progress::Idle(None) => thread::park(),
            Progress::Idle(Some(at)) => thread::park_timeout(at.since(worker.clock())),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Binds this thread to a processor. Where that is not allowed the agent runs all the same.
fn bind_to(processor: usize) {
    let mut set = rustix::thread::CpuSet::new();
    if processor < rustix::thread::CpuSet::MAX_CPU {
        set.set(processor);
    }
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!("failed to bind a thread to processor {processor}: {error}");
    }
}
