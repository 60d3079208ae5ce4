//! The way to one other node: credit, outboxes, and the lanes of the transport.
//!
//! *Invariant:* while the state is locked nothing is called but the transport, which calls nobody
//! back. Whoever is to hear of something is told afterwards.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::mesh::{Peer, SendError};
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::event::Event;
use crate::id::{AgentId, AskId};
use crate::lane::Lane;
use crate::mesh::backlog::Backlog;
use crate::mesh::wire::{Amount, Frame};
use crate::remote::course::Course;
use crate::remote::credit::Allowance;
use crate::remote::outbox::{Offered, Outbox, Waiting};
use crate::remote::run::Run;
use crate::runtime::shared::Shared;
use crate::spec::{MailboxBounds, WhenFull};

/// See the module.
pub struct Link {
    pub node: NodeId,
    pub peer: Peer,
    /// Frames that broke the rules.
    pub violations: AtomicU64,
    course: Mutex<Course>,
    lives: Mutex<Lives>,
    io: Handle,
    /// Agents of this node of whose end the other wants to be told.
    watched: Mutex<BTreeSet<AgentId>>,
    agents: Weak<Shared>,
    progress: Arc<Notify>,
    state: Mutex<State>,
}

/// Lives of the other node, as far as was heard.
#[derive(Default)]
struct Lives {
    newest: Option<Incarnation>,
    /// One that sends nothing more.
    leaving: Option<Incarnation>,
}

#[derive(Default)]
struct State {
    accounts: FxHashMap<AgentId, Account>,
    /// Accounts at which the last cleaning stopped.
    kept: usize,
    /// Frames that need no credit and wait for room in a lane.
    backlog: [Backlog; 3],
    /// Agents whose messages wait for room in a lane.
    stuck: [VecDeque<AgentId>; 3],
    /// Whether a task waits for room in a lane.
    has_pump: [bool; 3],
    /// The number of the session in which credit is settled.
    round: u64,
}

struct Account {
    allowance: Allowance,
    outbox: Option<Box<Outbox>>,
    /// Lanes in which a message of this agent is with the pump: others must not overtake it.
    in_pump: [bool; 3],
}

/// A message about to leave.
pub struct Parcel<'a> {
    pub from: AgentId,
    pub to: AgentId,
    pub ask: Option<AskId>,
    pub lane: Lane,
    pub frame: &'a [u8],
    /// The bounds of the receiver's mailbox, as far as they are known.
    pub bounds: &'a dyn Fn() -> MailboxBounds,
    pub cost: u64,
}

/// How a parcel fared.
pub enum Sent {
    /// It left, or waits; these were dropped for it.
    Yes(Vec<Waiting>),
    /// There is neither credit nor room.
    Full,
    /// The same, and it was dropped.
    Dropped,
    /// The transport does not take it.
    No(SendError),
}

/// How a link's own queues stand.
pub struct Depth {
    pub agent: AgentId,
    pub out: Amount,
    pub share: Amount,
    pub waiting: usize,
    pub waiting_bytes: usize,
}

