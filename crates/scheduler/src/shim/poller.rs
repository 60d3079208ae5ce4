//! What the event loop waits for.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::processor::Stream;

/// Events that are taken at once.
const BATCH: usize = 256;

/// What has happened to whom. Numbers of tasks and connections are never used twice, so that what
/// comes late for one that is gone reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Somebody connects.
    Listener,
    /// A thread has done something.
    Wake,
    /// A time has come.
    Timer,
    /// A task says how far it is.
    Progress,
    /// A connection.
    Connection(u64),
    /// The process of a task's command.
    Leader(u64),
    /// What it prints.
    Output(u64, Stream),
    /// Something else of a task that was killed.
    Stray(u64),
    /// A task's cgroup.
    Cgroup(u64),
}

/// An epoll instance.
#[derive(Debug)]
pub struct Poller(OwnedFd);

impl Poller {
    /// One that waits for nothing yet.
    pub fn new() -> Result<Self, Errno> {
        epoll::create(CreateFlags::CLOEXEC).map(Self)
    }

    /// Waits for it, too.
    pub fn add(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> Result<(), Errno> {
        epoll::add(&self.0, fd, EventData::new_u64(token.into_bits()), flags)
    }

    /// Waits for something else of it.
    pub fn modify(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> Result<(), Errno> {
        epoll::modify(&self.0, fd, EventData::new_u64(token.into_bits()), flags)
    }

    /// Does not wait for it any more.
    pub fn remove(&self, fd: impl AsFd) {
        // It fails only if it was not waited for.
        let _ = epoll::delete(&self.0, fd);
    }

    /// Waits until something happens.
    pub fn wait(&self, happened: &mut Vec<(Token, EventFlags)>) -> Result<(), Errno> {
        let mut events = [MaybeUninit::uninit(); BATCH];
        let (events, _) = match epoll::wait(&self.0, &mut events[..], None) {
            Err(Errno::INTR) => return Ok(()),
            other => other?,
        };
        happened.extend(
            events.iter().filter_map(|it| Some((Token::from_bits(it.data.u64())?, it.flags))),
        );
        Ok(())
    }
}

impl Token {
    fn into_bits(self) -> u64 {
        let (kind, number) = match self {
            Self::Listener => (0, 0),
            Self::Wake => (1, 0),
            Self::Timer => (2, 0),
            Self::Progress => (3, 0),
            Self::Connection(number) => (4, number),
            Self::Leader(number) => (5, number),
            Self::Output(number, Stream::Stdout) => (6, number),
            Self::Output(number, Stream::Stderr) => (7, number),
            Self::Stray(number) => (8, number),
            Self::Cgroup(number) => (9, number),
        };
        number << 4 | kind
    }

    fn from_bits(bits: u64) -> Option<Self> {
        let number = bits >> 4;
        Some(match bits & 15 {
            0 => Self::Listener,
            1 => Self::Wake,
            2 => Self::Timer,
            3 => Self::Progress,
            4 => Self::Connection(number),
            5 => Self::Leader(number),
            6 => Self::Output(number, Stream::Stdout),
            7 => Self::Output(number, Stream::Stderr),
            8 => Self::Stray(number),
            9 => Self::Cgroup(number),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        let out = Token::Output(1 << 40, Stream::Stderr);
        for token in [Token::Listener, Token::Progress, Token::Connection(7), out, Token::Cgroup(3)]
        {
            assert_eq!(Token::from_bits(token.into_bits()), Some(token));
        }
    }
}
