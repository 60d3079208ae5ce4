//! The thread that writes and reads what tasks print, so that a slow disk holds up no kill.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::id::AttemptId;
use crate::processor::{LogPart, ReadLog, Stream};

use super::core::Caller;
use super::log_file::{self, Writer};
use super::notes::note;
use super::places::Places;
use super::wake::Wake;

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Order {
    /// What the attempt prints goes into this file of the node, and not into a log.
    Into(AttemptId, File),
    /// Something was printed.
    Append(AttemptId, Stream, u64, Vec<u8>),
    /// Nothing follows: so many bytes were printed. Keep nothing of it with `drop`.
    Close {
        /// Whose.
        attempt: AttemptId,
        /// Bytes.
        printed: u64,
        /// Keep nothing.
        drop: bool,
    },
    /// Somebody wants to read. `is_open` says whether there may be more later, `is_known` whether
    /// the attempt is, if there is no log.
    Read {
        /// Who.
        caller: Caller,
        /// What.
        read: ReadLog,
        /// Whether there may be more.
        is_open: bool,
        /// Whether the attempt is known.
        is_known: bool,
    },
    /// These may go.
    Drop(Vec<AttemptId>),
    /// The ends of these are known: their places are for others.
    Leave(Vec<AttemptId>),
}

/// What was done.
#[derive(Debug)]
pub enum Done {
    /// So many bytes of an attempt are written, or could not be.
    Appended(AttemptId, usize),
    /// A log is at its end.
    Closed {
        /// Whose.
        attempt: AttemptId,
        /// Bytes that it keeps.
        kept: u64,
    },
    /// Somebody's part.
    Part(Caller, LogPart),
    /// There is nothing yet for whoever wants to wait.
    Nothing(Caller, ReadLog),
}

/// The thread, as seen from the event loop.
#[derive(Debug)]
pub struct Logs {
    orders: Sender<Order>,
    done: Receiver<Done>,
}

impl Logs {
    /// Starts the thread; logs are in `folder`.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub fn new(folder: PathBuf, places: Arc<Places>, wake: Wake) -> io::Result<Self> {
        let (orders, incoming) = channel();
        let (finished, done) = channel();
        let disk = Disk { folder, places, open: BTreeMap::new(), done: finished, wake };
        thread::Builder::new().name("logs".to_owned()).spawn(move || disk.run(&incoming))?;
        Ok(Self { orders, done })
    }

    /// Does it, some time.
    pub fn order(&self, order: Order) {
        self.orders.send(order).expect("its thread lives as long as it does");
    }

    /// What has been done since.
    pub fn take(&self) -> impl Iterator<Item = Done> {
        self.done.try_iter()
    }
}

struct Disk {
    folder: PathBuf,
    places: Arc<Places>,
    open: BTreeMap<AttemptId, Sink>,
    done: Sender<Done>,
    wake: Wake,
}

/// Where output goes. Once the disk has refused some of it, nothing more is tried: what is kept is
/// complete up to there.
struct Sink {
    into: Into,
    is_broken: bool,
}

enum Into {
    Log(Writer),
    File { file: File, kept: u64 },
    Nothing,
}

impl Disk {
    fn run(mut self, incoming: &Receiver<Order>) {
        while let Ok(order) = incoming.recv() {
            if let Some(done) = self.handle(order) {
                if self.done.send(done).is_err() {
                    break;
                }
                self.wake.wake();
            }
        }
    }

    fn handle(&mut self, order: Order) -> Option<Done> {
        match order {
            Order::Into(attempt, file) => {
                let into = Into::File { file, kept: 0 };
                self.open.insert(attempt, Sink { into, is_broken: false });
                None
            }
            Order::Append(attempt, stream, at, bytes) => {
                self.append(attempt, stream, at, &bytes);
                Some(Done::Appended(attempt, bytes.len()))
            }
            Order::Close { attempt, printed, drop } => {
                Some(Done::Closed { attempt, kept: self.close(attempt, printed, drop) })
            }
            Order::Read { caller, read, is_open, is_known } => {
                Some(self.read(caller, read, is_open, is_known))
            }
            Order::Drop(attempts) => {
                for attempt in attempts {
                    let _ = fs::remove_file(self.path(attempt));
                    // Refused until it is empty.
                    let _ = fs::remove_dir(self.job_folder(attempt));
                }
                None
            }
            Order::Leave(attempts) => {
                for attempt in attempts {
                    self.places.leave(attempt);
                }
                None
            }
        }
    }

