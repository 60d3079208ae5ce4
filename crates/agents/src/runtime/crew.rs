//! The threads that carry out the work of shared states.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::runtime::stage::{Stage, Task};

/// Tasks of one agent that a thread takes at once, at most: what batch verification gains from,
/// without keeping other threads idle.
pub const MAX_BATCH: usize = 16;

/// Threads that share a queue. What may wait in it is bounded by each agent's stage. They end when
/// the crew is dropped.
pub struct Crew {
    work: Arc<Work>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Work {
    queue: Mutex<Queue>,
    is_ready: Condvar,
    size: usize,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<(Arc<Stage>, Task)>,
    ends: bool,
}

impl Crew {
    /// A crew of `size` threads, at least one; they start with the first task.
    #[must_use]
    pub fn new(size: usize) -> Arc<Self> {
        let work = Work { queue: Mutex::default(), is_ready: Condvar::new(), size: size.max(1) };
        Arc::new(Self { work: Arc::new(work), threads: Mutex::default() })
    }

    /// Queues a task.
    ///
    /// # Errors
    /// If the operating system gives no threads.
    pub fn submit(&self, stage: Arc<Stage>, task: Task) -> io::Result<()> {
        self.start()?;
        self.work.lock().tasks.push_back((stage, task));
        self.work.is_ready.notify_one();
        Ok(())
    }

    /// Ends the threads after what is queued, and waits for them.
    pub fn end(&self) {
        self.work.end();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // It catches the panics of the work: it has none of its own to report.
            let _ = thread.join();
        }
    }

    fn start(&self) -> io::Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while threads.len() < self.work.size {
            let work = Arc::clone(&self.work);
            let name = format!("dx-shared-{}", threads.len());
            threads.push(thread::Builder::new().name(name).spawn(move || work.go_on())?);
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.work.end();
    }
}

impl Work {
    fn end(&self) {
        self.lock().ends = true;
        self.is_ready.notify_all();
    }

    fn go_on(&self) {
        while let Some((stage, tasks)) = self.take() {
            stage.carry_out(tasks);
        }
    }

    /// The next tasks of one agent; waits for them. `None` at the end.
    fn take(&self) -> Option<(Arc<Stage>, Vec<Task>)> {
        let mut queue = self.lock();
        loop {
            if let Some((stage, task)) = queue.tasks.pop_front() {
                let share = (queue.tasks.len() / self.size).min(MAX_BATCH - 1);
                let mut tasks = vec![task];
                for _ in 0..share {
                    match queue.tasks.front() {
                        Some((next, _)) if Arc::ptr_eq(next, &stage) => {
                            tasks.extend(queue.tasks.pop_front().map(|(_, task)| task));
                        }
                        _ => break,
                    }
                }
                return Some((stage, tasks));
            }
            if queue.ends {
                return None;
            }
            queue = self.is_ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
