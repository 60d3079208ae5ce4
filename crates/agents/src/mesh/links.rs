//! The ways to all other nodes, as the agents' runtime sees them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use dx_transport::codec::EncodeError;
use dx_transport::id::NodeId;
use dx_transport::mesh::{Peer, SendError};
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::event::{AskError, Down, Event, RefusedBecause};
use crate::id::{AgentId, ReplyTo};
use crate::mesh::link::{Link, Parcel, Sent};
use crate::mesh::wire::{Frame, Head};
use crate::message::Body;
use crate::remote::asks::Asks;
use crate::remote::outbox::Waiting;
use crate::remote::parcel;
use crate::remote::run::Run;
use crate::remote::watches::Watches;
use crate::runtime::Reason;
use crate::runtime::mailbox::Weighed;
use crate::runtime::shared::{Letter, Remote, Shared};
use crate::spec::{MailboxBounds, WhenFull};

/// See the module.
pub struct Links {
    agents: Weak<Shared>,
    nodes: RwLock<FxHashMap<NodeId, Arc<Link>>>,
    asks: Mutex<Asks>,
    /// Who wants to be told of the end of which agent, by that agent's node.
    watches: Mutex<BTreeMap<NodeId, Watches>>,
    /// Told when something that waited has left.
    progress: Arc<Notify>,
}

thread_local! {
    /// Where frames are put together, so that a small message costs no allocation.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };

    /// Likewise for several.
    static FRAMES: RefCell<Run> = RefCell::default();
}

/// Scratch memory that a thread keeps.
const MAX_SCRATCH: usize = 64 * 1024;

