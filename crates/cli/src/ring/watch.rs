//! Whoever waits for the results of a run's members.

mod elsewhere;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Fate, Kill, Outcome, Run};
use crate::cluster::up::{Accidents, Event, News};
use crate::config::{Cluster, NodeSpec};
use crate::control::Client;
use crate::home::{Home, NodeName};
use crate::kinds::ring_member::{Report, State};

/// What is known of a run, and who asks for more.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

struct Shared {
    home: Home,
    cluster: Cluster,
    restarts: bool,
    elsewhere: Vec<NodeName>,
    lives: watch::Sender<Vec<Life>>,
    fates: Mutex<Outcome>,
    /// Whether all that is to go wrong has.
    calm: watch::Sender<bool>,
    /// When the first member had a result.
    first: watch::Sender<Option<Instant>>,
}

/// What a member's process is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Starting,
    Running,
    /// It ended, and is not started again.
    Over {
        was_killed: bool,
    },
}

/// What goes wrong on purpose.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Processes that are killed.
    pub kills: Vec<Kill>,
    /// How long after SEND the last cut is over.
    pub cut_until: Duration,
}

/// The longest wait for one answer: longer than the node's own.
const ANSWER: Duration = Duration::from_mins(11);

/// The time after which a process that does not listen yet is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// The time after which a member that stands still is asked again, as long as that may change.
const AGAIN: Duration = Duration::from_secs(1);

/// How much later than the first member the last one may have its result; in between, one that was
/// killed restarts and catches up. A guess.
const LATE: Duration = Duration::from_secs(30);

impl Watch {
    /// Nothing is known yet of this run.
    #[must_use]
    pub fn new(home: &Home, run: &Run) -> Self {
        let nodes = &run.cluster.nodes;
        let members = nodes.len();
        // Nobody tells of the processes of other machines.
        let life = |node: &NodeSpec| {
            if run.elsewhere.contains(&node.name) { Life::Running } else { Life::Starting }
        };
        Self(Arc::new(Shared {
            home: home.clone(),
            cluster: run.cluster.clone(),
            restarts: run.restarts,
            elsewhere: run.elsewhere.clone(),
            lives: watch::Sender::new(nodes.iter().map(life).collect()),
            fates: Mutex::new(Outcome(vec![Fate::Unknown; members])),
            calm: watch::Sender::new(false),
            first: watch::Sender::new(None),
        }))
    }

    /// Something happened to a node's process.
    pub fn note(&self, event: &Event<'_>) {
        let Event::Node(node, news) = event else { return };
        let life = match news {
            News::Started { .. } | News::TakenOver { .. } => Life::Running,
            News::Restarting { .. } => Life::Starting,
            News::Ended(how) => {
                let is_last = !self.0.restarts || how.was_told() || how.is_lasting();
                if is_last { Life::Over { was_killed: how.was_killed() } } else { Life::Starting }
            }
            News::GaveUp | News::NotStarted(_) => Life::Over { was_killed: false },
            News::Line(_) | News::Ready | News::DiskFull(_) => return,
        };
        let of = self.0.cluster.nodes.iter().position(|it| it.id == node.id);
        if let Some(at) = of {
            self.0.lives.send_modify(|lives| lives[at] = life);
        }
    }

    /// Lets happen what is to go wrong, and waits until it is known of all members what became of
    /// them. Returns the kills for which that was too early.
    pub async fn results(&self, mut trouble: Trouble, accidents: Accidents) -> Vec<Kill> {
        let mut followers = JoinSet::new();
        for at in 0..self.0.cluster.nodes.len() {
            let shared = Arc::clone(&self.0);
            followers.spawn(async move {
                let fate = shared.follow(at).await;
                shared.fates.lock().unwrap_or_else(PoisonError::into_inner).0[at] = fate;
            });
        }
        let all = async { while followers.join_next().await.is_some() {} };
        trouble.kills.sort_by_key(|kill| kill.at);
        let mut kills = VecDeque::from(trouble.kills);
        let trouble = async {
            self.make(&mut kills, trouble.cut_until, &accidents).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = all => {}
            () = trouble => {}
        }
        kills.into()
    }

    /// Has the nodes of other machines stop, as far as they can be reached.
    pub async fn release(&self) {
        self.0.stop_elsewhere().await;
    }

    /// What is known.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.fates.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes out of `kills` each that is carried out.
    async fn make(&self, kills: &mut VecDeque<Kill>, cut_until: Duration, accidents: &Accidents) {
        self.sending().await;
        let begun = Instant::now();
        while let Some(kill) = kills.front() {
            sleep_until(begun + kill.at).await;
            accidents.kill(kill.node);
            kills.pop_front();
        }
        sleep_until(begun + cut_until).await;
        self.0.calm.send_replace(true);
    }

    /// Waits until some member sends.
    async fn sending(&self) {
        let mut asked = JoinSet::new();
        for at in 0..self.0.cluster.nodes.len() {
            let shared = Arc::clone(&self.0);
            asked.spawn(async move {
                while let Some(report) = shared.ask(at, "send").await {
                    if report.stage != "START" {
                        return true;
                    }
                    sleep(AGAIN).await;
                }
                false
            });
        }
        while let Some(sends) = asked.join_next().await {
            if sends.is_ok_and(|sends| sends) {
                return;
            }
        }
    }
}

impl Shared {
    /// Waits until it is known what became of a member.
    async fn follow(&self, at: usize) -> Fate {
        let mut first = self.first.subscribe();
        let late = async {
            let _ = first.wait_for(Option::is_some).await;
            sleep(LATE).await;
        };
        tokio::select! {
            fate = self.result(at) => fate,
            () = late => match self.ask(at, "now").await {
                Some(report) => Fate::of(&report),
                None => self.end(at),
            },
        }
    }

    async fn result(&self, at: usize) -> Fate {
        loop {
            let Some(report) = self.ask(at, "stop").await else { return self.end(at) };
            if report.result.is_some() {
                self.first.send_if_modified(|first| {
                    first.is_none().then(|| *first = Some(Instant::now())).is_some()
                });
                return Fate::of(&report);
            }
            let may_change = !*self.calm.borrow() || self.lives.borrow().contains(&Life::Starting);
            if report.state == State::Lost || report.state == State::Blocked && !may_change {
                return Fate::of(&report);
            }
            sleep(AGAIN).await;
        }
    }

    fn end(&self, at: usize) -> Fate {
        match self.lives.borrow()[at] {
            Life::Over { was_killed: true } if !self.restarts => Fate::Killed,
            _ => Fate::Gone,
        }
    }

    /// Asks a member's node until there is an answer; `None`: its process ended for good.
    async fn ask(&self, at: usize, until: &str) -> Option<Report> {
        if self.is_elsewhere(&self.cluster.nodes[at]) {
            return self.ask_elsewhere(at, until).await;
        }
        let mut lives = self.lives.subscribe();
        loop {
            let life = lives.wait_for(|lives| lives[at] != Life::Starting).await;
            if matches!(life.expect("the sender is in self")[at], Life::Over { .. }) {
                return None;
            }
            if let Some(report) = self.answer(&self.cluster.nodes[at].name, until).await {
                return Some(report);
            }
            // It does not listen yet, or has just ended.
            sleep(RETRY).await;
        }
    }

    async fn answer(&self, node: &NodeName, until: &str) -> Option<Report> {
        let client = Client::node(&self.home, &self.cluster.name, node).await.ok()?;
        client.timeout(ANSWER).get(&format!("/v1/ring/{until}")).await.ok()
    }
}
