//! The least that the same work costs without agents: queues, channels and threads of the
//! standard library. No mailbox is bounded but by the window, nobody is named, nothing is recorded
//! and nothing can panic.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::bench::agents::arena::{Parcel, Threads};
use crate::bench::agents::{stream, token};

/// Does something so often, and says how long it took. It may block.
pub type Floor = Arc<dyn Fn(u64) -> anyhow::Result<Duration> + Send + Sync>;

/// What handles a boxed message; called through a pointer, as an agent is.
type Handler = Box<dyn FnMut(Box<Parcel>)>;

/// Tell on one thread: boxed messages through a queue, half a window at a time.
pub fn queue(count: u64) -> Duration {
    let burst = stream::window(Threads::One, 1) / 2;
    let mut queue = VecDeque::new();
    let mut handler: Handler = black_box(Box::new(checks(1)));
    let began = Instant::now();
    let mut next = 0;
    while next < count {
        let end = count.min(next + burst);
        queue.extend((next..end).map(|number| Box::new(Parcel::new(0, number))));
        queue.drain(..).for_each(&mut handler);
        next = end;
    }
    began.elapsed()
}

/// Token: a queue of who is next and what for, and as many handlers as there are agents.
pub fn queue_around(count: u64) -> Duration {
    let mut handlers: Vec<Handler> =
        (0..token::AGENTS).map(|_| -> Handler { Box::new(checks(token::AGENTS)) }).collect();
    let mut queue = VecDeque::from([(0, Box::new(Parcel::new(0, 0)))]);
    let began = Instant::now();
    while let Some((at, parcel)) = queue.pop_front() {
        let number = parcel.number;
        handlers[at](parcel);
        if number < count {
            queue.push_back(((at + 1) % handlers.len(), Box::new(Parcel::new(0, number + 1))));
        }
    }
    began.elapsed()
}

/// A handler of messages of which each is `step` above the one before.
fn checks(step: u64) -> impl FnMut(Box<Parcel>) {
    let mut last = None;
    move |parcel| {
        let due = last.map_or(parcel.number, |last| last + step);
        assert_eq!(parcel.number, due, "a queue keeps its order");
        last = Some(parcel.number);
    }
}

/// Tell across threads: a bounded channel, and a thread at each end.
pub fn channel(count: u64) -> anyhow::Result<Duration> {
    let (sender, receiver) = sync_channel(stream::window(Threads::Two, 1) as usize);
    let began = Instant::now();
    let sending = thread::spawn(move || {
        // An error means that the receiver has found one and gone.
        (0..count).try_for_each(|number| sender.send(Parcel::new(0, number))).is_ok()
    });
    for number in 0..count {
        let parcel = receiver.recv().context("the sender has gone")?;
        ensure!(parcel == Parcel::new(0, number), "{} came, {number} was due", parcel.number);
    }
    let took = began.elapsed();
    ensure!(sending.join().is_ok_and(|sent| sent), "the sender did not finish");
    Ok(took)
}

/// Ask across threads: two channels, and two threads of which one always waits.
pub fn ping_pong(count: u64) -> anyhow::Result<Duration> {
    let (ask, asked) = sync_channel::<Parcel>(1);
    let (answer, answered) = sync_channel(1);
    let answering = thread::spawn(move || {
        while let Ok(question) = asked.recv() {
            if answer.send(Parcel::new(1, question.number)).is_err() {
                return;
            }
        }
    });
    let began = Instant::now();
    for number in 0..count {
        ask.send(Parcel::new(0, number)).context("the other thread has gone")?;
        let parcel = answered.recv().context("the other thread has gone")?;
        ensure!(parcel == Parcel::new(1, number), "{} came, {number} was due", parcel.number);
    }
    let took = began.elapsed();
    drop(ask);
    ensure!(answering.join().is_ok(), "the other thread panicked");
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_do_as_much_as_they_are_asked_to() {
        for count in [1, 3000] {
            assert!(queue(count) > Duration::ZERO);
            assert!(queue_around(count) > Duration::ZERO);
            assert!(channel(count).unwrap() > Duration::ZERO);
            assert!(ping_pong(count).unwrap() > Duration::ZERO);
        }
    }
}
