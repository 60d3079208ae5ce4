use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// What is on its way to the receiver, in one lane.
#[derive(Debug)]
enum Forth {
    Message(u64),
    Probe(u64),
}

/// What is on its way back.
#[derive(Debug)]
enum Back {
    Grant(Amount),
    Held(u64, Amount),
}

/// Both sides, and the session between them.
struct World {
    bounds: MailboxBounds,
    /// The sender's account, if it has one: before its first message, and while nothing is out, it
    /// need not.
    account: Option<Allowance>,
    quota: Quota,
    lanes: [VecDeque<Forth>; 3],
    back: VecDeque<Back>,
    mailbox: VecDeque<u64>,
    round: u64,
}

#[derive(Clone, Debug)]
enum Op {
    Send(usize, u64),
    Arrive(usize),
    /// So many arrive together, each of which is handled at once.
    Pass(usize, usize),
    Handle,
    Return,
    /// The sender forgets an account with nothing out.
    Forget,
    /// The session ends: so many of each lane, and of what comes back, are lost. What is behind
    /// them was not sent, and leaves in the next one.
    Lose([usize; 3], usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..3_usize, 0..2000_u64).prop_map(|(lane, bytes)| Op::Send(lane, bytes)),
        2 => (0..3_usize, 0..2_000_000_u64).prop_map(|(lane, bytes)| Op::Send(lane, bytes)),
        4 => (0..3_usize).prop_map(Op::Arrive),
        2 => (0..3_usize, 1..100_usize).prop_map(|(lane, count)| Op::Pass(lane, count)),
        3 => Just(Op::Handle),
        2 => Just(Op::Return),
        1 => Just(Op::Forget),
        1 => ([0..5_usize, 0..5_usize, 0..5_usize], 0..5_usize)
            .prop_map(|(lanes, back)| Op::Lose(lanes, back)),
    ]
}

impl World {
    fn new(bounds: &MailboxBounds, nodes: usize) -> Self {
        let share = share(bounds, nodes);
        let mut world = Self {
            bounds: *bounds,
            account: None,
            quota: Quota::new(share),
            lanes: Default::default(),
            back: VecDeque::new(),
            mailbox: VecDeque::new(),
            round: 0,
        };
        world.back.push_back(Back::Grant(Amount::default()));
        world
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Send(lane, bytes) => {
                let allowance = self.allowance();
                if allowance.may_take(bytes) {
                    allowance.take(bytes);
                    self.lanes[lane].push_back(Forth::Message(bytes));
                }
            }
            Op::Arrive(lane) => self.arrive(lane),
            Op::Pass(lane, count) => self.pass(lane, count),
            Op::Handle => {
                if let Some(bytes) = self.mailbox.pop_front() {
                    self.back.extend(self.quota.free(bytes).map(Back::Grant));
                }
            }
            Op::Return => {
                let (back, share) = (self.back.pop_front(), self.quota.share());
                // What comes for no account is nobody's.
                match (back, &mut self.account) {
                    (Some(Back::Grant(freed)), Some(it)) => it.granted(freed, share),
                    (Some(Back::Held(round, held)), Some(it)) => it.settle(round, held),
                    (None, _) | (_, None) => {}
                }
            }
            Op::Forget => self.account = self.account.filter(|allowance| !allowance.is_idle()),
            Op::Lose(lanes, back) => {
                for (lane, lost) in self.lanes.iter_mut().zip(lanes) {
                    lane.drain(..lost.min(lane.len()));
                }
                self.back.drain(..back.min(self.back.len()));
                self.round += 1;
                if self.account.as_mut().is_some_and(|it| it.probe(self.round)) {
                    for lane in &mut self.lanes {
                        lane.push_back(Forth::Probe(self.round));
                    }
                }
            }
        }
    }

    fn allowance(&mut self) -> &mut Allowance {
        self.account.get_or_insert_with(|| Allowance::new(&self.bounds))
    }

    fn arrive(&mut self, lane: usize) {
        match self.lanes[lane].pop_front() {
            Some(Forth::Message(bytes)) => {
                assert!(self.quota.admit(bytes), "an honest sender is never refused");
                self.mailbox.push_back(bytes);
            }
            Some(Forth::Probe(round)) => {
                let held = self.quota.probe(round, lane);
                if let Some(held) = held {
                    let share = Back::Grant(Amount::default());
                    self.back.extend([share, Back::Held(round, held)]);
                }
            }
            None => {}
        }
    }

    fn pass(&mut self, lane: usize, count: usize) {
        for nth in 0..count {
            let Some(Forth::Message(bytes)) = self.lanes[lane].front() else { break };
            let bytes = *bytes;
            self.lanes[lane].pop_front();
            let may =
                if nth == 0 { self.quota.admit(bytes) } else { self.quota.admit_another(bytes) };
            assert!(may, "an honest sender is never refused");
            self.back.extend(self.quota.free(bytes).map(Back::Grant));
        }
    }

    /// Everything that is under way arrives, and all is handled.
    fn settle(&mut self) {
        while !self.back.is_empty()
            || !self.mailbox.is_empty()
            || self.lanes.iter().any(|lane| !lane.is_empty())
        {
            (0..3).for_each(|lane| self.arrive(lane));
            self.apply(&Op::Handle);
            self.apply(&Op::Return);
        }
    }
}

