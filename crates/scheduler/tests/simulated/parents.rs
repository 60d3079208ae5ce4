//! Tasks that submit tasks and wait for them, in trees that are deeper and wider than the cluster has
//! slots, while everything goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use dx_agents::AskId;
use dx_scheduler::client::{Answer, Answered, Asked, JobQuery, JobState, Request, RequestError};
use dx_scheduler::id::{AttemptId, JobId};
use dx_scheduler::job::JobSpec;
use dx_scheduler::message::ControllerMessage;
use dx_sim::{Campaign, Choices, Failure, Heard, Port, Scenario, Sim};

use super::chaos::{CHAOS, disturb, history_of, make, seeds, unleash};
use super::history::Shared;
use super::world::{controller, is_runners};

/// The time between two looks of all processes.
const PAUSE: Duration = Duration::from_millis(50);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// The levels of a tree: those of the last wait for nobody.
const LEVELS: u32 = 4;

/// The jobs that a task calls, which are one task each.
const CHILDREN: u64 = 2;

/// What a process that waits is at.
#[derive(Default)]
struct Parent {
    children: Vec<JobId>,
    asked: Option<AskId>,
    is_waiting: bool,
}

/// All processes that wait, and who began the trees.
struct Parents {
    port: Port,
    history: Shared,
    roots: Vec<(JobSpec, Option<JobId>)>,
    at: BTreeMap<AttemptId, Parent>,
    /// Whose questions are open, and by which number roots are asked for.
    open: BTreeMap<AskId, Result<AttemptId, usize>>,
    blocked: u64,
    is_refused: BTreeSet<AttemptId>,
}

fn spec(level: u32, id: &str, what: u64) -> JobSpec {
    let own = level.to_string();
    let waits = ["sim", "waits", &own];
    let exec = if level + 1 < LEVELS { waits } else { ["sim", "ok", "300ms"] };
    let resources = match what % 4 {
        0 | 1 => serde_json::json!({ "cpus": 1, "memory": "1MiB" }),
        2 => serde_json::json!({ "cpus": 3, "memory": "1MiB" }),
        _ => serde_json::json!({ "cpus": 0.5, "gpus": 1 }),
    };
    serde_json::from_value(serde_json::json!({
        "commands": [{ "exec": exec }],
        "resources": resources,
        "priority": level % 2,
        "retry": { "max_node_faults": 1000 },
        "request_id": id,
    }))
    .unwrap()
}

impl Parents {
    fn new(sim: &mut Sim, history: Shared) -> Self {
        let count =
            1 + sim.choices_mut().event("roots", 1.0, |how| how.choose("count", 5)).unwrap_or(0);
        let roots = (0..count).map(|it| (spec(0, &format!("root {it}"), it), None));
        let (at, open, is_refused) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { port: sim.port(), history, roots: roots.collect(), at, open, blocked: 0, is_refused }
    }

    fn ask(&mut self, sim: &mut Sim, request: &Request, who: Result<AttemptId, usize>) -> AskId {
        let message = ControllerMessage::Client(Asked::new(request));
        let ask = sim.ask(self.port, controller(), message, PATIENCE);
        self.open.insert(ask, who);
        ask
    }

    /// Everybody does what is next.
    fn step(&mut self, sim: &mut Sim) {
        while let Some(heard) = sim.heard(self.port) {
            let Heard::Reply(ask, answer) = heard else { continue };
            let Some(who) = self.open.remove(&ask) else { continue };
            let answer = answer.ok().map(|it| it.open::<Answered>().unwrap().open().unwrap());
            match who {
                Err(root) => self.root_heard(root, answer.as_ref()),
                Ok(attempt) => self.heard(attempt, answer),
            }
        }
        let asked: BTreeSet<usize> = self.open.values().filter_map(|it| it.err()).collect();
        for number in 0..self.roots.len() {
            let (spec, id) = &self.roots[number];
            if id.is_none() && !asked.contains(&number) {
                let spec = Box::new(spec.clone());
                let by = "ada".to_owned();
                self.ask(sim, &Request::Submit { spec, by, dry_run: false }, Err(number));
            }
        }
        self.parents_go_on(sim);
    }

    fn root_heard(&mut self, root: usize, answer: Option<&Answer>) {
        if let Some(Answer::Submitted { job, .. }) = answer {
            self.roots[root].1 = Some(*job);
        }
    }

    fn heard(&mut self, attempt: AttemptId, answer: Option<Answer>) {
        let Some(parent) = self.at.get_mut(&attempt) else { return };
        parent.asked = None;
        match answer {
            Some(Answer::Submitted { job, .. }) => {
                parent.children.push(job);
            }
            Some(Answer::Waits { is_over: true, .. }) => {
                self.history.lock().unwrap().goes_on(attempt);
                self.at.remove(&attempt);
            }
            Some(Answer::Refused(RequestError::NotRunning(_))) => {
                self.is_refused.insert(attempt);
            }
            None | Some(Answer::Waits { .. } | Answer::Refused(RequestError::DiskFull)) => {}
            Some(other) => self.history.lock().unwrap().breaks(format!("{attempt}: {other:?}")),
        }
    }

