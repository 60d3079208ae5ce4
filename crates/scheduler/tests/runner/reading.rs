//! Logs that clients read through it.

use bytes::Bytes;
use dx_scheduler::processor::{Call, LogPart, MAX_LOG_PART, Piece, ReadLog, Stream, Told};
use dx_scheduler::runner::MAX_READS;

use super::desk::{Desk, attempt, cpus, hello};

fn read(ticket: u64) -> ReadLog {
    ReadLog { ticket, attempt: attempt(0), from: 3, max: u32::MAX, wait: true }
}

fn ticket_of(call: &Call) -> u64 {
    let Call::Log(read) = call else { panic!("{call:?}") };
    assert_eq!((read.from, read.max as usize), (3, MAX_LOG_PART));
    read.ticket
}

fn part(ticket: u64) -> LogPart {
    let piece = Piece { stream: Stream::Stdout, at: 1, bytes: Bytes::from_static(b"x") };
    LogPart {
        ticket,
        attempt: attempt(0),
        pieces: vec![piece],
        next: 4,
        is_end: true,
        dropped: 0,
        is_known: true,
    }
}

#[test]
fn clients_with_the_same_ticket_have_their_own_answers() {
    let mut desk = Desk::working(cpus(1));
    let tickets = [0, 0].map(|ticket| ticket_of(&desk.ask(read(ticket)).calls[0]));
    assert_ne!(tickets[0], tickets[1]);
    for ticket in tickets {
        assert_eq!(desk.told(Told::Log(part(ticket))).answers, [part(0)]);
        assert!(desk.told(Told::Log(part(ticket))).answers.is_empty(), "once");
    }
}

#[test]
fn what_a_shim_did_not_hear_is_read_again_when_it_is_back() {
    let mut desk = Desk::working(cpus(1));
    let ticket = ticket_of(&desk.ask(read(7)).calls[0]);
    let said = desk.hello(hello(2));
    let calls: Vec<u64> = said.calls.iter().map(ticket_of).collect();
    assert_eq!(calls, [ticket]);
    assert_eq!(desk.told(Told::Log(part(ticket))).answers, [part(7)]);
}

#[test]
fn the_one_that_waits_longest_makes_room_for_another() {
    let mut desk = Desk::working(cpus(1));
    for ticket in 0..MAX_READS as u64 {
        assert!(desk.ask(read(ticket)).answers.is_empty());
    }
    let said = desk.ask(read(9999));
    let [answer] = &said.answers[..] else { panic!("{said:?}") };
    assert_eq!((answer.ticket, answer.next, answer.is_end), (0, 3, false), "nothing more yet");
}
