//! An agent that greets another one again and again, and measures the way there and back.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use dx_agents::{
    Agent, AgentId, Answer, AskError, AskId, AttrError, Context, Directory, Instant, Refusal,
    Stopping, TimerKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::round_trips::RoundTrips;
use super::{Text, echo};
use crate::config::{forms, units};
use crate::console::say;

/// The name of the kind.
pub const KIND: &str = "ping";

/// The attributes of a ping, which greets another agent again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attr {
    /// The agent that it greets.
    #[schemars(schema_with = "forms::agent")]
    pub target: u64,
    /// The time between two greetings.
    #[serde(with = "units::duration", default = "every_second")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "1day"))]
    pub interval: Duration,
    /// The time between two reports of how long answers took.
    #[serde(with = "units::duration", default = "every_ten_seconds")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "10ms", "x-greatest" = "1day"))]
    pub report: Duration,
    /// What each greeting carries beside its words.
    #[serde(default)]
    pub payload: String,
    /// Bytes that each greeting has at least: it is filled up with dots.
    #[serde(with = "units::size", default = "no_bytes")]
    #[schemars(schema_with = "forms::size", extend("x-least" = "0B", "x-greatest" = "15MiB"))]
    pub size: usize,
}

fn every_second() -> Duration {
    Duration::from_secs(1)
}

fn every_ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn no_bytes() -> usize {
    0
}

/// How long an answer may take. What takes longer counts as lost.
const ANSWER: Duration = Duration::from_secs(10);

/// Why writing into a string cannot fail.
const FITS: &str = "a string takes all text";

/// When it greets.
const GREET: TimerKey = TimerKey(1);

/// When it reports.
const REPORT: TimerKey = TimerKey(2);

/// The agent.
#[derive(Debug)]
pub struct Ping {
    attr: Attr,
    target: AgentId,
    /// Whether the target is known to answer.
    is_answered: bool,
    /// Greetings that have left.
    sent: u64,
    /// Those that came back at once, for lack of room.
    refused: u64,
    /// The questions without an answer yet: number of the greeting, and when it left.
    open: BTreeMap<AskId, (u64, Instant)>,
    answered: u64,
    lost: u64,
    /// Losses since the last answer. The first one is told at once, the others at the end.
    lost_in_a_row: u64,
    trips: RoundTrips,
    reported: (u64, u64, u64),
}

impl Ping {
    /// A ping of these attributes.
    ///
    /// # Errors
    /// If there is no agent that it could greet.
    pub fn new(attr: Attr, directory: &Directory) -> Result<Self, AttrError> {
        let target = AgentId(attr.target);
        let Some(spec) = directory.agent(target) else {
            return Err(AttrError::new("target", format!("there is no agent {}", attr.target)));
        };
        Ok(Self {
            is_answered: echo::answers(spec),
            attr,
            target,
            sent: 0,
            refused: 0,
            open: BTreeMap::new(),
            answered: 0,
            lost: 0,
            lost_in_a_row: 0,
            trips: RoundTrips::default(),
            reported: (0, 0, 0),
        })
    }

    /// How many greetings were answered, and how many were not and never will be.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.answered, self.lost)
    }

    /// The time between two greetings, if they are answered at all.
    #[must_use]
    pub fn answered_every(&self) -> Option<Duration> {
        self.is_answered.then_some(self.attr.interval)
    }

    fn greet(&mut self, cx: &mut Context) {
        let number = self.sent;
        self.sent += 1;
        let text = Text::new(self.greeting(number, cx.me()));
        if self.is_answered {
            let now = cx.now();
            let ask = cx.ask(self.target, text, ANSWER);
            self.open.insert(ask, (number, now));
        } else {
            cx.send(self.target, text);
        }
        cx.set_timer(GREET, self.attr.interval);
    }

    fn greeting(&self, number: u64, me: AgentId) -> Bytes {
        let mut text = format!("Hello #{number} from Ping agent {}", me.0).into_bytes();
        if !self.attr.payload.is_empty() {
            text.push(b' ');
            text.extend_from_slice(self.attr.payload.as_bytes());
        }
        text.resize(text.len().max(self.attr.size), b'.');
        text.into()
    }

    fn hear(&mut self, at: Instant, cx: &mut Context) {
        self.answered += 1;
        self.trips.add(cx.now().since(at));
        let lost = std::mem::take(&mut self.lost_in_a_row);
        if lost > 0 {
            let me = cx.me().0;
            say(cx, format!("Ping agent {me}: agent {} answers again; {lost} lost", self.target.0));
        }
    }

    fn lose(&mut self, number: u64, why: AskError, cx: &mut Context) {
        self.lost += 1;
        self.lost_in_a_row += 1;
        if self.lost_in_a_row == 1 {
            let me = cx.me().0;
            say(cx, format!("Ping agent {me}: Hello #{number} was not answered: {why}"));
        }
    }

    fn report(&mut self, cx: &mut Context) {
        let counts = (self.sent, self.answered, self.lost);
        if counts == self.reported {
            return;
        }
        self.reported = counts;
        let (me, sent) = (cx.me().0, self.sent);
        let mut line = format!("Ping agent {me}: {sent} sent");
        if self.refused > 0 {
            write!(line, ", {} refused", self.refused).expect(FITS);
        }
        if self.is_answered {
            write!(line, ", {} answered, {} lost", self.answered, self.lost).expect(FITS);
        }
        if self.answered > 0 {
            write!(line, "; {}", self.trips).expect(FITS);
        }
        say(cx, line);
    }
}

impl Agent for Ping {
    type Message = Text;

    fn start(&mut self, cx: &mut Context) {
        cx.set_timer(REPORT, self.attr.report);
        self.greet(cx);
    }

    /// Another ping may greet this one, or it itself: it takes that in silence.
    fn message(&mut self, _from: AgentId, _message: Text, _cx: &mut Context) {}

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if key == GREET {
            self.greet(cx);
        } else {
            self.report(cx);
            cx.set_timer(REPORT, self.attr.report);
        }
    }

    fn reply(&mut self, ask: AskId, answer: Result<Answer, AskError>, cx: &mut Context) {
        let Some((number, at)) = self.open.remove(&ask) else { return };
        match answer {
            Ok(_) => self.hear(at, cx),
            Err(AskError::Refused(_)) => self.refused += 1,
            Err(why) => self.lose(number, why, cx),
        }
    }

    fn refused(&mut self, refusal: Refusal, _cx: &mut Context) {
        if refusal.to == self.target {
            self.refused += refusal.count;
        }
    }

    fn stopping(&mut self, cx: &mut Context) -> Stopping {
        cx.cancel(GREET);
        self.report(cx);
        Stopping::Now
    }
}
