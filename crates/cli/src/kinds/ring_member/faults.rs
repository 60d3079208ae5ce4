//! What goes wrong on purpose, as messages come in.

use std::collections::{BTreeMap, VecDeque};

use dx_agents::{AgentId, Context, Down, TimerKey};
use dx_ring::RingMessage;

use super::{Attr, Cut};

/// Cuts, and what waits for their end.
pub struct Faults {
    me: AgentId,
    cuts: Vec<Cut>,
    /// Which of them last.
    open: Vec<bool>,
    waiting: BTreeMap<AgentId, VecDeque<RingMessage>>,
}

/// A cut begins, of this index.
const BEGIN: u64 = 4 << 40;
/// It ends.
const END: u64 = 5 << 40;

impl Faults {
    /// Those of the member `me`.
    pub fn new(attr: &Attr, me: AgentId) -> Self {
        let cuts: Vec<Cut> =
            attr.cuts.iter().filter(|cut| cut.one == me.0 || cut.other == me.0).cloned().collect();
        let open = vec![false; cuts.len()];
        Self { me, cuts, open, waiting: BTreeMap::new() }
    }

    /// SEND has begun: from now on the times of cuts count.
    pub fn begin(&mut self, cx: &mut Context) {
        for (index, cut) in self.cuts.iter().enumerate() {
            cx.set_timer(TimerKey(BEGIN + index as u64), cut.at);
        }
    }

    /// The message, if it gets through now.
    pub fn pass(&mut self, from: AgentId, message: RingMessage) -> Option<RingMessage> {
        if self.is_cut(from) {
            // As many as a mailbox has room for: the mesh lets no more through.
            self.waiting.entry(from).or_default().push_back(message);
            return None;
        }
        Some(message)
    }

    /// A cut begins or ends: what gets through now, in order. `None`: the timer is another's.
    pub fn timer(
        &mut self,
        key: TimerKey,
        cx: &mut Context,
    ) -> Option<Vec<(AgentId, RingMessage)>> {
        let (index, begins) = match key.0 {
            BEGIN..END => (key.0 - BEGIN, true),
            END.. => (key.0 - END, false),
            _ => return None,
        };
        let cut = usize::try_from(index).ok().and_then(|at| Some((self.cuts.get(at)?, at)));
        let (cut, at) = cut?;
        self.open[at] = begins;
        if begins {
            cx.set_timer(TimerKey(END + index), cut.lasting);
            return Some(Vec::new());
        }
        let open: Vec<AgentId> =
            self.waiting.keys().copied().filter(|from| !self.is_cut(*from)).collect();
        let released = open.into_iter().flat_map(|from| {
            let waiting = self.waiting.remove(&from).unwrap_or_default();
            waiting.into_iter().map(move |message| (from, message))
        });
        Some(released.collect())
    }

    /// What a former life of `who` said is not heard any more.
    pub fn down(&mut self, who: AgentId, why: Down) {
        if matches!(why, Down::Restarted | Down::SessionLost) {
            self.waiting.remove(&who);
        }
    }

    fn is_cut(&self, from: AgentId) -> bool {
        let is_of = |cut: &Cut| [cut.one, cut.other].contains(&from.0) && from != self.me;
        self.cuts.iter().zip(&self.open).any(|(cut, is_open)| *is_open && is_of(cut))
    }
}
