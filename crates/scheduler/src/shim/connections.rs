//! Those who call: runners' links. Once one calls, nobody is heard who came before it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use crate::id::AttemptId;
use crate::processor::Told;

use super::core::Caller;
use super::notes::note;
use super::poller::{Poller, Token};
use super::wire::{self, Inbound, ToShim, WireError};

/// Connections at a time: a runner, one that takes its place, and some that do not greet.
const MAX_CONNECTIONS: usize = 8;

/// Bytes to one that does not read them after which it is cut off. It comes back and is told all
/// that is kept.
const MAX_OUT: usize = 32 << 20;

/// Bytes to one that does not read them after which nothing more is read from it.
const PAUSE: usize = 1 << 20;

/// Bytes to one from which on they do not wait for more.
const SOON: usize = 64 << 10;

/// Parts of logs that are under way to one at a time; with the longest part, 4 MiB.
const MAX_READS: usize = 16;

/// All connections.
#[derive(Debug, Default)]
pub struct Connections {
    all: BTreeMap<Caller, Connection>,
    last: Caller,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    inbound: Inbound,
    out: Vec<u8>,
    at: usize,
    /// Reads that are not answered, and will be soon.
    reads: usize,
    /// The ends that are still to be told again, from this one on.
    retell: Option<Retell>,
    flags: EventFlags,
    /// Whether something in `out` is not to wait for more.
    is_urgent: bool,
    is_greeted: bool,
    is_closed: bool,
}

/// From where on ends are to be told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retell {
    /// From the first.
    First,
    /// From this one.
    From(AttemptId),
}

/// What a connection brings.
#[derive(Debug)]
pub enum Heard {
    /// Somebody new.
    Greeted,
    /// A call.
    Call(ToShim),
}

impl Connections {
    /// Takes those who wait at the door, if they belong to this user.
    pub fn accept(&mut self, listener: &UnixListener, poller: &Poller) {
        while let Ok((stream, _)) = listener.accept() {
            let may = socket_peercred(&stream)
                .is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root());
            if !may || self.all.len() >= MAX_CONNECTIONS {
                note(format_args!(
                    "refused a connection: {}",
                    if may { "too many" } else { "not this user's" }
                ));
                continue;
            }
            self.last += 1;
            let flags = EventFlags::IN;
            let token = Token::Connection(self.last);
            if stream.set_nonblocking(true).is_err() || poller.add(&stream, token, flags).is_err() {
                continue;
            }
            let connection = Connection {
                stream,
                inbound: Inbound::default(),
                out: wire::greeting().to_vec(),
                at: 0,
                reads: 0,
                retell: None,
                flags,
                is_urgent: true,
                is_greeted: false,
                is_closed: false,
            };
            self.all.insert(self.last, connection);
        }
    }

    /// Reads what a connection has sent.
    pub fn read(&mut self, caller: Caller) {
        if let Some(connection) = self.all.get_mut(&caller) {
            connection.read();
        }
    }

    /// The next call of anybody who may go on calling.
    pub fn next(&mut self) -> Option<(Caller, Heard)> {
        self.all.iter_mut().find_map(|(caller, it)| Some((*caller, it.next()?)))
    }

    /// One does not make sense: it is let go.
    pub fn refuse(&mut self, caller: Caller, error: &WireError) {
        if let Some(connection) = self.all.get_mut(&caller) {
            connection.hang_up(error);
        }
    }

    /// One calls: whoever came before it is let go, with all that it said and nobody has heard.
    /// What a runner that is dead had asked for would begin after the next one was told what has.
    pub fn supersede(&mut self, by: Caller) {
        for (_, connection) in self.all.range_mut(..by).filter(|(_, it)| it.is_greeted) {
            connection.is_closed = true;
            connection.inbound = Inbound::greeted_already();
        }
    }

    /// Tells it to one. A part of a log may come later: what is much does not wait.
    pub fn answer(&mut self, caller: Caller, told: &Told) {
        if let Some(connection) = self.all.get_mut(&caller) {
            wire::put_told(told, &mut connection.out);
            connection.is_urgent |= !matches!(told, Told::Log(_));
        }
    }

    /// A part of a log, or the news that there is none yet, ends a read.
    pub fn end_read(&mut self, caller: Caller) {
        if let Some(connection) = self.all.get_mut(&caller) {
            connection.reads -= 1;
        }
    }

    /// Somebody reads a log.
    pub fn begin_read(&mut self, caller: Caller) {
        if let Some(connection) = self.all.get_mut(&caller) {
            connection.reads += 1;
        }
    }

    /// Tells it to everybody, `can_wait` says whether later.
    pub fn tell(&mut self, told: &Told, can_wait: bool) {
        let mut frame = Vec::new();
        wire::put_told(told, &mut frame);
        for connection in self.all.values_mut().filter(|it| it.is_greeted) {
            connection.out.extend_from_slice(&frame);
            connection.is_urgent |= !can_wait;
        }
    }

    /// All ends are to be told to this one again.
    pub fn retell(&mut self, caller: Caller) {
        if let Some(connection) = self.all.get_mut(&caller) {
            connection.retell = Some(Retell::First);
        }
    }

    /// Who is connected.
    pub fn callers(&self) -> Vec<Caller> {
        self.all.iter().filter(|(_, it)| it.is_greeted).map(|(caller, _)| *caller).collect()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether somebody is to be told something, and nobody loses by hearing it later.
    pub fn can_wait(&self) -> bool {
        let all = || self.all.values();
        all().any(|it| it.waiting() > 0) && all().all(Connection::can_wait)
    }

    /// Those who have room for ends that they are still to be told, and from where on.
    pub fn hungry(&self) -> Option<(Caller, Retell)> {
        let mut hungry = self.all.iter().filter(|(_, it)| it.waiting() < PAUSE);
        hungry.find_map(|(caller, it)| Some((*caller, it.retell?)))
    }

    /// Tells some ends again; `next` is where to go on, if there are more.
    pub fn feed(&mut self, caller: Caller, ends: &[Told], next: Option<AttemptId>) {
        if let Some(connection) = self.all.get_mut(&caller) {
            for told in ends {
                wire::put_told(told, &mut connection.out);
            }
            connection.retell = next.map(Retell::From);
        }
    }

    /// Sends what can be sent, and lets go of those that are gone. Who that is.
    pub fn flush(&mut self, poller: &Poller) -> Vec<Caller> {
        let mut gone = Vec::new();
        for (caller, connection) in &mut self.all {
            connection.write();
            if connection.is_closed || connection.waiting() > MAX_OUT {
                gone.push(*caller);
                poller.remove(&connection.stream);
                continue;
            }
            let flags = connection.wanted();
            if flags != connection.flags {
                connection.flags = flags;
                // It was added, so it can be changed.
                let _ = poller.modify(&connection.stream, Token::Connection(*caller), flags);
            }
        }
        for caller in &gone {
            self.all.remove(caller);
        }
        gone
    }
}