impl Link {
    pub fn new(peer: Peer, io: Handle, agents: Weak<Shared>, progress: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            node: peer.node(),
            peer,
            violations: AtomicU64::new(0),
            course: Mutex::default(),
            lives: Mutex::default(),
            io,
            watched: Mutex::default(),
            agents,
            progress,
            state: Mutex::default(),
        })
    }

    /// What agents are told of the sessions.
    pub fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is a link to this life of the node.
    pub fn met(&self, life: Incarnation) {
        self.lives().newest = Some(life);
    }

    /// The node leaves: this life of it has sent all that it will. Places that are given back to it
    /// would only wait until this node, too, is to leave nothing behind.
    pub fn goes_away(&self) {
        let mut lives = self.lives();
        lives.leaving = lives.newest;
    }

    /// Whether this life of the node leaves.
    pub fn is_leaving(&self, life: Incarnation) -> bool {
        self.lives().leaving == Some(life)
    }

    fn lives(&self) -> MutexGuard<'_, Lives> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Agents of this node of whose end the other wants to be told.
    pub fn watched(&self) -> MutexGuard<'_, BTreeSet<AgentId>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message if there is credit for it and room in the lane; else it waits, or fares as
    /// `policy` says.
    pub fn send(self: &Arc<Self>, parcel: &Parcel<'_>, policy: WhenFull) -> Sent {
        let lane = parcel.lane;
        let mut state = self.lock();
        let state = &mut *state;
        state.clean();
        let account = state.account(parcel.to, parcel.bounds);
        let may_leave = account.is_free(lane) && account.allowance.may_take(parcel.cost);
        if may_leave {
            match self.peer.try_send(transport_lane(lane), parcel.frame) {
                Ok(()) => {
                    account.allowance.take(parcel.cost);
                    return Sent::Yes(Vec::new());
                }
                Err(SendError::Full(_)) => {}
                Err(error) => return Sent::No(error),
            }
        }
        let waiting = Waiting {
            frame: Bytes::copy_from_slice(parcel.frame),
            bytes: parcel.frame.len(),
            cost: parcel.cost,
            from: parcel.from,
            ask: parcel.ask,
        };
        match account.outbox.get_or_insert_default().offer(lane, waiting, policy) {
            Offered::Refused => Sent::Full,
            Offered::Dropped => Sent::Dropped,
            Offered::Kept(dropped) => {
                if may_leave {
                    self.stick(state, lane, parcel.to);
                }
                Sent::Yes(dropped)
            }
        }
    }

    /// Sends the first of `frames`, as many as there is credit and room for: how many those are.
    pub fn send_run(&self, to: AgentId, bounds: &dyn Fn() -> MailboxBounds, frames: &Run) -> usize {
        let mut state = self.lock();
        state.clean();
        let account = state.account(to, bounds);
        if !account.is_free(frames.lane) {
            return 0;
        }
        let mut allowance = account.allowance;
        let affordable = frames.costs().take_while(|cost| {
            let may_leave = allowance.may_take(*cost);
            if may_leave {
                allowance.take(*cost);
            }
            may_leave
        });
        let affordable = affordable.count();
        let lane = transport_lane(frames.lane);
        let sent = self.peer.try_send_run(lane, frames.iter().take(affordable));
        frames.costs().take(sent).for_each(|cost| account.allowance.take(cost));
        sent
    }

    /// Sends a frame that needs no credit. False if it was dropped, since far too much waits.
    pub fn post(self: &Arc<Self>, lane: Lane, frame: &[u8]) -> bool {
        let mut state = self.lock();
        if state.backlog[lane as usize].is_empty() {
            match self.peer.try_send(transport_lane(lane), frame) {
                Ok(()) => return true,
                Err(SendError::Full(_)) => {}
                Err(_) => return false,
            }
        }
        let is_in = state.backlog[lane as usize].push(frame);
        if is_in {
            self.start_pump(&mut state, lane);
        }
        is_in
    }

    /// The same for a frame without a message, in the first lane.
    pub fn say(self: &Arc<Self>, frame: &Frame<'_>) -> bool {
        let mut bytes = Vec::with_capacity(64);
        frame.write(&mut bytes);
        self.post(Lane::Urgent, &bytes)
    }

    /// The node has given places back.
    pub fn granted(self: &Arc<Self>, to: AgentId, freed: Amount, share: Amount) {
        self.credited(to, |allowance| allowance.granted(freed, share));
    }

    /// The node has said what of the sessions before waits for the agent.
    pub fn settled(self: &Arc<Self>, to: AgentId, round: u64, held: Amount) {
        self.credited(to, |allowance| allowance.settle(round, held));
    }

    fn credited(self: &Arc<Self>, to: AgentId, change: impl FnOnce(&mut Allowance)) {
        let mut state = self.lock();
        let Some(account) = state.accounts.get_mut(&to) else { return };
        change(&mut account.allowance);
        for lane in Lane::ALL {
            self.flush(&mut state, lane, to);
        }
        let writable = state.writable(to);
        drop(state);
        self.progress.notify_one();
        self.tell_writable(writable, to);
    }

    fn tell_writable(&self, senders: Vec<AgentId>, to: AgentId) {
        if senders.is_empty() {
            return;
        }
        // Without agents there is nobody to tell.
        let Some(agents) = self.agents.upgrade() else { return };
        for sender in senders {
            agents.tell(sender, Event::Writable(to));
        }
    }

    /// A new session has begun: asks the node what arrived in the one before.
    pub fn probe(self: &Arc<Self>) {
        let mut state = self.lock();
        state.round += 1;
        let round = state.round;
        let mut in_doubt = Vec::new();
        for (&to, account) in &mut state.accounts {
            if account.allowance.probe(round) {
                in_doubt.push(to);
            }
        }
        drop(state);
        let mut frame = Vec::new();
        for to in in_doubt {
            frame.clear();
            Frame::Probe { to, round }.write(&mut frame);
            for lane in Lane::ALL {
                self.post(lane, &frame);
            }
        }
    }

    /// Frames that wait on this side of the transport.
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        let outbox = |account: &Account| {
            let waiting = account.outbox.as_ref().map_or(0, |outbox| outbox.depth().0);
            waiting + account.in_pump.iter().filter(|in_pump| **in_pump).count()
        };
        let backlog: usize = state.backlog.iter().map(Backlog::len).sum();
        backlog + state.accounts.values().map(outbox).sum::<usize>()
    }

    /// What is out and what waits, for each agent, in the order of their ids.
    pub fn depths(&self) -> Vec<Depth> {
        let state = self.lock();
        let depth = |(&agent, account): (&AgentId, &Account)| {
            let outbox = account.outbox.as_ref();
            let (waiting, waiting_bytes) = outbox.map_or((0, 0), |outbox| outbox.depth());
            let (out, share) = (account.allowance.out(), account.allowance.share());
            Depth { agent, out, share, waiting, waiting_bytes }
        };
        let mut depths: Vec<_> = state.accounts.iter().map(depth).collect();
        depths.sort_by_key(|depth| depth.agent);
        depths
    }

    /// Sends what waits for an agent in a lane, as far as credit and room go.
    fn flush(self: &Arc<Self>, state: &mut State, lane: Lane, to: AgentId) {
        let Some(account) = state.accounts.get_mut(&to) else { return };
        if account.in_pump[lane as usize] {
            return;
        }
        let Some(outbox) = &mut account.outbox else { return };
        while let Some(waiting) = outbox.front(lane) {
            if !account.allowance.may_take(waiting.cost) {
                return;
            }
            match self.peer.try_send_bytes(transport_lane(lane), waiting.frame.clone()) {
                Ok(()) => account.allowance.take(waiting.cost),
                Err(SendError::Full(_)) => return self.stick(state, lane, to),
                // What the transport will never take must not hold up the rest. It was checked when
                // it was offered; now the way is closed, or the node has come back with a smaller
                // limit: the transport reports both.
                Err(_) => {}
            }
            outbox.pop(lane);
        }
    }

    /// Notes that an agent's messages wait for room.
    fn stick(self: &Arc<Self>, state: &mut State, lane: Lane, to: AgentId) {
        if !state.stuck[lane as usize].contains(&to) {
            state.stuck[lane as usize].push_back(to);
        }
        self.start_pump(state, lane);
    }

    fn start_pump(self: &Arc<Self>, state: &mut State, lane: Lane) {
        if !std::mem::replace(&mut state.has_pump[lane as usize], true) {
            let link = Arc::clone(self);
            self.io.spawn(async move { link.pump(lane).await });
        }
    }

    /// Sends what waits for room in a lane, until nothing does.
    async fn pump(self: Arc<Self>, lane: Lane) {
        while let Some((to, frame)) = self.next_for_pump(lane) {
            // An error says that the transport will never take it, as in `flush`.
            let _ = self.peer.send_bytes(transport_lane(lane), frame).await;
            let Some(to) = to else { continue };
            let mut state = self.lock();
            if let Some(account) = state.accounts.get_mut(&to) {
                account.in_pump[lane as usize] = false;
            }
            self.flush(&mut state, lane, to);
            let writable = state.writable(to);
            drop(state);
            self.tell_writable(writable, to);
        }
    }

    fn next_for_pump(&self, lane: Lane) -> Option<(Option<AgentId>, Bytes)> {
        let mut state = self.lock();
        if let Some(frame) = state.backlog[lane as usize].pop() {
            return Some((None, frame));
        }
        while let Some(to) = state.stuck[lane as usize].pop_front() {
            let Some(account) = state.accounts.get_mut(&to) else { continue };
            let Some(outbox) = &mut account.outbox else { continue };
            let allowance = &account.allowance;
            if outbox.front(lane).is_none_or(|waiting| !allowance.may_take(waiting.cost)) {
                continue;
            }
            let waiting = outbox.pop(lane).expect("there is a first one");
            account.allowance.take(waiting.cost);
            account.in_pump[lane as usize] = true;
            return Some((Some(to), waiting.frame));
        }
        state.has_pump[lane as usize] = false;
        self.progress.notify_one();
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    #[inline]
    fn account(&mut self, to: AgentId, bounds: &dyn Fn() -> MailboxBounds) -> &mut Account {
        self.accounts.entry(to).or_insert_with(|| Account {
            allowance: Allowance::new(&bounds()),
            outbox: None,
            in_pump: [false; 3],
        })
    }

    /// Who is to hear that there is room again for messages to this agent.
    fn writable(&mut self, to: AgentId) -> Vec<AgentId> {
        let Some(account) = self.accounts.get_mut(&to) else { return Vec::new() };
        let Some(outbox) = &mut account.outbox else { return Vec::new() };
        let writable = outbox.writable();
        if outbox.is_empty() {
            account.outbox = None;
        }
        writable
    }

    /// Forgets agents to which nothing is on its way, once there are many.
    #[inline]
    fn clean(&mut self) {
        if self.accounts.len() > 2 * self.kept + MIN_ACCOUNTS {
            self.accounts.retain(|_, account| !account.is_idle());
            self.kept = self.accounts.len();
        }
    }
}

impl Account {
    /// Whether a message would overtake none.
    #[inline]
    fn is_free(&self, lane: Lane) -> bool {
        !self.in_pump[lane as usize]
            && self.outbox.as_ref().is_none_or(|outbox| outbox.front(lane).is_none())
    }

    fn is_idle(&self) -> bool {
        self.allowance.is_idle() && self.outbox.is_none() && !self.in_pump.contains(&true)
    }
}

/// Agents that are remembered before those with nothing on its way are forgotten.
const MIN_ACCOUNTS: usize = 1024;

/// The transport's lane for a lane between agents.
pub fn transport_lane(lane: Lane) -> dx_transport::lane::Lane {
    dx_transport::lane::Lane(lane as u8)
}
