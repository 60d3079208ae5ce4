//! Looks at a world for what hinders it.

use std::time::Duration;

use dx_agents::runtime::Condition;
use dx_agents::{AgentId, AskId};

use super::{Hindrance, MANY, Party, Question, Stuck, Verdict, Wait};
use crate::node::Standing;
use crate::progress::{Livelock, Starvation};
use crate::resident::Resident;
use crate::schedule::Due;
use crate::sim::Sim;
use crate::waits::{Reason, Waits};

/// Others that are answered first before a question counts as overlooked. A guess.
const OVERLOOKED: u64 = 100;

/// Rounds after which an agent that is not picked is worth a word: by fair chance it is not seen.
const UNPICKED: u64 = 100;

/// Agents that are named as busy.
const BUSIEST: usize = 3;

impl Sim {
    pub(crate) fn stuck_with(&self, livelock: Option<Livelock>) -> Stuck {
        let questions = self.open_questions();
        let mut waits: Vec<Wait> = questions.iter().map(|it| self.as_wait(it)).collect();
        waits.extend(self.unpicked());
        waits.extend(self.idle_mailboxes());
        waits.extend(self.credit_waits().into_iter().map(Wait::Credit));
        waits.extend(self.hindered_nodes());
        waits.extend(self.hindered_ways());
        let verdict = self.verdict(livelock, &questions, &waits);
        if matches!(verdict, Verdict::Idle { .. }) {
            waits.extend(self.monitors());
        }
        Stuck { deadlocks: self.deadlocks(&questions), verdict, waits, busiest: self.busiest() }
    }

    /// By who asked, oldest first.
    fn open_questions(&self) -> Vec<(u32, AskId, Question)> {
        let all = self.watch.questions.iter();
        let mut open: Vec<_> = all
            .filter(|((slot, ask), _)| self.is_open(*slot, *ask))
            .map(|((slot, ask), question)| (*slot, *ask, *question))
            .collect();
        open.sort_unstable_by_key(|(slot, ask, _)| (*slot, *ask));
        open
    }

    fn as_wait(&self, (slot, ask, question): &(u32, AskId, Question)) -> Wait {
        let until = self.schedule.all().find_map(|(at, due)| match due {
            Due::Deadline { slot: of, ask: which, .. } if of == slot && which == ask => Some(at),
            _ => None,
        });
        Wait::Answer {
            who: self.id_of(*slot),
            of: question.to,
            since: Duration::from_nanos(question.since),
            until: until.filter(|at| *at < u64::MAX / 2).map(Duration::from_nanos),
        }
    }

    fn id_of(&self, slot: u32) -> AgentId {
        self.resident(slot).map_or(AgentId(0), |resident| resident.cell.id())
    }

    fn verdict(
        &self,
        livelock: Option<Livelock>,
        questions: &[(u32, AskId, Question)],
        waits: &[Wait],
    ) -> Verdict {
        if let Some(livelock) = livelock {
            return Verdict::Livelock(livelock);
        }
        if self.is_idle() {
            let next = self.schedule.next_at().filter(|at| *at < u64::MAX / 2);
            let next = next.map(Duration::from_nanos);
            return Verdict::Idle { since: Duration::from_nanos(self.watch.last), next };
        }
        let starved = waits.iter().find_map(|wait| match wait {
            Wait::Turn { who, rounds } => Some(Starvation { who: *who, rounds: *rounds }),
            _ => None,
        });
        if let Some(starvation) = starved {
            return Verdict::Starvation(starvation);
        }
        let others = |question: &Question| {
            let answered = self.watch.answered.get(&question.to).copied().unwrap_or(0);
            answered - question.before
        };
        match questions.iter().max_by_key(|(_, _, question)| others(question)) {
            Some((slot, _, question)) if others(question) >= OVERLOOKED => Verdict::Overlooked {
                who: self.id_of(*slot),
                of: question.to,
                others: others(question),
            },
            _ => Verdict::OutOfTime { events: self.trace.events() - self.watch.begun_events },
        }
    }

    /// Nothing happens any more, or nothing did for more than half of the time.
    fn is_idle(&self) -> bool {
        let silence = self.now - self.watch.last;
        self.schedule.next_at().is_none_or(|at| at >= u64::MAX / 2)
            || silence > (self.now - self.watch.begun.min(self.now)) / 2
    }

    /// Questions that have been open for so long that no answer is on its way, and missing credit.
    fn deadlocks(
        &self,
        questions: &[(u32, AskId, Question)],
    ) -> Vec<crate::waits::Deadlock<Party>> {
        let mut graph = Waits::new();
        let half = self.watch.begun + (self.now - self.watch.begun) / 2;
        let old = if self.is_idle() { self.now } else { half };
        for (slot, _, question) in questions.iter().filter(|(_, _, it)| it.since <= old) {
            let (who, whom) = (Party::Agent(self.id_of(*slot)), Party::Agent(question.to));
            graph.begin(who, whom, Reason::Answer);
        }
        for wait in self.credit_waits() {
            graph.begin(Party::Node(wait.node), Party::Node(wait.at), Reason::Credit);
        }
        graph.deadlocks()
    }

