//! One end of a pair, placed like every other: an OS thread with a runtime of its own.
//!
//! Two ends in one runtime would take turns on one core, which halves a round trip and says
//! nothing about two machines. Floors and dx are placed alike, so their ratio means something.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A thread that drives a current-thread runtime until it is dropped, and where to find it.
pub struct End {
    address: IpAddr,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl End {
    /// Starts the thread, on a host that others reach at `address`. The thread belongs to the
    /// network namespace of the one that calls.
    ///
    /// # Errors
    /// If the operating system gives no thread or no event queue.
    pub fn start_at(name: &str, address: IpAddr) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // An error means that the other half was dropped, which is an order to stop as well.
            runtime.block_on(stopped).unwrap_or(());
        })?;
        Ok(Self { address, handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Starts the thread, for connections within this host.
    ///
    /// # Errors
    /// As [`Self::start_at`].
    pub fn start(name: &str) -> io::Result<Self> {
        Self::start_at(name, Ipv4Addr::LOCALHOST.into())
    }

    /// The address at which the other end finds this one.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Two ends within this host.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn pair() -> io::Result<(Self, Self)> {
        Ok((Self::start("bench-a")?, Self::start("bench-b")?))
    }

    /// Runs `task` on this end's thread. It is cancelled if the handle is dropped or aborted.
    pub fn spawn<F>(&self, task: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task(self.handle.spawn(task))
    }
}

impl Drop for End {
    /// Cancels what still runs here, and waits for the thread.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// A task on an [`End`]; dropping it cancels it.
pub struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Its result.
    ///
    /// # Panics
    /// If the task did.
    pub async fn join(mut self) -> T {
        match (&mut self.0).await {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => panic!("a task that nobody cancelled ended: {error}"),
            },
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_ends_are_two_threads() {
        let (a, b) = End::pair().unwrap();
        let id = || async { thread::current().id() };
        let (a, b) = (a.spawn(id()).join().await, b.spawn(id()).join().await);
        assert_ne!(a, b);
        assert_ne!(a, thread::current().id());
    }

    #[tokio::test]
    async fn dropping_an_end_cancels_its_tasks() {
        let end = End::start("bench-test").unwrap();
        let (guard, cancelled) = oneshot::channel::<()>();
        let task = end.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        drop(end);
        assert!(cancelled.await.is_err());
        drop(task);
    }
}
