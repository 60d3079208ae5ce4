//! Threads that start processes, because that waits for disks.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use crate::end::{Fault, NotStarted};

use rustix::event::epoll::EventFlags;

use super::clock::boottime;
use super::core::Start;
use super::launch::{Launched, Surroundings};
use super::poller::{Poller, Token};
use super::sys;
use super::wake::Wake;

/// Threads that start processes. Four: a machine that starts as fast as it can is busy with what
/// it started, and one that hangs on a disk leaves three.
pub const MAX_THREADS: usize = 4;

/// A stack is enough for a few structures of the standard library.
const STACK: usize = 256 << 10;

/// A command to start. Its end is heard of under this number.
#[derive(Debug)]
struct Order {
    slot: u64,
    start: Start,
}

/// A command that was started, or could not be.
#[derive(Debug)]
pub struct Started {
    /// The number under which its end is heard of.
    pub slot: u64,
    /// What was to be started.
    pub start: Start,
    /// When that was done.
    pub at: u64,
    /// What there is now.
    pub launched: Result<Launched, NotStarted>,
}

/// The threads. They live as long as the process: what they start has them, and not the event
/// loop, as its parents, and so is told from what was orphaned.
#[derive(Debug)]
pub struct Spawner {
    orders: Arc<Orders>,
    done: Receiver<Started>,
    /// Commands that are being started, or were and have not been taken.
    pending: usize,
    /// Whether the event loop is to be woken as soon as one has started, and not by its end only.
    is_awaited: Arc<AtomicBool>,
}

/// What no thread has taken yet: at most as many as the core has rooms for. Each order wakes one
/// thread that has nothing to do: a queue of the standard library has one reader, and threads that
/// share it wake each other to take turns.
#[derive(Debug, Default)]
struct Orders {
    waiting: Mutex<VecDeque<Order>>,
    has_come: Condvar,
}

/// What a thread has.
struct Worker {
    orders: Arc<Orders>,
    finished: Sender<Started>,
    surroundings: Arc<Surroundings>,
    poller: Arc<Poller>,
    wake: Wake,
    is_awaited: Arc<AtomicBool>,
}

impl Spawner {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system has none left.
    pub fn new(
        threads: usize,
        surroundings: &Arc<Surroundings>,
        poller: &Arc<Poller>,
        wake: &Wake,
    ) -> io::Result<Self> {
        let orders = Arc::new(Orders::default());
        let (finished, done) = channel();
        let is_awaited = Arc::new(AtomicBool::new(false));
        for _ in 0..threads.clamp(1, MAX_THREADS) {
            let worker = Worker {
                orders: Arc::clone(&orders),
                finished: finished.clone(),
                surroundings: Arc::clone(surroundings),
                poller: Arc::clone(poller),
                wake: wake.clone(),
                is_awaited: Arc::clone(&is_awaited),
            };
            let thread = thread::Builder::new().name("spawner".to_owned()).stack_size(STACK);
            thread.spawn(move || worker.run())?;
        }
        Ok(Self { orders, done, pending: 0, is_awaited })
    }

    /// Starts a command, some time. Unless the next is waited for, nobody is woken when it has
    /// started, but when it has ended, and if it could not be started.
    pub fn start(&mut self, slot: u64, start: Start) {
        self.pending += 1;
        self.orders.put(Order { slot, start });
    }

    /// What has been started since.
    pub fn take(&mut self) -> Vec<Started> {
        let started: Vec<Started> = self.done.try_iter().collect();
        self.pending -= started.len();
        started
    }

    /// Whether something is being started.
    pub fn is_busy(&self) -> bool {
        self.pending > 0
    }

    /// The event loop is woken by the next that has started, if it is not to be taken already.
    pub fn wake_at_next(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
    }
}

impl Orders {
    fn put(&self, order: Order) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(order);
        self.has_come.notify_one();
    }

    fn take(&self) -> Order {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_empty = |waiting: &mut VecDeque<Order>| waiting.is_empty();
        let mut waiting =
            self.has_come.wait_while(waiting, is_empty).unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front().expect("it is not empty")
    }
}

impl Worker {
    fn run(self) {
        sys::turn::be_short();
        loop {
            let Order { slot, start } = self.orders.take();
            let launched = launch(&self.surroundings, &start);
            let at = boottime();
            let has_started = launched.is_ok();
            if let Ok(Launched { child, .. }) = &launched {
                // Before anybody knows of it, and so before anybody closes it.
                let added = self.poller.add(&child.pidfd, Token::Leader(slot), EventFlags::IN);
                added.expect("each process has room for an event: RLIMIT_NOFILE bounds both");
            }
            if self.finished.send(Started { slot, start, at, launched }).is_err() {
                break;
            }
            if self.is_awaited.swap(false, Ordering::SeqCst) || !has_started {
                self.wake.wake();
            }
        }
    }
}

/// A bug in here must not let an attempt hang forever.
fn launch(surroundings: &Surroundings, start: &Start) -> Result<Launched, NotStarted> {
    catch_unwind(AssertUnwindSafe(|| surroundings.launch(start))).unwrap_or_else(|_| {
        let reason = "the shim has a bug: starting the command panicked".to_owned();
        Err(NotStarted { fault: Fault::Node, errno: 0, reason })
    })
}