proptest! {
    #[test]
    fn an_honest_sender_is_never_refused_and_never_stuck(
        messages in 1..200_usize,
        bytes in prop_oneof![0..100_000_usize, 0..3_000_000_usize],
        nodes in 1..10_usize,
        ops in prop::collection::vec(op(), 0..400),
    ) {
        let bounds = MailboxBounds { messages, bytes, ..MailboxBounds::DEFAULT };
        let mut world = World::new(&bounds, nodes);
        for op in &ops {
            world.apply(op);
            prop_assert!(world.quota.held().messages <= world.quota.share().messages.max(64));
        }
        world.settle();
        let (allowance, quota) = (*world.allowance(), world.quota);
        prop_assert!(allowance.may_take(1 << 40), "{allowance:?} {quota:?}");
        prop_assert!(world.quota.is_idle());
    }

    #[test]
    fn whatever_a_sender_does_no_more_is_held_than_its_share(
        sizes in prop::collection::vec(0..5000_u64, 0..500),
    ) {
        let share = Amount { messages: 100, bytes: 300_000 };
        let mut quota = Quota::new(share);
        let admitted = sizes.iter().filter(|bytes| quota.admit(**bytes)).count();
        prop_assert!(admitted <= 100);
        prop_assert!(quota.held().bytes <= share.bytes);
    }
}

#[test]
fn a_message_larger_than_the_share_has_its_turn() {
    let bounds = MailboxBounds { messages: 10, bytes: 100, ..MailboxBounds::DEFAULT };
    let mut allowance = Allowance::new(&bounds);
    assert!(allowance.may_take(1000));
    allowance.take(1000);
    assert!(!allowance.may_take(0));
}

#[test]
fn an_honest_sender_whose_lanes_overtake_each_other_is_not_refused() {
    let bounds = MailboxBounds { messages: 100, bytes: 8 << 20, ..MailboxBounds::DEFAULT };
    let mut world = World::new(&bounds, 1);
    world.allowance();
    world.apply(&Op::Return);
    world.apply(&Op::Send(2, 3 << 20));
    world.apply(&Op::Send(1, 8 << 20));
    world.arrive(1);
    world.arrive(2);
    assert_eq!(world.quota.held().messages, 2);
}

#[test]
fn places_are_given_back_by_halves() {
    let mut quota = Quota::new(Amount { messages: 100, bytes: 1 << 20 });
    let granted: Vec<_> = (0..100)
        .map(|_| quota.admit(1))
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|admitted| admitted.then(|| quota.free(1)).flatten())
        .map(|freed| freed.messages)
        .collect();
    assert_eq!(granted, [32, 50], "the sender knows its share from the first on");
}

/// As one does that was told of it before its first message: by a node that knows its earlier life.
#[test]
fn a_sender_that_has_not_heard_of_its_share_is_not_stuck_at_the_opening() {
    let bounds = MailboxBounds { messages: 16 << 10, ..MailboxBounds::DEFAULT };
    let mut world = World::new(&bounds, 2);
    world.apply(&Op::Return);
    for _ in 0..OPENING.messages {
        world.apply(&Op::Send(1, 10));
    }
    world.settle();
    assert!(world.allowance().may_take(10), "{:?} {:?}", world.account, world.quota);
    assert_eq!(world.allowance().share(), share(&bounds, 2));
}

#[test]
fn nodes_share_a_mailbox_and_none_gets_less_than_the_opening() {
    let bounds = MailboxBounds { messages: 1000, bytes: 1 << 20, ..MailboxBounds::DEFAULT };
    assert_eq!(share(&bounds, 4).messages, 250);
    assert_eq!(share(&bounds, 1000), OPENING);
    let small = MailboxBounds { messages: 3, bytes: 10, ..MailboxBounds::DEFAULT };
    assert_eq!(share(&small, 4), Amount { messages: 3, bytes: 10 });
}