    fn unpicked(&self) -> impl Iterator<Item = Wait> {
        let running = self.nodes.iter().filter(|node| node.is_running());
        let ready = running.flat_map(|node| node.ready.iter().map(move |slot| (node, *slot)));
        ready.filter_map(|(node, slot)| {
            let resident = self.resident(slot)?;
            let rounds = node.fairness.rounds(resident.ready_since);
            let who = resident.cell.id();
            (rounds >= UNPICKED).then_some(Wait::Turn { who, rounds })
        })
    }

    fn idle_mailboxes(&self) -> impl Iterator<Item = Wait> {
        self.agents.iter().flatten().filter_map(|resident| {
            let because = self.hindrance_of(resident)?;
            let (messages, senders) = (resident.mailbox.len(), resident.mailbox.awaited_by());
            let of = resident.cell.id();
            (messages > 0).then_some(Wait::Mailbox { of, messages, senders, because })
        })
    }

    fn hindrance_of(&self, resident: &Resident) -> Option<Hindrance> {
        if !self.nodes[resident.node as usize].is_running() {
            return Some(Hindrance::StandsStill);
        }
        match resident.condition {
            Condition::Restarting => Some(Hindrance::Restarts),
            Condition::Working if resident.cell.is_blocked() => Some(Hindrance::Disk),
            Condition::Working | Condition::Lingering(_) => None,
        }
    }

    fn hindered_nodes(&self) -> impl Iterator<Item = Wait> {
        self.nodes.iter().filter_map(|node| {
            let because = match node.standing {
                Standing::Up => return None,
                Standing::Down => Hindrance::Down,
                Standing::Paused(_) | Standing::Suspended(_) => Hindrance::StandsStill,
            };
            Some(Wait::Node(node.id, because))
        })
    }

    fn hindered_ways(&self) -> Vec<Wait> {
        let mut hindered = Vec::new();
        for (at, pair) in self.links.pairs.iter().enumerate() {
            for (way, direction) in pair.ways.iter().enumerate() {
                let nodes = [pair.nodes[way], pair.nodes[1 - way]];
                let [from, to] = nodes.map(|place| self.nodes[place as usize].id);
                let held = direction.held.len();
                let because = match self.obstacle(at as u32, way) {
                    // Nobody misses a link that was never used; and nodes are named by themselves.
                    Some(Hindrance::NoLink) if !pair.has_met => continue,
                    Some(Hindrance::Down | Hindrance::StandsStill) => continue,
                    Some(because) => because,
                    None if held > 0 => Hindrance::ByHand,
                    None => continue,
                };
                hindered.push(Wait::Way { from, to, because, held });
            }
        }
        hindered
    }

    fn monitors(&self) -> impl Iterator<Item = Wait> {
        let residents = self.agents.iter().flatten();
        residents.flat_map(|resident| {
            let who = resident.cell.id();
            resident.watching.iter().map(move |of| Wait::End { who, of: *of })
        })
    }

    fn busiest(&self) -> Vec<(AgentId, u64)> {
        if self.trace.events() - self.watch.begun_events <= MANY {
            return Vec::new();
        }
        let before = |slot: usize| self.watch.steps.get(slot).copied().unwrap_or(0);
        let residents = self.agents.iter().enumerate();
        let mut busy: Vec<_> = residents
            .filter_map(|(slot, it)| {
                let cell = &it.as_ref()?.cell;
                Some((cell.id(), cell.steps().saturating_sub(before(slot))))
            })
            .filter(|(_, steps)| *steps > 0)
            .collect();
        busy.sort_by_key(|(who, steps)| (std::cmp::Reverse(*steps), *who));
        busy.truncate(BUSIEST);
        busy
    }

    /// A round of picks is over on a node: nobody should have been ready for very many of them.
    #[cold]
    pub(crate) fn look_for_starved(&mut self, place: u32) {
        let node = &self.nodes[place as usize];
        let rounds = |slot: &u32| {
            self.resident(*slot).map_or(0, |resident| node.fairness.rounds(resident.ready_since))
        };
        let Some(slot) = node.ready.iter().copied().max_by_key(|slot| rounds(slot)) else { return };
        if rounds(&slot) > self.config.patience.rounds {
            let starvation = Starvation { who: self.id_of(slot), rounds: rounds(&slot) };
            self.fail("whoever is ready comes to run", starvation.to_string());
        }
    }
}
