//! A member of a ring at work: it broadcasts numbers, and tells what all of them came to.
//!
//! ```text
//! RingMember       answers who asks how it stands; holds back what is cut off
//!   Part
//!     Member       of dx-ring: agrees with the others on one order
//!       Seat       tells of stages and views
//!         Runner   of dx-ring: START, SEND, GRACE, STOP
//!     Naive        loses messages; tells of stages
//!       NaiveMember   of dx-ring: hopes for the best
//! ```

mod attr;
mod faults;
mod naive;
mod part;
mod report;
mod seat;
mod stages;

use dx_agents::id::ReplyTo;
use dx_agents::{
    Agent, AgentId, AgentSpec, AttrError, Context, Directory, Down, Instant, Refusal, TimerKey,
};
use dx_ring::run::Stage;
use dx_ring::{Member, RingConfig, RingMessage, Standstill};
use std::time::Duration;

use self::faults::{Faults, Held};
use self::naive::Naive;
use self::part::Part;
use self::seat::Seat;
use crate::console::say;

pub use self::attr::{Attr, Cut, Model};
pub use self::report::{Answered, Question, Report, Result, State, Until};

/// The name of the kind.
pub const KIND: &str = "ring-member";

/// The agent.
pub struct RingMember {
    part: Part,
    faults: Faults,
    me: AgentId,
    /// Who is to be told when it has got somewhere.
    asked: Vec<(ReplyTo, Until)>,
    /// What the run was at in the last step, and whether there was a result.
    at: (Stage, bool),
    standstill: Standstill,
    /// Whether it has said that it is blocked, and not yet that it is no more.
    has_complained: bool,
    /// Since when it has been standing still for want of a majority.
    blocked: Option<Instant>,
}

/// When it looks how it stands. Smaller keys are those of its part.
const LOOK: TimerKey = TimerKey(4 << 40);

/// The time between two looks: what a person takes for at once.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A member that has reached no majority for this long says so to those who wait for its result.
/// Longer than a change of view or the restart of a process takes.
const BLOCKED: Duration = Duration::from_secs(5);

impl RingMember {
    /// The member that `spec` describes.
    ///
    /// # Errors
    /// If members contradict each other, the mailbox is too small, or the model cannot do what is
    /// asked of it.
    pub fn new(
        attr: &Attr,
        spec: &AgentSpec,
        directory: &Directory,
    ) -> std::result::Result<Self, AttrError> {
        attr.check(spec, directory)?;
        let config = RingConfig::new(directory.by_kind(KIND).to_vec());
        let room = config.mailbox();
        let mailbox = spec.options.mailbox;
        if mailbox.bytes < room.bytes || mailbox.messages < room.messages {
            let bytes = crate::config::units::size::text(room.bytes);
            let needed =
                format!("mailbox = {{ messages = {}, bytes = \"{bytes}\" }}", room.messages);
            let why = format!("a member needs a larger mailbox: set `{needed}` beside `attr`");
            return Err(AttrError::new("", why));
        }
        let faults = Faults::new(attr, spec.id, room);
        // Members lose different messages.
        let lost = (attr.drop, attr.seed ^ spec.id.0.rotate_left(32));
        let part = if attr.model == Model::Naive {
            Part::Naive(Box::new(Naive::new(config.members, attr.plan(), lost, attr.tell_own)))
        } else {
            let seat = Seat::new(attr.plan(), attr.tell_own);
            Part::Ring(Box::new(Member::new(config, attr.model.make(lost)?, seat)))
        };
        Ok(Self {
            part,
            faults,
            me: spec.id,
            asked: Vec::new(),
            at: (Stage::Start, false),
            standstill: Standstill::Changing,
            has_complained: false,
            blocked: None,
        })
    }

