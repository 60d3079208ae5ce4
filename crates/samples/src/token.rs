//! Members in a ring pass a token; whoever has it may number what it does. A token that is lost is
//! made anew, under a higher generation that a majority has promised to one member only (as views
//! are in Amir et al.: "The Totem single-ring ordering and membership protocol", TOCS 1995).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Down, Instant, Message, Registry, TimerKey};
use dx_sim::{Failure, Sim};
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::sample::{DONE, PATIENCE, Planted, Sample, Size, Sizes, TORMENT, agent, attr};

/// The ring.
pub const SAMPLE: Sample = Sample {
    name: "token",
    about: "members pass one token, and make it anew if it is lost",
    bugs: &[
        Planted {
            name: "passes-again",
            about: "a member whose session with the next one ends passes the token again",
            breaks: &[ONE_TOKEN, USED_ONCE],
        },
        Planted {
            name: "makes-alone",
            about: "who misses the token makes another without asking",
            breaks: &[ONE_TOKEN, USED_ONCE],
        },
        Planted {
            name: "small-quorum",
            about: "the promises of half of the members are enough",
            breaks: &[ONE_TOKEN, USED_ONCE],
        },
        Planted {
            name: "promise-in-memory",
            about: "what a member promised is not written down",
            breaks: &[ONE_TOKEN, USED_ONCE],
        },
        Planted {
            name: "counts-twice",
            about: "a promise that comes twice counts twice",
            breaks: &[ONE_TOKEN, USED_ONCE],
        },
        Planted {
            name: "takes-stale",
            about: "a member takes a token of a generation that was given up",
            breaks: &[NO_WAY_BACK],
        },
        Planted {
            name: "patience-not-renewed",
            about: "a member that sees the token does not wait anew",
            breaks: &[CALM, PATIENT],
        },
        Planted {
            name: "tries-once",
            about: "a member whose attempt to make a token failed does not try again",
            breaks: &[ALL_DONE],
        },
    ],
    registry: || {
        Registry::new().kind("member", |spec, directory| {
            let attr = attr(spec)?;
            let members = directory.by_kind("member").to_vec();
            Ok(Member::new(attr.bug, attr.operations, members))
        })
    },
    agents: |size| {
        let members = (1..=size.members).map(AgentId);
        members.map(|id| agent(id, "member", size.operations)).collect()
    },
    sizes: Sizes { least: Size::new(3, 1), most: Size::new(5, 10), small: Size::new(3, 1) },
    is_datagrams: false,
    workers: "member",
    watch,
    ends,
    torment: TORMENT,
    small_torments: [Duration::from_millis(4), Duration::from_millis(400)],
    most_down: 2,
};

const ONE_TOKEN: &str = "a generation has one token";
const USED_ONCE: &str = "no number is used twice in one generation";
const NO_WAY_BACK: &str = "nobody uses a token of a generation that it has given up";
const ALL_DONE: &str = "the token comes to all in the end";
const CALM: &str = "a token that is seen is not made anew";
const PATIENT: &str = "nobody wants to make a token who has just seen one";

const GIVEN_UP: &str = "a token comes of a generation that was given up";
const MADE_ANEW: &str = "a majority lets a member make a token";
const ASKED_LATE: &str = "a member asks for a generation when a later one is promised";
const DROPPED: &str = "a member throws away the token that it has";

