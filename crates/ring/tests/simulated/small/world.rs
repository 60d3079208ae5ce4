//! Three cores and what is under way between them, driven by choices: which message comes next,
//! who is cut off, who takes others for dead, whose session ends, who dies.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use dx_agents::{AgentId, Instant, Lane, Message};
use dx_ring::{Core, Life, Output, RingConfig, RingMessage, Standstill};
use dx_sim::Choices;

use super::super::models::Make;
use super::super::oracle::{Oracle, Who};

/// Members of the ring.
pub const MEMBERS: [AgentId; 3] = [AgentId(1), AgentId(2), AgentId(3)];
/// Time between two ticks: the most that is no stall.
const TICK: Duration = Duration::from_millis(200);
/// Silence of so many ticks is suspicious; there is a beat at every other.
const PATIENCE: u32 = 4;
/// Whoever is cut off, or dead for a while, is so for so many ticks: the others go on without.
const AWAY: u64 = 16;
/// By then everything is delivered everywhere, however often members were wrongly suspected.
const MOST_TICKS: u64 = 200;

/// What is sent from one member to another. Lanes overtake each other; lives do not.
type Way = (AgentId, AgentId, u32, Lane);

enum Letter {
    Message(RingMessage),
    /// The sender's life has ended, or the session with it.
    Down,
}

struct Member {
    core: Core,
    now: Instant,
    /// When it ticks next.
    tick: Instant,
    pace: Option<Instant>,
    life: Life,
    index: u64,
    is_marked: bool,
    /// Until which round of ticks it is dead.
    dead_until: Option<u64>,
    sent: u64,
}

pub struct World {
    model: Make,
    members: BTreeMap<AgentId, Member>,
    /// With the time at which it is the turn of each.
    ways: BTreeMap<Way, VecDeque<(u64, Letter)>>,
    turn: u64,
    ticks: u64,
    cut_off: Option<(AgentId, u64)>,
    may_crash: bool,
    oracle: Oracle,
}

impl World {
    /// A ring that nobody has founded yet.
    pub fn new(model: Make) -> Self {
        let member = |id| (id, Member::new(id, Life::default(), false, model));
        let mut world = Self {
            model,
            members: MEMBERS.map(member).into(),
            ways: BTreeMap::new(),
            turn: 0,
            ticks: 0,
            cut_off: None,
            may_crash: true,
            oracle: Oracle::default(),
        };
        for id in MEMBERS {
            world.tell(id, Core::start);
        }
        world
    }

    /// What is wrong, if anything is.
    pub fn check(&self) -> Result<(), String> {
        if let Some(wrong) = &self.oracle.wrong {
            return Err(wrong.clone());
        }
        // At most one member forgets, so two remember.
        let lost = |it: &Member| it.core.standstill(it.now) == Standstill::Lost;
        match self.members.iter().find(|(_, it)| lost(it)) {
            Some((id, _)) => Err(format!("{id} gives up, though a majority remembers")),
            None => Ok(()),
        }
    }

    /// Whether all are in one view, and everything that the living broadcast is everywhere.
    pub fn is_done(&self) -> bool {
        let view = self.members[&MEMBERS[0]].core.view();
        let top = self.oracle.top();
        let is_done = |(id, it): (&AgentId, &Member)| {
            it.dead_until.is_none()
                && it.core.standstill(it.now) == Standstill::None
                && it.core.view() == view
                && it.core.log().at().effect.as_ref() == view
                && it.index == top
                && self.oracle.delivered_of((*id, it.life)) == it.sent
        };
        view.is_some_and(|view| view.len() == MEMBERS.len())
            && self.cut_off.is_none()
            && self.members.iter().all(is_done)
    }

    /// `who` never hears of anybody again, nor anybody of it.
    pub fn cut_off_for_good(&mut self, who: AgentId) {
        self.cut_off = Some((who, u64::MAX));
    }

    pub fn broadcast(&mut self, id: AgentId) {
        let member = self.members.get_mut(&id).expect("it is configured");
        if member.dead_until.is_some() {
            return;
        }
        member.sent += 1;
        let payload = Bytes::copy_from_slice(&member.sent.to_le_bytes());
        member.core.broadcast(payload).expect("there is room for two messages");
        self.oracle.broadcast.insert((id, member.life), member.sent);
        self.tell(id, Core::flush);
    }

