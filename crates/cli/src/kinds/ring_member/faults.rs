//! What goes wrong on purpose, as messages come in.

use std::collections::{BTreeMap, VecDeque};

use dx_agents::{AgentId, Context, Down, MailboxBounds, Message, TimerKey};
use dx_ring::RingMessage;

use super::{Attr, Cut};

/// Cuts, and what waits for their end.
pub struct Faults {
    me: AgentId,
    cuts: Vec<Cut>,
    /// Which of them last.
    open: Vec<bool>,
    /// What may wait of one member: as much as a member's mailbox takes, which is more than all
    /// may have under way in one view.
    bounds: MailboxBounds,
    held: BTreeMap<AgentId, Held>,
}

/// What a member said during a cut.
#[derive(Debug)]
pub enum Held {
    /// It waits for the end.
    Waiting {
        /// In its order.
        messages: VecDeque<RingMessage>,
        /// Bytes of payload.
        bytes: usize,
    },
    /// It was more than may wait. As over a link that is gone for long, the conversation ends:
    /// nothing of it comes, and this member is told so at the end of the cut.
    Lost,
}

/// A cut begins, of this index.
const BEGIN: u64 = 5 << 40;
/// It ends.
const END: u64 = 6 << 40;

impl Faults {
    /// Those of the member `me`, whose mailbox has these bounds.
    pub fn new(attr: &Attr, me: AgentId, bounds: MailboxBounds) -> Self {
        let cuts: Vec<Cut> =
            attr.cuts.iter().filter(|cut| cut.one == me.0 || cut.other == me.0).cloned().collect();
        let open = vec![false; cuts.len()];
        Self { me, cuts, open, bounds, held: BTreeMap::new() }
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
            self.held.entry(from).or_default().push(message, self.bounds);
            return None;
        }
        Some(message)
    }

    /// A cut begins or ends: what is known now of whom. `None`: the timer is another's.
    pub fn timer(&mut self, key: TimerKey, cx: &mut Context) -> Option<Vec<(AgentId, Held)>> {
        let (index, begins) = match key.0 {
            BEGIN..END => (key.0 - BEGIN, true),
            END.. => (key.0 - END, false),
            _ => return None,
        };
        let cut = usize::try_from(index).ok().and_then(|at| Some((self.cuts.get(at)?, at)));
        let (cut, at) = cut?;
        if begins {
            cx.set_timer(TimerKey(END + index), cut.lasting);
        }
        Some(self.turn(at, begins))
    }

    /// The cut of this index begins or ends.
    fn turn(&mut self, at: usize, begins: bool) -> Vec<(AgentId, Held)> {
        self.open[at] = begins;
        let ended: Vec<AgentId> =
            self.held.keys().copied().filter(|from| !self.is_cut(*from)).collect();
        ended.into_iter().filter_map(|from| self.held.remove_entry(&from)).collect()
    }

    /// What a former life of `who` said is not heard any more.
    pub fn down(&mut self, who: AgentId, why: Down) {
        if matches!(why, Down::Restarted | Down::SessionLost) {
            self.held.remove(&who);
        }
    }

    fn is_cut(&self, from: AgentId) -> bool {
        let is_of = |cut: &Cut| [cut.one, cut.other].contains(&from.0) && from != self.me;
        self.cuts.iter().zip(&self.open).any(|(cut, is_open)| *is_open && is_of(cut))
    }
}

impl Held {
    fn push(&mut self, message: RingMessage, bounds: MailboxBounds) {
        let Self::Waiting { messages, bytes } = self else { return };
        *bytes += message.body().len();
        messages.push_back(message);
        if messages.len() > bounds.messages || *bytes > bounds.bytes {
            *self = Self::Lost;
        }
    }
}

impl Default for Held {
    fn default() -> Self {
        Self::Waiting { messages: VecDeque::new(), bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    const OTHER: AgentId = AgentId(2);
    const BOUNDS: MailboxBounds =
        MailboxBounds { messages: 3, bytes: 100, ..MailboxBounds::DEFAULT };

    fn faults() -> Faults {
        let cut = Cut { one: 1, other: 2, at: Duration::ZERO, lasting: Duration::from_secs(1) };
        let attr = Attr { cuts: vec![cut], ..Attr::default() };
        Faults::new(&attr, AgentId(1), BOUNDS)
    }

    fn message(size: usize) -> RingMessage {
        RingMessage::Request(Bytes::from(vec![7; size]))
    }

    /// What is known after a cut in which these came.
    fn after(sizes: &[usize]) -> Vec<(AgentId, Held)> {
        let mut faults = faults();
        assert!(faults.pass(OTHER, message(1)).is_some(), "it has not begun");
        assert!(faults.turn(0, true).is_empty());
        for size in sizes {
            assert!(faults.pass(OTHER, message(*size)).is_none());
            assert!(faults.pass(AgentId(3), message(*size)).is_some(), "no cut is there");
        }
        let held = faults.turn(0, false);
        assert!(faults.pass(OTHER, message(1)).is_some(), "it is over");
        held
    }

    #[test]
    fn what_is_said_during_a_cut_comes_after_it_in_its_order() {
        let held = after(&[1, 2, 97]);
        let [(OTHER, Held::Waiting { messages, .. })] = &held[..] else { panic!("{held:?}") };
        let sizes: Vec<usize> = messages.iter().map(|it| it.body().len()).collect();
        assert_eq!(sizes, [1, 2, 97]);
    }

    #[test]
    fn a_cut_during_which_too_much_is_said_ends_the_conversation() {
        for too_much in [&[1, 1, 1, 1][..], &[50, 51], &[1, 1, 1, 1, 1, 1]] {
            let held = after(too_much);
            assert!(matches!(held[..], [(OTHER, Held::Lost)]), "{held:?}");
        }
    }

    #[test]
    fn what_a_former_life_said_does_not_come_after_the_cut() {
        for why in [Down::Restarted, Down::SessionLost] {
            let mut faults = faults();
            faults.turn(0, true);
            faults.pass(OTHER, message(1));
            faults.down(OTHER, why);
            assert!(faults.pass(OTHER, message(2)).is_none());
            let held = faults.turn(0, false);
            let [(_, Held::Waiting { messages, .. })] = &held[..] else { panic!("{held:?}") };
            assert_eq!(messages.len(), 1);
        }
    }
}