/// How long a member keeps the token.
const KEEP: Duration = Duration::from_millis(1);
/// How long it does without, at least: many rounds.
const WAIT: Duration = Duration::from_millis(100);
const WAIT_KEY: TimerKey = TimerKey(1);
const PASS_KEY: TimerKey = TimerKey(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bug {
    PassesAgain,
    MakesAlone,
    SmallQuorum,
    PromiseInMemory,
    CountsTwice,
    TakesStale,
    PatienceNotRenewed,
    TriesOnce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    generation: u64,
    /// How often it was used.
    uses: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Ring {
    Pass(Token),
    Ask {
        generation: u64,
    },
    Promise {
        generation: u64,
    },
    /// Not promised: a higher one was.
    Known {
        generation: u64,
    },
}

impl Message for Ring {
    const NAME: &'static str = "ring";
}

struct Member {
    bug: Option<Bug>,
    operations: u64,
    members: Vec<AgentId>,
    /// The highest generation that was promised, to whomever.
    promised: u64,
    promised_to: Option<AgentId>,
    token: Option<Token>,
    passed: Option<Token>,
    /// Who promised the generation that this member wants to make.
    promises: Vec<AgentId>,
    /// The token as it was used last, and what was promised then; and how often in this life.
    used: Option<(Token, u64)>,
    times: u64,
    /// When it last had the token.
    seen: Option<Instant>,
    /// How long it had not when it last wanted to make one.
    waited: Option<Duration>,
}

impl Member {
    fn new(bug: Option<Bug>, operations: u64, members: Vec<AgentId>) -> Self {
        Self {
            bug,
            operations,
            members,
            promised: 0,
            promised_to: None,
            token: None,
            passed: None,
            promises: Vec::new(),
            used: None,
            times: 0,
            seen: None,
            waited: None,
        }
    }

    fn wait(cx: &mut Context) {
        let more = cx.rng().below(WAIT.as_nanos() as u64);
        cx.set_timer(WAIT_KEY, WAIT + Duration::from_nanos(more));
    }

    fn promise(&mut self, generation: u64, to: AgentId, cx: &mut Context) {
        (self.promised, self.promised_to) = (generation, Some(to));
        if self.token.take().is_some() {
            cx.note(DROPPED, 1);
        }
        cx.cancel(PASS_KEY);
        if self.bug != Some(Bug::PromiseInMemory) {
            cx.persist(journal::write(&(generation, to)));
        }
    }

    /// The token is here.
    fn take(&mut self, token: Token, cx: &mut Context) {
        if token.generation < self.promised && self.bug != Some(Bug::TakesStale) {
            cx.note(GIVEN_UP, 1);
            return;
        }
        if token.generation > self.promised {
            self.promise(token.generation, cx.me(), cx);
        }
        let token = Token { uses: token.uses + 1, ..token };
        self.used = Some((token, self.promised));
        self.times += 1;
        self.seen = Some(cx.now());
        cx.note(DONE, self.times);
        self.token = Some(token);
        cx.set_timer(PASS_KEY, KEEP);
        if self.bug != Some(Bug::PatienceNotRenewed) {
            Self::wait(cx);
        }
    }

    fn next(&self, me: AgentId) -> AgentId {
        let after = self.members.iter().copied().find(|id| *id > me);
        after.unwrap_or(self.members[0])
    }

    fn pass(&mut self, cx: &mut Context) {
        if let Some(token) = self.token.take() {
            let next = self.next(cx.me());
            self.passed = Some(token);
            if self.bug == Some(Bug::PassesAgain) {
                cx.monitor(next);
            }
            cx.send(next, Ring::Pass(token));
        }
    }

    /// Asks for the next generation.
    fn seek(&mut self, cx: &mut Context) {
        self.waited = self.seen.map(|seen| cx.now().since(seen));
        let (me, generation) = (cx.me(), self.promised + 1);
        self.promise(generation, me, cx);
        self.promises = vec![me];
        let others: Vec<AgentId> = self.members.iter().copied().filter(|id| *id != me).collect();
        cx.send_many(&others, &Ring::Ask { generation });
        // Whoever was out of reach hears it twice, and some hear it for the first time.
        cx.send_many(&others, &Ring::Ask { generation });
        if self.bug == Some(Bug::MakesAlone) {
            self.take(Token { generation, uses: 0 }, cx);
        }
    }

    fn promised_by(&mut self, from: AgentId, generation: u64, cx: &mut Context) {
        let is_mine = generation == self.promised && self.promised_to == Some(cx.me());
        let is_new = !self.promises.contains(&from) || self.bug == Some(Bug::CountsTwice);
        if !is_mine || !is_new || self.promises.is_empty() {
            return;
        }
        self.promises.push(from);
        let half = self.members.len() / 2;
        let quorum = if self.bug == Some(Bug::SmallQuorum) { half } else { half + 1 };
        if self.promises.len() >= quorum {
            self.promises.clear();
            cx.note(MADE_ANEW, generation);
            self.take(Token { generation, uses: 0 }, cx);
        }
    }
}

impl Agent for Member {
    type Message = Ring;

    fn start(&mut self, cx: &mut Context) {
        if let Some((generation, to)) = journal::records::<(u64, AgentId)>(cx).pop() {
            (self.promised, self.promised_to) = (generation, Some(to));
        }
        Self::wait(cx);
    }

    fn message(&mut self, from: AgentId, message: Ring, cx: &mut Context) {
        match message {
            Ring::Pass(token) => self.take(token, cx),
            Ring::Ask { generation } if generation > self.promised => {
                self.promise(generation, from, cx);
                cx.send(from, Ring::Promise { generation });
            }
            Ring::Ask { generation } if generation == self.promised => {
                if self.promised_to == Some(from) {
                    cx.send(from, Ring::Promise { generation });
                }
            }
            Ring::Ask { .. } => {
                cx.note(ASKED_LATE, 1);
                cx.send(from, Ring::Known { generation: self.promised });
            }
            Ring::Promise { generation } => self.promised_by(from, generation, cx),
            Ring::Known { generation } => {
                // The next attempt will be above it.
                if generation > self.promised {
                    self.promise(generation, from, cx);
                }
            }
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if key == PASS_KEY {
            self.pass(cx);
            return;
        }
        self.seek(cx);
        if self.bug != Some(Bug::TriesOnce) {
            Self::wait(cx);
        }
    }

    fn down(&mut self, _: AgentId, why: Down, cx: &mut Context) {
        if self.bug == Some(Bug::PassesAgain) && why == Down::SessionLost {
            self.token = self.token.or(self.passed);
            self.pass(cx);
        }
    }
}

fn watch(sim: &mut Sim) {
    for point in [GIVEN_UP, MADE_ANEW, ASKED_LATE, DROPPED] {
        sim.watch_note(point);
    }
    let members = sim.directory().by_kind("member").to_vec();
    let all = members.clone();
    sim.always(ONE_TOKEN, move |sim| {
        let mut held: BTreeMap<u64, AgentId> = BTreeMap::new();
        for id in &all {
            let token = sim.agent::<Member>(*id).and_then(|member| member.token);
            let Some(token) = token else { continue };
            if let Some(other) = held.insert(token.generation, *id) {
                return Err(format!("{other} and {id} have one of {}", token.generation));
            }
        }
        Ok(())
    });
    let mut numbers: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut seen: BTreeMap<AgentId, Token> = BTreeMap::new();
    let all = members.clone();
    sim.always(USED_ONCE, move |sim| {
        for id in &all {
            let used = sim.agent::<Member>(*id).and_then(|member| member.used);
            let Some((token, _)) = used else { continue };
            if seen.insert(*id, token) != Some(token)
                && !numbers.insert((token.generation, token.uses))
            {
                return Err(format!("{id} uses {token:?} again"));
            }
        }
        Ok(())
    });
    let all = members.clone();
    sim.always(PATIENT, move |sim| {
        for id in &all {
            let waited = sim.agent::<Member>(*id).and_then(|member| member.waited);
            if let Some(waited) = waited.filter(|waited| *waited < WAIT) {
                return Err(format!("{id} wants to make a token, and saw one {waited:?} before"));
            }
        }
        Ok(())
    });
    sim.always(NO_WAY_BACK, move |sim| {
        for id in &members {
            let used = sim.agent::<Member>(*id).and_then(|member| member.used);
            let Some((token, promised)) = used else { continue };
            if token.generation < promised {
                return Err(format!("{id} uses {token:?} and has promised {promised}"));
            }
        }
        Ok(())
    });
}

fn ends(sim: &mut Sim) -> Result<(), Failure> {
    let count = sim.directory().by_kind("member").len();
    let mut at_least = 0;
    sim.run_until(ALL_DONE, PATIENCE, |sim| {
        let members = sim.agents_of::<Member>();
        members.filter(|(_, it)| it.times >= it.operations).count() == count
    })?;
    // Links may yet be found, and those who are behind ask once more.
    for _ in 0..10 {
        sim.run_for(5 * WAIT)?;
        let promised = highest(sim);
        if promised == at_least {
            return Ok(());
        }
        at_least = promised;
    }
    sim.run_until(CALM, Duration::ZERO, |_| false)
}

fn highest(sim: &Sim) -> u64 {
    sim.agents_of::<Member>().map(|(_, member)| member.promised).max().unwrap_or(0)
}