    /// Something may go wrong, then the next thing happens.
    pub fn step(&mut self, choices: &mut Choices) {
        let kinds = if self.may_crash { 6 } else { 3 };
        let fault = choices.event("fault", 0.1, |how| {
            (how.choose("kind", kinds), MEMBERS[how.choose("who", 3) as usize])
        });
        match fault {
            Some((0, who)) => self.cut_off = Some((who, self.ticks + AWAY)),
            Some((1, who)) => (0..=PATIENCE).for_each(|_| self.tick(who)),
            Some((2, who)) => self.end_session(who),
            Some((3, who)) => self.crash(who, false, 0),
            Some((4, who)) => self.crash(who, true, 0),
            Some((_, who)) => self.crash(who, false, AWAY),
            None => {}
        }
        let open = self.open();
        if open.is_empty() {
            return self.idle();
        }
        let chosen = choices.switch("delivered", open.len() as u64) as usize;
        for way in &open[..chosen] {
            // What is passed by waits until all that is under way now has come.
            self.turn += 1;
            if let Some((turn, _)) = self.ways.get_mut(way).and_then(VecDeque::front_mut) {
                *turn = self.turn;
            }
        }
        self.deliver(open[chosen]);
    }

    /// Nothing goes wrong any more.
    pub fn settle(&mut self) -> Result<(), String> {
        let until = self.ticks + MOST_TICKS;
        while !self.is_done() {
            self.check()?;
            if self.ticks >= until {
                return Err(format!("it does not go on: {}", self.describe()));
            }
            match self.open().first() {
                Some(way) => self.deliver(*way),
                None => self.idle(),
            }
        }
        self.check()
    }

    /// Ways on which something can come, that whose turn it is first.
    fn open(&self) -> Vec<Way> {
        let cut_off = self.cut_off.map(|(who, _)| who);
        let is_open = |id: AgentId| Some(id) != cut_off;
        let mut open: Vec<(u64, Way)> = Vec::new();
        for (way, letters) in &self.ways {
            let (from, to, ..) = *way;
            let Some((turn, _)) = letters.front().filter(|_| is_open(from) && is_open(to)) else {
                continue;
            };
            let is_later = open.iter().any(|(_, it)| (it.0, it.1) == (from, to) && it.2 < way.2);
            if !is_later {
                open.push((*turn, *way));
            }
        }
        open.sort_unstable_by_key(|(turn, _)| *turn);
        open.into_iter().map(|(_, way)| way).collect()
    }

    fn deliver(&mut self, way: Way) {
        let letters = self.ways.get_mut(&way).expect("something is under way there");
        let (_, letter) = letters.pop_front().expect("something is under way there");
        if letters.is_empty() {
            self.ways.remove(&way);
        }
        let (from, to, ..) = way;
        match letter {
            Letter::Message(message) => self.tell(to, |core, now| core.message(from, message, now)),
            Letter::Down => self.tell(to, |core, now| core.lost(from, now)),
        }
    }

    /// Nothing can come: timers are due, whatever they are for before the next tick.
    fn idle(&mut self) {
        let due = |it: &Member| it.pace.filter(|due| *due < it.tick);
        if let Some((id, due)) = MEMBERS.iter().find_map(|id| Some((*id, due(&self.members[id])?)))
        {
            let member = self.members.get_mut(&id).expect("it is configured");
            member.pace = None;
            member.now = member.now.max(due);
            return self.tell(id, Core::pace);
        }
        self.ticks += 1;
        if self.cut_off.is_some_and(|(_, until)| self.ticks >= until) {
            self.cut_off = None;
        }
        for id in MEMBERS {
            if self.members[&id].dead_until.is_some_and(|until| self.ticks >= until) {
                self.restart(id);
            }
            self.tick(id);
        }
    }

    fn tick(&mut self, id: AgentId) {
        let member = self.members.get_mut(&id).expect("it is configured");
        member.now = member.tick;
        member.tick = member.tick + TICK;
        self.tell(id, Core::tick);
    }

