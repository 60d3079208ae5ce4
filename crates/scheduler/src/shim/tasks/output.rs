//! What an attempt prints: from its pipes to its log, up to what is kept of it.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use crate::id::AttemptId;
use crate::processor::Stream;
use crate::shim::clock;
use crate::shim::log_file::MAX_PIECE;
use crate::shim::logs::{Logs, Order};
use crate::shim::poller::{Poller, Token};

/// Bytes of an attempt that wait for the disk, after which nothing more is read from it: then the
/// task waits for the disk, and the shim for nobody.
const MAX_UNWRITTEN: usize = 1 << 20;

/// Pieces that are read from a task before others have their turn.
const TURN: usize = 16;

/// Pieces that are read at the end of a task. A pipe holds 64 KiB, and a mebibyte if the task asked
/// for it.
const REST: usize = 64;

/// See the [module](self).
#[derive(Debug)]
pub struct Output {
    pipes: [Option<Pipe>; 2],
    /// Bytes that may still be kept.
    room: u64,
    printed: u64,
    unwritten: usize,
    is_paused: bool,
    has_begun: bool,
}

#[derive(Debug)]
struct Pipe {
    fd: OwnedFd,
    token: Token,
    /// Whether the poller waits for it.
    is_listened_to: bool,
}

/// What became of a look into a pipe.
enum Read {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

impl Output {
    /// Nothing was printed; at most `max` bytes are kept.
    pub fn new(max: u64) -> Self {
        Self {
            pipes: [None, None],
            room: max,
            printed: 0,
            unwritten: 0,
            is_paused: false,
            has_begun: false,
        }
    }

    /// It goes into a file, which is to be closed even if nothing is printed.
    pub fn begins(&mut self) {
        self.has_begun = true;
    }

    /// A command prints into these.
    pub fn open(&mut self, slot: u64, stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) {
        for (at, fd) in [stdout, stderr].into_iter().enumerate() {
            let token = Token::Output(slot, STREAMS[at]);
            self.pipes[at] = fd.map(|fd| Pipe { fd, token, is_listened_to: false });
        }
    }

    /// The poller waits for what is printed, from now on if it did not before.
    pub fn listen(&mut self, poller: &Poller) {
        for pipe in self.pipes.iter_mut().flatten().filter(|pipe| !pipe.is_listened_to) {
            let added = poller.add(&pipe.fd, pipe.token, wanted(self.is_paused));
            added.expect("each pipe has room for an event: RLIMIT_NOFILE bounds both");
            pipe.is_listened_to = true;
        }
    }

    /// Whether somebody may print.
    pub fn is_open(&self) -> bool {
        self.pipes.iter().any(Option::is_some)
    }

    /// Whether the disk is waited for.
    pub fn is_held(&self) -> bool {
        self.is_paused
    }

    /// Whether nothing more is kept.
    pub fn is_full(&self) -> bool {
        self.room == 0
    }

    /// Bytes that were printed; nothing if there is nothing to close.
    pub fn total(&self) -> Option<u64> {
        self.has_begun.then_some(self.printed)
    }

    /// Reads what is there, for a turn. How much that was.
    pub fn read(&mut self, id: AttemptId, stream: Stream, poller: &Poller, logs: &Logs) -> usize {
        self.read_some(id, stream, TURN, poller, logs)
    }

    /// Reads what is there from both, for a turn.
    pub fn drain(&mut self, id: AttemptId, poller: &Poller, logs: &Logs) {
        for stream in STREAMS {
            self.read_some(id, stream, TURN, poller, logs);
        }
    }

    /// Nobody is left who could print: reads what is there, and closes both.
    pub fn drain_rest(&mut self, id: AttemptId, poller: &Poller, logs: &Logs) {
        for stream in STREAMS {
            self.is_paused = false;
            self.read_some(id, stream, REST, poller, logs);
        }
        for pipe in &mut self.pipes {
            if let Some(pipe) = pipe.take() {
                pipe.close(poller);
            }
        }
        self.is_paused = self.unwritten > MAX_UNWRITTEN;
    }

    /// So much is on the disk. Whether more is read from now on.
    pub fn written(&mut self, bytes: usize, poller: &Poller) -> bool {
        self.unwritten -= bytes;
        let goes_on = self.is_paused && self.unwritten <= MAX_UNWRITTEN / 2;
        if goes_on {
            self.is_paused = false;
            self.want(poller);
        }
        goes_on
    }

    fn read_some(
        &mut self,
        id: AttemptId,
        stream: Stream,
        turn: usize,
        poller: &Poller,
        logs: &Logs,
    ) -> usize {
        let mut total = 0;
        for _ in 0..turn {
            let Some(pipe) = &self.pipes[stream as usize] else { break };
            match look(&pipe.fd) {
                Read::Bytes(bytes) => {
                    total += bytes.len();
                    self.keep(id, stream, bytes, logs);
                }
                Read::Nothing => break,
                Read::End => {
                    if let Some(pipe) = self.pipes[stream as usize].take() {
                        pipe.close(poller);
                    }
                }
            }
            if turn != REST && self.unwritten > MAX_UNWRITTEN {
                self.is_paused = true;
                self.want(poller);
                break;
            }
        }
        total
    }

    fn keep(&mut self, id: AttemptId, stream: Stream, mut bytes: Vec<u8>, logs: &Logs) {
        self.printed += bytes.len() as u64;
        let kept = self.room.min(bytes.len() as u64) as usize;
        self.room -= kept as u64;
        self.has_begun = true;
        if kept > 0 {
            self.unwritten += kept;
            bytes.truncate(kept);
            logs.order(Order::Append(id, stream, clock::wall_ms(), bytes));
        }
    }

    fn want(&self, poller: &Poller) {
        for pipe in self.pipes.iter().flatten().filter(|pipe| pipe.is_listened_to) {
            // It was added, so it can be changed.
            let _ = poller.modify(&pipe.fd, pipe.token, wanted(self.is_paused));
        }
    }
}

impl Pipe {
    fn close(self, poller: &Poller) {
        if self.is_listened_to {
            poller.remove(&self.fd);
        }
    }
}

fn wanted(is_paused: bool) -> EventFlags {
    // What is always told, as the end of the last writer, comes with every look: while the disk is
    // waited for, the loop must not spin, so only one such event is taken.
    if is_paused { EventFlags::ONESHOT } else { EventFlags::IN }
}

#[expect(clippy::large_stack_arrays, reason = "nobody calls anything below it")]
fn look(fd: &OwnedFd) -> Read {
    // Not from the heap: most that end have printed little or nothing.
    let mut space = [MaybeUninit::uninit(); MAX_PIECE];
    loop {
        match rustix::io::read(fd, &mut space[..]) {
            Ok(([], _)) => return Read::End,
            Ok((bytes, _)) => return Read::Bytes(bytes.to_vec()),
            Err(Errno::INTR) => {}
            Err(_) => return Read::Nothing,
        }
    }
}
