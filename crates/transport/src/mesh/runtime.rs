//! Where the mesh's tasks run.

use std::future::Future;
use std::io;
use std::sync::Mutex;
use std::thread;

use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use crate::mesh::waiters::lock;

/// On which runtime a mesh does its I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// The current tokio runtime if it is a current-thread one, else a thread of its own: a mesh
    /// works best where one thread does all of its I/O.
    #[default]
    Auto,
    /// The current tokio runtime, whatever its kind. Costs no hand-over between threads.
    Current,
    /// A thread of its own, with a current-thread runtime. Costs one hand-over per wake-up, and
    /// keeps the mesh alive while the application computes.
    Dedicated,
}

/// A runtime, and the tasks that end with the mesh.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: Handle,
    /// `None` once stopped.
    tasks: Mutex<Option<JoinSet<()>>>,
    thread: Mutex<Option<Dedicated>>,
}

#[derive(Debug)]
struct Dedicated {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Runtime {
    /// Takes the current runtime, or starts a thread. Must be called within a tokio runtime,
    /// except for [`Io::Dedicated`].
    ///
    /// # Errors
    /// When the operating system gives no thread or no poller, or there is no current runtime.
    pub(crate) fn new(io: Io) -> io::Result<Self> {
        let (handle, thread) = match io.resolve() {
            Io::Dedicated | Io::Auto => {
                let (handle, dedicated) = dedicated()?;
                (handle, Some(dedicated))
            }
            Io::Current => (Handle::try_current().map_err(io::Error::other)?, None),
        };
        let tasks = Mutex::new(Some(JoinSet::new()));
        Ok(Self { handle, tasks, thread: Mutex::new(thread) })
    }

    /// Runs `task` until it is done or the runtime is stopped. `None` if it has been already.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortHandle> {
        let mut tasks = lock(&self.tasks);
        let tasks = tasks.as_mut()?;
        while tasks.try_join_next().is_some() {}
        Some(tasks.spawn_on(task, &self.handle))
    }

    /// Runs `work` there and waits for its result.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        self.spawn(async move {
            // The receiver is gone if the caller was cancelled: then nobody wants the result.
            let _ = done.send(work.await);
        })?;
        result.await.ok()
    }

    /// Aborts all tasks and waits until they are gone.
    pub(crate) async fn shutdown(&self) {
        let tasks = lock(&self.tasks).take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
    }

    /// Aborts all tasks; returns once a thread of our own has ended.
    pub(crate) fn stop(&self) {
        let tasks = lock(&self.tasks).take();
        drop(tasks);
        let Some(Dedicated { stop, thread }) = lock(&self.thread).take() else { return };
        drop(stop);
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the mesh's thread panicked");
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Io {
    fn resolve(self) -> Self {
        match (self, Handle::try_current()) {
            (Self::Auto, Ok(handle)) if handle.runtime_flavor() == RuntimeFlavor::CurrentThread => {
                Self::Current
            }
            (Self::Auto, _) => Self::Dedicated,
            (chosen, _) => chosen,
        }
    }
}

fn dedicated() -> io::Result<(Handle, Dedicated)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let run = move || {
        // Ends when the sender is dropped: it never sends.
        let _ = runtime.block_on(stopped);
        runtime.shutdown_background();
    };
    let thread = thread::Builder::new().name("dx-mesh".to_owned()).spawn(run)?;
    Ok((handle, Dedicated { stop, thread }))
}