    /// Processes call their children, and wait for them.
    fn parents_go_on(&mut self, sim: &mut Sim) {
        // Only those that wait: by what they were told, since an answer to who called them may be lost.
        let living: BTreeMap<AttemptId, u32> = {
            let history = self.history.lock().unwrap();
            let living = history.living().filter(|it| !history.is_done.contains(&it.attempt));
            let level = |exec: &[String]| match exec {
                [_, waits, level] if waits == "waits" => level.parse().ok(),
                _ => None,
            };
            living.filter_map(|it| Some((it.attempt, level(&it.exec)?))).collect()
        };
        self.at.retain(|attempt, _| living.contains_key(attempt));
        for (attempt, level) in living {
            if self.is_refused.contains(&attempt) {
                continue;
            }
            let parent = self.at.entry(attempt).or_default();
            if parent.asked.is_some() {
                continue;
            }
            let called = parent.children.len() as u64;
            let request = if called < CHILDREN {
                let what = attempt.task.job.0 + called;
                let spec = Box::new(spec(level + 1, &format!("{} {called}", attempt.task), what));
                Request::Call { spec, by: "ada".to_owned(), caller: attempt, dry_run: false }
            } else {
                if !std::mem::replace(&mut parent.is_waiting, true) {
                    self.history.lock().unwrap().waits(attempt);
                    self.blocked += 1;
                }
                Request::Wait { caller: attempt, jobs: parent.children.clone(), leave: false }
            };
            let ask = self.ask(sim, &request, Ok(attempt));
            self.at.get_mut(&attempt).expect("it was put in").asked = Some(ask);
        }
    }
}

pub fn play(sim: &mut Sim) -> Result<(), Failure> {
    sim.run_for(Duration::from_millis(20))?;
    let history = history_of(sim);
    let mut parents = Parents::new(sim, history.clone());
    let machines = unleash(sim);
    for round in 0..CHAOS.as_millis() / PAUSE.as_millis() {
        parents.step(sim);
        if round % 5 == 0 {
            disturb(sim, machines);
        }
        sim.run_for(PAUSE)?;
    }
    sim.heal();
    conclude(sim, &mut parents, &history)
}

/// All trees end, each task of them once, and nothing is left.
fn conclude(sim: &mut Sim, parents: &mut Parents, history: &Shared) -> Result<(), Failure> {
    let per_root: u64 = (0..LEVELS).map(|level| CHILDREN.pow(level)).sum();
    let expected = parents.roots.len() as u64 * per_root;
    let mut client = super::client::Client::new(sim);
    let mut last = String::new();
    for _ in 0..600 {
        for _ in 0..20 {
            parents.step(sim);
            sim.run_for(PAUSE)?;
        }
        let nodes: Vec<_> = sim.nodes().filter(|node| is_runners(*node)).collect();
        for node in nodes {
            super::chaos::until_done(sim, &mut client, &Request::Undrain(node))?;
        }
        let all = Request::Jobs(JobQuery::default());
        let Answer::Jobs { jobs, .. } = super::chaos::until_done(sim, &mut client, &all)? else {
            panic!("jobs are listed")
        };
        let good = jobs.iter().filter(|job| job.state == JobState::Succeeded).count() as u64;
        if good == expected && jobs.len() as u64 == expected {
            let many = parents.blocked > u64::from(3 * super::world::capacity().cpus.0 / 1000);
            sim.sometimes("more wait than a machine has slots", many);
            sim.sometimes(
                "a task that waited runs again",
                history.lock().unwrap().processes.iter().any(|it| it.attempt.number > 1),
            );
            return Ok(());
        }
        let left: Vec<_> = jobs.iter().filter(|job| job.state != JobState::Succeeded).collect();
        last = format!("{good} of {expected} jobs succeeded, of {}: {left:#?}", jobs.len());
    }
    history.lock().unwrap().breaks(last);
    sim.run_for(PAUSE * 100)?;
    unreachable!("it is looked at after each event")
}

type Make = fn(u64, Choices) -> Sim;
type Play = fn(&mut Sim) -> Result<(), Failure>;

const SCENARIO: Scenario<Make, Play> = Scenario { make, play };

#[test]
fn trees_deeper_and_wider_than_the_slots_end_whatever_happens_and_no_slot_is_used_twice() {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Campaign { jobs, ..Campaign::default() };
    let seeds = seeds();
    let seeds = seeds.start..seeds.end.div_ceil(4);
    let report = SCENARIO.campaign(seeds, &how, |_| ControlFlow::Continue(()));
    println!("{report}");
    report.expect_none();
}

#[test]
fn the_same_seed_of_trees_is_the_same_run() {
    SCENARIO.determined(0..2).unwrap();
}
