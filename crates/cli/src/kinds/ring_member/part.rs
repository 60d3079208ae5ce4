//! What a member does in the ring. The naive one is in none, and an agent of its own.

use std::time::Duration;

use dx_agents::{Agent, Context};
use dx_ring::run::{Stage, Tally};
use dx_ring::{Member, RingMessage, Standstill, View};

use super::naive::Naive;
use super::seat::Seat;

/// See the module.
pub enum Part {
    /// It agrees with the others.
    Ring(Box<Member<Seat>>),
    /// It counts what it hears.
    Naive(Box<Naive>),
}

impl Part {
    /// Whoever does it. Timers of both have keys below `4 << 40`.
    pub fn agent(&mut self) -> &mut dyn Agent<Message = RingMessage> {
        match self {
            Self::Ring(member) => member.as_mut(),
            Self::Naive(naive) => naive.as_mut(),
        }
    }

    /// What the run is at.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Ring(member) => member.replica().stage(),
            Self::Naive(naive) => naive.stage(),
        }
    }

    /// What was delivered so far.
    pub fn tally(&self) -> Tally {
        match self {
            Self::Ring(member) => member.replica().tally(),
            Self::Naive(naive) => naive.tally(),
        }
    }

    /// What the run came to, once it is over.
    pub fn result(&self) -> Option<Tally> {
        match self {
            Self::Ring(member) => member.replica().result(),
            Self::Naive(naive) => naive.result(),
        }
    }

    /// The longest time between two deliveries.
    pub fn longest_gap(&self) -> Duration {
        match self {
            Self::Ring(member) => member.replica().longest_gap(),
            Self::Naive(naive) => naive.longest_gap(),
        }
    }

    /// Whether it works. The naive one always does: it knows of no majority.
    pub fn standstill(&self, cx: &mut Context) -> Standstill {
        match self {
            Self::Ring(member) => member.standstill(cx),
            Self::Naive(_) => Standstill::None,
        }
    }

    /// The view that it is in.
    pub fn view(&self) -> Option<&View> {
        match self {
            Self::Ring(member) => member.core().and_then(|core| core.view()),
            Self::Naive(_) => None,
        }
    }
}