    /// Says what has changed, and answers those who waited for it.
    fn look(&mut self, cx: &mut Context) {
        let (standstill, now) = (self.part.standstill(cx), cx.now());
        self.blocked = match standstill {
            Standstill::Blocked => self.blocked.or(Some(now)),
            _ => None,
        };
        let is_long = self.blocked.is_some_and(|since| now.since(since) >= BLOCKED);
        // Before the first view it waits for those that start.
        let was_in_view = self.part.view().is_some();
        if standstill != self.standstill
            && (standstill != Standstill::Blocked || was_in_view || is_long)
        {
            if let Some(words) = words(self.has_complained, standstill) {
                say(cx, format!("member {}: {words}", self.me.0));
                self.has_complained = standstill == Standstill::Blocked;
            }
            self.standstill = standstill;
        }
        let is_stuck = standstill == Standstill::Lost || is_long;
        let part = &self.part;
        let (due, later) = std::mem::take(&mut self.asked)
            .into_iter()
            .partition(|(_, until)| is_stuck || until.is_met(part));
        self.asked = later;
        if !Vec::is_empty(&due) {
            let answer = Answered::new(&self.report());
            for (to, _) in due {
                cx.reply(to, answer.clone());
            }
        }
    }

    /// A cut is over.
    fn hear(&mut self, from: AgentId, held: Held, cx: &mut Context) {
        match held {
            Held::Waiting { messages, .. } => {
                for message in messages {
                    self.part.agent().message(from, message, cx);
                }
            }
            Held::Lost => {
                let (me, from_id) = (self.me.0, from.0);
                let what = "so long a cut that what was said meanwhile is lost";
                say(cx, format!("member {me}: member {from_id} is back after {what}"));
                self.part.agent().down(from, Down::SessionLost, cx);
            }
        }
    }

    fn report(&self) -> Report {
        Report::new(self.me, &self.part, self.standstill)
    }

    /// After each step: a stage that begins may begin cuts, and is waited for, as is the result.
    fn after(&mut self, cx: &mut Context) {
        let at = (self.part.stage(), self.part.result().is_some());
        if at != self.at {
            let begins = self.at.0 < Stage::Send && at.0 >= Stage::Send;
            self.at = at;
            if begins {
                self.faults.begin(cx);
            }
            self.look(cx);
        }
    }
}

fn words(has_complained: bool, now: Standstill) -> Option<&'static str> {
    match now {
        Standstill::None if has_complained => Some("reaches a majority again"),
        Standstill::None | Standstill::Changing => None,
        Standstill::Blocked => Some("blocked: it reaches no majority, and delivers nothing"),
        Standstill::Lost => {
            Some("lost: a majority has lost its memory, and the ring is at its end")
        }
    }
}

impl Agent for RingMember {
    type Message = RingMessage;

    fn start(&mut self, cx: &mut Context) {
        cx.set_timer(LOOK, LOOK_EVERY);
        self.part.agent().start(cx);
        self.after(cx);
    }

    fn message(&mut self, from: AgentId, message: RingMessage, cx: &mut Context) {
        if let RingMessage::Request(bytes) = &message {
            // What is no question of this version has no answer.
            if let (Some(to), Some(question)) = (cx.asked(), Question::decode(bytes)) {
                self.asked.push((to, question.until));
                self.look(cx);
            }
            return;
        }
        if let Some(message) = self.faults.pass(from, message) {
            self.part.agent().message(from, message, cx);
            self.after(cx);
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if key == LOOK {
            cx.set_timer(LOOK, LOOK_EVERY);
            self.look(cx);
            return;
        }
        match self.faults.timer(key, cx) {
            Some(held) => {
                for (from, held) in held {
                    self.hear(from, held, cx);
                }
            }
            None => self.part.agent().timer(key, cx),
        }
        self.after(cx);
    }

    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        self.faults.down(who, why);
        self.part.agent().down(who, why, cx);
        self.after(cx);
    }

    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        self.part.agent().refused(refusal, cx);
        self.after(cx);
    }

    fn writable(&mut self, to: AgentId, cx: &mut Context) {
        self.part.agent().writable(to, cx);
        self.after(cx);
    }
}