    fn append(&mut self, attempt: AttemptId, stream: Stream, at: u64, bytes: &[u8]) {
        let path = self.path(attempt);
        let sink = self.open.entry(attempt).or_insert_with(|| match create(&path) {
            Ok(log) => Sink { into: Into::Log(log), is_broken: false },
            Err(error) => {
                note(format_args!("failed to begin the log of {attempt}: {error}"));
                Sink { into: Into::Nothing, is_broken: true }
            }
        });
        if !sink.is_broken
            && let Err(error) = sink.append(stream, at, bytes)
        {
            note(format_args!("the output of {attempt} is not kept any more: {error}"));
            sink.is_broken = true;
        }
    }

    fn close(&mut self, attempt: AttemptId, printed: u64, drop: bool) -> u64 {
        let into = self.open.remove(&attempt).map_or(Into::Nothing, |sink| sink.into);
        let kept = match into {
            Into::Nothing => 0,
            Into::File { kept, .. } => kept,
            Into::Log(log) => {
                let kept = log.kept;
                if let Err(error) = log.close(printed - kept) {
                    note(format_args!("failed to end the log of {attempt}: {error}"));
                }
                kept
            }
        };
        if drop {
            let _ = fs::remove_file(self.path(attempt));
            let _ = fs::remove_dir(self.job_folder(attempt));
            return 0;
        }
        kept
    }

    fn read(&self, caller: Caller, read: ReadLog, is_open: bool, is_known: bool) -> Done {
        let part = log_file::read(&self.path(read.attempt), read.from, read.max as usize);
        let part = part.map_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                note(format_args!("failed to read the log of {}: {error}", read.attempt));
            }
        });
        let is_known = is_known || part.is_ok();
        let part =
            part.unwrap_or(log_file::Part { next: read.from, is_all: true, ..Default::default() });
        if part.pieces.is_empty() && is_open && read.wait {
            return Done::Nothing(caller, read);
        }
        Done::Part(
            caller,
            LogPart {
                ticket: read.ticket,
                attempt: read.attempt,
                pieces: part.pieces,
                next: part.next,
                is_end: part.is_all && !is_open,
                dropped: part.dropped,
                is_known,
            },
        )
    }

    fn job_folder(&self, attempt: AttemptId) -> PathBuf {
        job_folder(&self.folder, attempt)
    }

    fn path(&self, attempt: AttemptId) -> PathBuf {
        path(&self.folder, attempt)
    }
}

impl Sink {
    fn append(&mut self, stream: Stream, at: u64, bytes: &[u8]) -> io::Result<()> {
        match &mut self.into {
            Into::Log(log) => log.append(stream, at, bytes),
            Into::File { file, kept } => {
                file.write_all(bytes)?;
                *kept += bytes.len() as u64;
                Ok(())
            }
            Into::Nothing => Ok(()),
        }
    }
}

/// Bytes that the log of an attempt keeps whose end nobody knows.
pub fn kept(folder: &Path, attempt: AttemptId) -> u64 {
    log_file::kept(&path(folder, attempt)).unwrap_or(0)
}

fn job_folder(folder: &Path, attempt: AttemptId) -> PathBuf {
    folder.join(attempt.task.job.to_string())
}

fn path(folder: &Path, attempt: AttemptId) -> PathBuf {
    job_folder(folder, attempt).join(format!("{}.{}", attempt.task.index, attempt.number))
}

fn create(path: &Path) -> io::Result<Writer> {
    match Writer::create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().expect("it is in the folder of its job"))?;
            Writer::create(path)
        }
        other => other,
    }
}
