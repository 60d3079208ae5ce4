//! A network namespace without a name, held by a thread of this process.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::panic::resume_unwind;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use rustix::thread::{LinkNameSpaceType, Pid, gettid, move_into_link_name_space};

use crate::{Unavailable, sys};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace and the thread that lives in it.
///
/// The thread is the parent of all processes that are started here, because
/// the kernel ties a process's life to a thread, not to a process.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    /// Keeps the namespace alive and lets other threads in.
    door: File,
    tid: Pid,
    /// `None` only while dropping.
    jobs: Option<Sender<Job>>,
    resident: Option<JoinHandle<()>>,
}

impl Namespace {
    /// Creates an empty namespace: even its loopback is down.
    pub(crate) fn new(name: String) -> io::Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let (report, created) = channel();
        let resident = thread::Builder::new().name(name.clone()).spawn(move || {
            let namespace = create();
            let works = namespace.is_ok();
            // The creator waits for this report, so it cannot be gone.
            let _ = report.send(namespace);
            if works {
                for job in inbox {
                    job();
                }
            }
        })?;
        let (door, tid) = created.recv().expect("the thread reports before it ends")?;
        Ok(Self { name, door, tid, jobs: Some(jobs), resident: Some(resident) })
    }

    /// The thread that lives here, by which `ip` finds the namespace.
    pub(crate) fn tid(&self) -> i32 {
        self.tid.as_raw_nonzero().get()
    }

    /// The kernel's number of this namespace, as in /proc/PID/ns/net.
    pub(crate) fn id(&self) -> io::Result<u64> {
        Ok(self.door.metadata()?.ino())
    }

    /// Runs `work` on a new thread inside the namespace and waits for it.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            move_into_link_name_space(self.door.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("who created a namespace may enter it");
            work()
        };
        thread::scope(|scope| {
            thread::Builder::new()
                .name(self.name.clone())
                .spawn_scoped(scope, inside)
                .expect("the system has a thread to spare")
                .join()
                .unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Writes a setting of the network under /proc/sys, which shows each
    /// thread the values of its own namespace.
    pub(crate) fn set(&self, setting: &'static str, value: &str) -> Result<(), Unavailable> {
        self.enter(|| fs::write(setting, value)).map_err(|source| {
            let value = value.to_owned();
            Unavailable::Setting { setting, value, source }
        })
    }

    /// Runs `work`, which must not block, on the thread that lives here.
    pub(crate) fn on_resident<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (answer, result) = channel();
        let job = move || {
            // The caller waits for this answer, so it cannot be gone.
            let _ = answer.send(work());
        };
        let jobs = self.jobs.as_ref().expect("jobs are taken only while dropping");
        jobs.send(Box::new(job)).expect("the thread ends only after its jobs");
        result.recv().expect("the thread answers every job")
    }
}

/// Turns the calling thread into the first inhabitant of a new namespace.
fn create() -> io::Result<(File, Pid)> {
    sys::unshare_network()?;
    Ok((File::open("/proc/thread-self/ns/net")?, gettid()))
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(resident) = self.resident.take() {
            // A job that panicked has told its caller already.
            let _ = resident.join();
        }
    }
}