impl Connection {
    fn waiting(&self) -> usize {
        self.out.len() - self.at
    }

    fn is_full(&self) -> bool {
        self.waiting() > PAUSE || self.reads >= MAX_READS
    }

    /// Whether it is there, not in the middle of being told something, and that is neither much nor
    /// urgent.
    fn can_wait(&self) -> bool {
        !self.is_closed && !self.is_urgent && self.flags == EventFlags::IN && self.out.len() <= SOON
    }

    fn wanted(&self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, !self.is_full());
        flags.set(EventFlags::OUT, self.waiting() > 0);
        flags
    }

    #[expect(clippy::large_stack_arrays, reason = "nobody calls much below it")]
    fn read(&mut self) {
        let mut space = [MaybeUninit::uninit(); 64 << 10];
        match rustix::io::read(&self.stream, &mut space[..]) {
            Ok(([], _)) => self.is_closed = true,
            Ok((bytes, _)) => self.inbound.push(bytes),
            Err(errno) => self.is_closed = !is_momentary(io::Error::from(errno).kind()),
        }
    }

    fn next(&mut self) -> Option<Heard> {
        if self.is_full() {
            return None;
        }
        let heard = match self.inbound.greeted() {
            Ok(true) if !self.is_greeted => {
                self.is_greeted = true;
                Ok(Some(Heard::Greeted))
            }
            Ok(_) => self.inbound.take_frame().map(|call| call.map(Heard::Call)),
            Err(error) => Err(error),
        };
        heard.unwrap_or_else(|error| {
            self.hang_up(&error);
            None
        })
    }

    fn hang_up(&mut self, error: &WireError) {
        if !self.is_closed {
            note(format_args!("hung up on a caller: {error}"));
        }
        self.is_closed = true;
    }

    fn write(&mut self) {
        self.is_urgent = false;
        while self.at < self.out.len() && !self.is_closed {
            match self.stream.write(&self.out[self.at..]) {
                Ok(len) => self.at += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_closed |= error.kind() != ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        if self.at == self.out.len() {
            self.out.clear();
            self.out.shrink_to(PAUSE);
            self.at = 0;
        } else if self.at > PAUSE {
            self.out.drain(..self.at);
            self.at = 0;
        }
    }
}

fn is_momentary(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
