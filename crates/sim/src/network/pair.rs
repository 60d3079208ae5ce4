//! Two nodes: their link, their session, and what each direction carries.

use std::collections::VecDeque;

use dx_agents::remote::credit::{Allowance, Quota};
use dx_agents::remote::outbox::Outbox;
use dx_agents::remote::watches::Watches;
use dx_agents::{AgentId, MailboxBounds};
use rustc_hash::FxHashMap;

use super::bytes::{End, Speech};
use super::{Frame, Line, Links, Outgoing};

/// See the module.
pub(crate) struct Pair {
    /// The lower place and the higher.
    pub nodes: [u32; 2],
    pub is_up: bool,
    /// The nodes had a session before.
    pub has_met: bool,
    /// The number of the session: parcels of an earlier one are lost.
    pub session: u32,
    /// The session's end was told, on the side of each node.
    pub is_over: [bool; 2],
    /// The lives between which the session is.
    pub lives: [u32; 2],
    /// Grows with every change of its condition: what is due for another one is not for this.
    pub turn: u32,
    /// The side of each node, where sessions are real and the node is up.
    pub ends: [Option<Box<End>>; 2],
    /// From the lower place to the higher, and back.
    pub ways: [Way; 2],
}

/// One direction. The sender's part and the receiver's are of different nodes.
#[derive(Default)]
pub(crate) struct Way {
    pub is_cut: bool,
    pub clogged_until: u64,
    /// When the line is free for the next frame.
    pub free_at: u64,
    /// When the last frame of each line arrives.
    last: FxHashMap<Line, u64>,
    kept: usize,
    /// When the last of all does.
    pub last_of_all: u64,
    /// Arrived as far as the obstacle: in flight still.
    pub held: VecDeque<u32>,
    /// What the sender crashed over: nothing arrives after this.
    pub ends_at: u64,

    /// The sender's: what waits for its session, where that is real.
    pub speech: Speech,
    /// What waits for a link, where it is not.
    pub backlog: VecDeque<Frame>,
    pub accounts: FxHashMap<AgentId, Account>,
    accounts_kept: usize,
    pub round: u64,
    /// Who of the sender's watches whom of the receiver's.
    pub watches: Watches,

    /// The receiver's: what it has granted.
    pub quotas: FxHashMap<AgentId, Quota>,
    quotas_kept: usize,
}

/// A sending node's side, for one receiving agent.
pub(crate) struct Account {
    pub allowance: Allowance,
    pub outbox: Option<Box<Outbox<Outgoing>>>,
}

/// Entries of a map that are remembered before those of no use are forgotten.
const MIN_KEPT: usize = 1024;

impl Links {
    /// The pair of two nodes and the direction from the first to the second; `None` if they have
    /// nothing with each other yet.
    #[inline]
    pub fn find(&self, from: u32, to: u32) -> Option<(u32, usize)> {
        let pair = *self.places.get(&(from.min(to), from.max(to)))?;
        Some((pair, usize::from(from > to)))
    }

    /// The same, made if need be.
    pub fn make(&mut self, from: u32, to: u32) -> (u32, usize) {
        if let Some(found) = self.find(from, to) {
            return found;
        }
        let nodes = [from.min(to), from.max(to)];
        let pair = self.pairs.len() as u32;
        self.places.insert((nodes[0], nodes[1]), pair);
        self.pairs.push(Pair {
            nodes,
            is_up: false,
            has_met: false,
            session: 0,
            is_over: [false; 2],
            lives: [0; 2],
            turn: 0,
            ends: [None, None],
            ways: [Way::default(), Way::default()],
        });
        (pair, usize::from(from > to))
    }

    /// The pairs of a node, with the direction that leaves it.
    pub fn of(&self, node: u32) -> Vec<(u32, usize)> {
        let numbered = self.pairs.iter().enumerate();
        let side = |pair: &Pair| pair.nodes.iter().position(|at| *at == node);
        numbered.filter_map(|(at, pair)| Some((at as u32, side(pair)?))).collect()
    }
}

impl Way {
    /// When a frame that would arrive at `at` does, so that it overtakes none of its line.
    #[inline]
    pub fn in_line(&mut self, line: Line, at: u64, now: u64) -> u64 {
        if self.last.len() > 2 * self.kept + MIN_KEPT {
            self.last.retain(|_, last| *last >= now);
            self.kept = self.last.len();
        }
        let last = self.last.entry(line).or_insert(0);
        *last = at.max(*last + 1);
        self.last_of_all = self.last_of_all.max(*last);
        *last
    }

    /// Whether it flows at all.
    pub fn is_blocked(&self, now: u64) -> bool {
        self.is_cut || self.clogged_until > now
    }

    #[inline]
    pub fn account(&mut self, to: AgentId, bounds: &MailboxBounds) -> &mut Account {
        if self.accounts.len() > 2 * self.accounts_kept + MIN_KEPT {
            self.accounts.retain(|_, it| !it.allowance.is_idle() || it.outbox.is_some());
            self.accounts_kept = self.accounts.len();
        }
        let new = || Account { allowance: Allowance::new(bounds), outbox: None };
        self.accounts.entry(to).or_insert_with(new)
    }

    /// Makes room among the quotas, once there are many.
    pub fn clean_quotas(&mut self) {
        if self.quotas.len() > 2 * self.quotas_kept + MIN_KEPT {
            // One that is owed something stays until all of it is given back.
            self.quotas.retain(|_, quota| !quota.is_idle() || quota.is_owed());
            self.quotas_kept = self.quotas.len();
        }
    }

    /// A session begins after another: for whom it is to be asked what arrived, and in which round.
    pub fn probe(&mut self) -> (u64, Vec<AgentId>) {
        self.round += 1;
        let round = self.round;
        let mut in_doubt: Vec<AgentId> = self
            .accounts
            .iter_mut()
            .filter_map(|(to, account)| account.allowance.probe(round).then_some(*to))
            .collect();
        in_doubt.sort_unstable();
        (round, in_doubt)
    }

    /// The sender has lost its memory.
    pub fn forget_sender(&mut self) {
        self.backlog.clear();
        self.accounts.clear();
        self.watches.clear();
        self.round = 0;
    }
}
