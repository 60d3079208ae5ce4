//! Threads that start processes, because that waits for disks.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::end::{Fault, NotStarted};

use super::core::Start;
use super::launch::{Launched, Surroundings};
use super::wake::Wake;

/// Threads that start processes. Four: a machine that starts as fast as it can is busy with what
/// it started, and one that hangs on a disk leaves three.
pub const MAX_THREADS: usize = 4;

/// A stack is enough for a few structures of the standard library.
const STACK: usize = 256 << 10;

/// The threads. They live as long as the process: what they start has them, and not the event
/// loop, as its parents, and so is told from what was orphaned.
#[derive(Debug)]
pub struct Spawner {
    orders: Sender<Start>,
    done: Receiver<(Start, Result<Launched, NotStarted>)>,
}

impl Spawner {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system has none left.
    pub fn new(threads: usize, surroundings: &Arc<Surroundings>, wake: &Wake) -> io::Result<Self> {
        let (orders, incoming) = channel::<Start>();
        let (finished, done) = channel();
        let incoming = Arc::new(Mutex::new(incoming));
        for _ in 0..threads.clamp(1, MAX_THREADS) {
            let (incoming, finished) = (Arc::clone(&incoming), finished.clone());
            let (surroundings, wake) = (Arc::clone(surroundings), wake.clone());
            let thread = thread::Builder::new().name("spawner".to_owned()).stack_size(STACK);
            thread.spawn(move || {
                while let Some(start) = take(&incoming) {
                    let launched = launch(&surroundings, &start);
                    if finished.send((start, launched)).is_err() {
                        break;
                    }
                    wake.wake();
                }
            })?;
        }
        Ok(Self { orders, done })
    }

    /// Starts a command, some time.
    pub fn start(&self, start: Start) {
        self.orders.send(start).expect("its threads live as long as it does");
    }

    /// What has been started since.
    pub fn take(&self) -> impl Iterator<Item = (Start, Result<Launched, NotStarted>)> {
        self.done.try_iter()
    }
}

fn take(incoming: &Mutex<Receiver<Start>>) -> Option<Start> {
    incoming.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// A bug in here must not let an attempt hang forever.
fn launch(surroundings: &Surroundings, start: &Start) -> Result<Launched, NotStarted> {
    catch_unwind(AssertUnwindSafe(|| surroundings.launch(start))).unwrap_or_else(|_| {
        let reason = "the shim has a bug: starting the command panicked".to_owned();
        Err(NotStarted { fault: Fault::Node, errno: 0, reason })
    })
}
