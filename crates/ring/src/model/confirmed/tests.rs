//! Two models by hand, in one view, of which messages are lost.

use bytes::Bytes;
use dx_agents::Instant;

use super::*;
use crate::batch::MAX_BATCH;
use crate::log::Log;
use crate::own::Own;
use crate::view::{Life, Seat, Standing, ViewId};

struct Member {
    id: AgentId,
    model: Confirmed,
    log: Log,
    own: Own,
    marks: Marks,
    sent: VecDeque<ModelMessage>,
}

fn view() -> View {
    let (life, standing, is_in) = (Life::default(), Standing::Voter, true);
    let roll = (1..=2).map(|id| Seat { id: AgentId(id), life, standing, is_in }).collect();
    let id = ViewId { number: 1, coordinator: AgentId(1), life };
    View { id, is_founding: true, roll }
}

impl Member {
    /// One whose window has room for one batch.
    fn new(id: u64) -> Self {
        let id = AgentId(id);
        let (model, log, marks) = (Confirmed::default(), Log::default(), Marks::default());
        let own = Own::new(id, Life::default(), 2, 2 * MAX_BATCH);
        let mut member = Self { id, model, log, own, marks, sent: VecDeque::new() };
        member.tell(Instant(0), |model, stage| {
            model.begin(stage);
            Ok(())
        });
        member
    }

    fn tell(
        &mut self,
        now: Instant,
        act: impl FnOnce(&mut Confirmed, &mut Stage<'_>) -> Result<(), Gap>,
    ) {
        let view = &view();
        let Self { id, model, log, own, marks, sent } = self;
        let (sends, again) = (Vec::new(), None);
        let mut stage = Stage { me: *id, view, now, log, own, marks, sends, again };
        act(model, &mut stage).expect("this model knows no gaps");
        model.pump(&mut stage);
        sent.extend(stage.sends.into_iter().map(|(_, message)| message));
        while self.log.at().seq < self.model.deliverable(view, &self.marks) {
            self.log.deliver().expect("what is approved is here");
        }
    }

    fn broadcast(&mut self, bytes: usize) {
        self.own.push(Bytes::from(vec![7; bytes])).expect("there is room");
    }

    fn wait(&mut self, passed: Duration) {
        self.tell(Instant(0) + passed, |_, _| Ok(()));
    }
}

/// All that is under way arrives, until nothing is; but what `is_lost` says is lost.
fn talk(members: &mut [Member; 2], now: Instant, is_lost: impl Fn(&ModelMessage) -> bool) {
    while let Some(from) = members.iter().position(|member| !member.sent.is_empty()) {
        let message = members[from].sent.pop_front().expect("there is one");
        let sender = members[from].id;
        if !is_lost(&message) {
            members[1 - from].tell(now, |model, stage| model.message(sender, message, stage));
        }
    }
}

/// Found with seed 591: the token's holder had no room for what it had to send, as it had not
/// delivered what it had sent; for that, an approval was missing that was lost, and nobody asked.
#[test]
fn a_holder_of_the_token_without_room_asks_for_approvals_that_were_lost() {
    let mut members = [Member::new(1), Member::new(2)];
    members[0].broadcast(1);
    members[1].broadcast(MAX_BATCH);
    members[1].broadcast(MAX_BATCH);
    for member in &mut members {
        member.wait(Duration::ZERO);
    }
    let of_first = |it: &ModelMessage| matches!(it, ModelMessage::Approve { seq: 1 });
    talk(&mut members, Instant(0), of_first);
    let turn = members[1].model.turn.as_ref().expect("the second has the token");
    assert_eq!((turn.token.next, members[1].own.waits()), (3, true), "and its window is closed");
    assert_eq!(members[1].log.at().seq, 0, "the approval was lost");
    members[1].wait(PATIENCE);
    talk(&mut members, Instant(0) + PATIENCE, |_| false);
    assert_eq!(members[1].log.at().seq, 2);
}