    /// What is under way between `who` and the next one is lost, and both hear of it: perhaps after
    /// what the other sends then.
    fn end_session(&mut self, who: AgentId) {
        let next = MEMBERS.into_iter().find(|id| *id > who).unwrap_or(MEMBERS[0]);
        for (from, to) in [(who, next), (next, who)] {
            self.ways.retain(|way, _| (way.0, way.1) != (from, to));
            let Member { dead_until, life, .. } = &self.members[&from];
            if dead_until.is_none() {
                let life = life.node as u32;
                self.put((from, to, life, Lane::Urgent), Letter::Down);
            }
        }
    }

    fn crash(&mut self, who: AgentId, has_sent: bool, ticks: u64) {
        self.may_crash = false;
        self.ways.retain(|(from, to, ..), _| *to != who && (has_sent || *from != who));
        for other in MEMBERS.into_iter().filter(|id| *id != who) {
            self.put((who, other, 1, Lane::Urgent), Letter::Down);
        }
        let member = self.members.get_mut(&who).expect("it is configured");
        (member.dead_until, member.pace) = (Some(self.ticks + ticks), None);
        if ticks == 0 {
            self.restart(who);
        }
    }

    fn restart(&mut self, who: AgentId) {
        let member = self.members.get_mut(&who).expect("it is configured");
        let Member { is_marked, now, tick, .. } = *member;
        let life = Life { node: 2, restarts: 0 };
        *member = Member { now, tick, ..Member::new(who, life, is_marked, self.model) };
        self.tell(who, Core::start);
    }

    fn put(&mut self, way: Way, letter: Letter) {
        self.turn += 1;
        self.ways.entry(way).or_default().push_back((self.turn, letter));
    }

    /// Tells a core something, and does what follows, as an agent does.
    fn tell(&mut self, id: AgentId, tell: impl FnOnce(&mut Core, Instant)) {
        let Some(member) = self.members.get_mut(&id).filter(|it| it.dead_until.is_none()) else {
            return;
        };
        tell(&mut member.core, member.now);
        while let Some(output) = self.members.get_mut(&id).and_then(|it| it.core.output()) {
            self.carry_out(id, output);
        }
    }

    fn carry_out(&mut self, id: AgentId, output: Output) {
        let member = self.members.get_mut(&id).expect("it is configured");
        let who: Who = (id, member.life);
        match output {
            Output::Send { to, message } => {
                let (life, lane) = (member.life.node as u32, message.lane());
                for to in to.into_iter().filter(|to| *to != id) {
                    if self.members[&to].dead_until.is_none() {
                        self.put((id, to, life, lane), Letter::Message(message.clone()));
                    }
                }
            }
            Output::Mark => member.is_marked = true,
            Output::Pace(after) => member.pace = Some(member.now + after),
            Output::Monitor(_) | Output::Room => {}
            Output::Deliver(delivery) => {
                member.index = delivery.index;
                let number = delivery.payload[..].try_into().expect("a number is all there is");
                self.oracle.delivered(who, &delivery, u64::from_le_bytes(number), 0);
            }
            Output::View(seq, view) => self.oracle.view(who, &view, seq),
            Output::Snapshot => {
                member.core.snapshot(Bytes::copy_from_slice(&member.index.to_le_bytes()));
            }
            Output::Restore(snapshot, _) => {
                let index = snapshot[..].try_into().expect("an index is all there is");
                member.index = u64::from_le_bytes(index);
                self.oracle.restored(who, member.index);
            }
        }
    }

    fn describe(&self) -> String {
        let members = self.members.iter().map(|(id, it)| {
            let view = it.core.view().map(|view| view.id);
            format!("{id}: {} of {}, {view:?}, {}", it.index, it.sent, it.core.describe())
        });
        members.collect::<Vec<_>>().join("\n")
    }
}

impl Member {
    fn new(id: AgentId, life: Life, is_marked: bool, model: Make) -> Self {
        let config = RingConfig {
            beat: TICK,
            patience: TICK * PATIENCE,
            ..RingConfig::new(MEMBERS.to_vec())
        };
        let core = Core::new(config, id, life, is_marked, model());
        Self {
            core,
            now: Instant(0),
            tick: Instant(0) + TICK,
            pace: None,
            life,
            index: 0,
            is_marked,
            dead_until: None,
            sent: 0,
        }
    }
}