impl Links {
    pub fn new(agents: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            agents: Arc::downgrade(agents),
            nodes: RwLock::default(),
            asks: Mutex::default(),
            watches: Mutex::default(),
            progress: Arc::default(),
        })
    }

    /// Adds the way to a node; one that is known stays.
    pub fn add(&self, peer: Peer, io: Handle) {
        let link = Link::new(peer, io, Weak::clone(&self.agents), Arc::clone(&self.progress));
        let mut links = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        links.entry(link.node).or_insert(link);
    }

    pub fn find(&self, node: NodeId) -> Option<Arc<Link>> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    /// All of them, in the order of their nodes.
    pub fn all(&self) -> Vec<Arc<Link>> {
        let links = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let mut links: Vec<_> = links.values().cloned().collect();
        links.sort_by_key(|link| link.node);
        links
    }

    /// Waits until nothing waits on this side of the transport, but not beyond `deadline`: how many
    /// messages do then, for which nodes.
    pub async fn flushed(&self, deadline: Instant) -> Vec<(NodeId, usize)> {
        loop {
            let waiting = |link: &Arc<Link>| (link.node, link.waiting());
            let mut unsent: Vec<_> = self.all().iter().map(waiting).collect();
            unsent.retain(|(_, count)| *count > 0);
            if unsent.is_empty() || timeout_at(deadline, self.progress.notified()).await.is_err() {
                return unsent;
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Who is to be told that an agent of another node is down. After its end there is nothing
    /// more to tell.
    pub fn watchers(&self, node: NodeId, who: AgentId, why: Down) -> BTreeSet<AgentId> {
        self.watches().get_mut(&node).map(|watches| watches.down(who, why)).unwrap_or_default()
    }

    pub fn asks(&self) -> MutexGuard<'_, Asks> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn watches(&self) -> MutexGuard<'_, BTreeMap<NodeId, Watches>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bounds of the mailbox of another node's agent, as far as they are known here.
    fn bounds(&self, of: AgentId) -> MailboxBounds {
        let agents = self.agents.upgrade();
        let spec = agents.as_ref().and_then(|agents| agents.directory.agent(of));
        spec.map_or(MailboxBounds::DEFAULT, |spec| spec.options.mailbox)
    }

    fn count(&self, reason: Reason, count: u64) {
        if let Some(agents) = self.agents.upgrade() {
            agents.dead_letters.add(reason, count);
        }
    }

    fn tell(&self, to: AgentId, event: Event) {
        if let Some(agents) = self.agents.upgrade() {
            agents.tell(to, event);
        }
    }

    /// A question ends without an answer, for a reason of this side's.
    fn fail(&self, question: ReplyTo, error: AskError) {
        self.tell(question.agent, Event::Reply(question.ask, Err(error)));
    }

    /// Older messages gave way to a newer one.
    fn bury(&self, dropped: Vec<Waiting>) {
        if dropped.is_empty() {
            return;
        }
        self.count(Reason::OutboxFull, dropped.len() as u64);
        for Waiting { from, ask, .. } in dropped {
            let Some(ask) = ask else { continue };
            let question = ReplyTo { agent: from, ask };
            if self.asks().answer(question) {
                self.fail(question, AskError::Refused(RefusedBecause::Full));
            }
        }
    }

    fn refuse(&self, error: &EncodeError) -> RefusedBecause {
        self.count(Reason::Unsendable, 1);
        match *error {
            EncodeError::TooLarge { len, limit } => RefusedBecause::TooLarge { len, limit },
            EncodeError::Value(_) => RefusedBecause::Unencodable,
        }
    }

    fn undo(&self, question: Option<ReplyTo>) {
        if let Some(question) = question {
            // The caller tells whoever asked.
            let _ = self.asks().answer(question);
        }
    }

    fn dispatch(
        &self,
        link: &Arc<Link>,
        parcel: &Parcel<'_>,
        policy: WhenFull,
    ) -> Result<(), RefusedBecause> {
        let (from, ask) = (parcel.from, parcel.ask);
        let question = ask.map(|ask| ReplyTo { agent: from, ask });
        if let Some(ReplyTo { agent, ask }) = question {
            // Noted before it leaves: the answer may be faster than this thread.
            let given_up = self.asks().ask(agent, ask, link.node);
            if let Some(oldest) = given_up {
                self.fail(oldest, AskError::Refused(RefusedBecause::Full));
            }
        }
        match link.send(parcel, policy) {
            Sent::Yes(dropped) => {
                self.bury(dropped);
                Ok(())
            }
            Sent::Dropped => {
                self.count(Reason::OutboxFull, 1);
                self.undo(question);
                // A question always has an end.
                if question.is_some() { Err(RefusedBecause::Full) } else { Ok(()) }
            }
            Sent::Full => {
                self.count(Reason::Refused, 1);
                self.undo(question);
                Err(RefusedBecause::Full)
            }
            Sent::No(error) => {
                self.count(Reason::Unsendable, 1);
                self.undo(question);
                Err(match error {
                    SendError::TooLarge { limit, .. } => {
                        RefusedBecause::TooLarge { len: parcel.frame.len(), limit }
                    }
                    _ => RefusedBecause::Closing,
                })
            }
        }
    }
}

impl Remote for Links {
    fn send(&self, node: NodeId, letter: Letter, policy: WhenFull) -> Result<(), RefusedBecause> {
        let Some(link) = self.find(node) else {
            self.count(Reason::NoSuchAgent, 1);
            return Err(RefusedBecause::Unknown);
        };
        let Letter { from, to, ask, body } = letter;
        let head = match ask {
            None => Head::Tell { to, from },
            Some(ask) => Head::Ask { to, from, ask },
        };
        let bounds = || self.bounds(to);
        with_frame(head, &body, |frame| {
            let (frame, cost) = frame.map_err(|error| self.refuse(&error))?;
            let lane = body.lane();
            let parcel = Parcel { from, to, ask, lane, frame, bounds: &bounds, cost };
            self.dispatch(&link, &parcel, policy)
        })
    }

    fn send_run(&self, node: NodeId, from: AgentId, to: AgentId, run: &mut VecDeque<Weighed>) {
        let Some(link) = self.find(node) else { return };
        FRAMES.with_borrow_mut(|frames| {
            loop {
                let count = frames.fill(Head::Tell { to, from }, run.iter().map(Weighed::body));
                if count == 0 {
                    break;
                }
                let sent = link.send_run(to, &|| self.bounds(to), frames);
                drop(run.drain(..sent));
                if sent < count {
                    break;
                }
            }
            frames.clear();
        });
    }

    fn answer(&self, node: NodeId, from: AgentId, to: ReplyTo, answer: Result<Body, AskError>) {
        let Some(link) = self.find(node) else { return self.count(Reason::NoSuchAgent, 1) };
        let refused = match &answer {
            Ok(body) => with_frame(Head::Reply { to, from }, body, |frame| match frame {
                Ok((frame, _)) => {
                    if !link.post(body.lane(), frame) {
                        self.count(Reason::OutboxFull, 1);
                    }
                    None
                }
                Err(error) => Some(AskError::Refused(self.refuse(&error))),
            }),
            Err(error) => Some(*error),
        };
        let failed = refused.map(|error| Frame::Failed { to, from, error });
        if failed.is_some_and(|failed| !link.say(&failed)) {
            self.count(Reason::OutboxFull, 1);
        }
    }

    fn watch(&self, node: NodeId, me: AgentId, who: AgentId, is_on: bool) {
        let Some(link) = self.find(node) else {
            // That is final, so nothing is noted.
            if is_on {
                self.tell(me, Event::Down(who, Down::Unknown));
            }
            return;
        };
        let mut watches = self.watches();
        if watches.entry(node).or_default().set(me, who, is_on) {
            // Under the lock, so that the node hears it in the order in which it was noted. Refused
            // only when far too much waits: then the next session repeats it.
            link.say(&if is_on { Frame::Watch(who) } else { Frame::Unwatch(who) });
        }
    }

    fn down(&self, node: NodeId, who: AgentId, why: Down) {
        let Some(link) = self.find(node) else { return };
        if why.is_final() {
            link.watched().remove(&who);
        }
        link.say(&Frame::Down(who, why));
    }
}

/// Puts a frame together, in memory that the thread keeps, and passes it on with its weight.
fn with_frame<T>(
    head: Head,
    body: &Body,
    then: impl FnOnce(Result<(&[u8], u64), EncodeError>) -> T,
) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        let result = parcel::write(head, body, scratch);
        let result = then(result.map(|cost| (scratch.as_slice(), cost)));
        if scratch.capacity() > MAX_SCRATCH {
            *scratch = Vec::new();
        }
        result
    })
}
