//! Whoever submits, cancels and retries; and what must come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{AskId, NodeId};
use dx_scheduler::client::{Answer, Answered, Asked, Request, Selection, TaskQuery, TaskView};
use dx_scheduler::end::{AttemptRecord, End, Fault, TaskState};
use dx_scheduler::id::{JobId, TaskId};
use dx_scheduler::job::JobSpec;
use dx_sim::{Heard, Port, Sim};

use super::history::{History, Over};
use super::world::{controller, is_runners};

/// What a job's tasks come to if nobody interferes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Succeeds,
    /// In so many attempts that are its own fault.
    Fails(u64),
    TimesOut,
    Oom,
    /// Only if somebody cancels it.
    NeverEnds,
}

/// A job that a client wants to have run.
#[derive(Debug)]
pub struct Wanted {
    pub spec: JobSpec,
    pub fate: Fate,
    /// Once it is known.
    pub id: Option<JobId>,
    asked: Option<AskId>,
    /// Somebody may have.
    pub is_cancelled: bool,
    pub is_retried: bool,
    /// Attempts that ended, as they were seen first.
    ended: BTreeMap<(u32, u32), AttemptRecord>,
}

/// There was no answer in time. The question may have been heard all the same.
pub struct NoAnswer;

pub struct Client {
    port: Port,
    pub jobs: Vec<Wanted>,
    open: BTreeMap<AskId, Request>,
    answers: BTreeMap<AskId, Result<Answer, NoAnswer>>,
    /// What was asked, and answered, for whoever looks into a failure.
    pub said: Vec<String>,
    /// A rule that the controller's answers broke.
    pub wrong: Option<String>,
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Programs, and what becomes of them.
const PROGRAMS: [(&[&str], Fate); 13] = [
    (&["ok", "50ms"], Fate::Succeeds),
    (&["ok", "1s"], Fate::Succeeds),
    (&["ok", "6s"], Fate::Succeeds),
    (&["exit", "3", "200ms"], Fate::Fails(2)),
    (&["signal", "11", "100ms"], Fate::Fails(2)),
    (&["oom", "300ms"], Fate::Oom),
    (&["flaky", "2", "100ms"], Fate::Succeeds),
    (&["ok", "30s"], Fate::TimesOut),
    (&["stubborn"], Fate::TimesOut),
    (&["missing"], Fate::Fails(1)),
    (&["hole", "2", "100ms"], Fate::Succeeds),
    (&["forever"], Fate::NeverEnds),
    (&["stubborn"], Fate::NeverEnds),
];

impl Client {
    pub fn new(sim: &mut Sim) -> Self {
        let (jobs, open, answers) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { port: sim.port(), jobs, open, answers, said: Vec::new(), wrong: None }
    }

    /// A job that follows from these numbers.
    pub fn want(&mut self, sim: &mut Sim, program: u64, shape: u64) {
        let request_id = format!("request {}", self.jobs.len());
        self.jobs.push(Wanted::of(program, shape, &request_id));
        self.submit(sim, self.jobs.len() - 1);
    }

    fn submit(&mut self, sim: &mut Sim, number: usize) {
        let spec = Box::new(self.jobs[number].spec.clone());
        let request = Request::Submit { spec, by: "ada".to_owned(), dry_run: false };
        self.jobs[number].asked = Some(self.ask(sim, request));
    }

    pub fn ask(&mut self, sim: &mut Sim, request: Request) -> AskId {
        let asked = Asked::new(&request);
        let message = dx_scheduler::message::ControllerMessage::Client(asked);
        let ask = sim.ask(self.port, controller(), message, PATIENCE);
        if !matches!(request, Request::Tasks(_) | Request::Submit { .. }) {
            self.said.push(format!("{:?} {}: {request:?}", sim.now(), ask.0));
        }
        self.open.insert(ask, request);
        ask
    }

    /// Something is done to a job that is known.
    pub fn steer(&mut self, sim: &mut Sim, what: u64, which: u64) {
        let known: Vec<usize> =
            (0..self.jobs.len()).filter(|it| self.jobs[*it].id.is_some()).collect();
        let Some(number) = known.get(which as usize % known.len().max(1)).copied() else { return };
        let nodes: Vec<NodeId> = sim.nodes().filter(|node| is_runners(*node)).collect();
        let node = nodes[which as usize % nodes.len()];
        let wanted = &mut self.jobs[number];
        let job = wanted.id.expect("it is known");
        let selection = Selection::job(job);
        let request = match what % 9 {
            0 | 1 => {
                wanted.is_cancelled = true;
                Request::Cancel { what: selection, now: what.is_multiple_of(2), reason: None }
            }
            2 => {
                wanted.is_retried = true;
                Request::Retry { what: selection, all: false }
            }
            3 => Request::Hold(selection),
            4 => Request::Release(selection),
            5 => Request::Priority(selection, 2),
            6 => Request::Drain { node, reason: None },
            7 => Request::Undrain(node),
            _ => Request::Tasks(TaskQuery { job, from: 0, limit: None, states: Vec::new() }),
        };
        self.ask(sim, request);
    }

    /// Takes in what came.
    pub fn listen(&mut self, sim: &mut Sim) {
        while let Some(heard) = sim.heard(self.port) {
            let Heard::Reply(ask, answer) = heard else { continue };
            let answer =
                answer.ok().map(|answer| answer.open::<Answered>().unwrap().open().unwrap());
            let request = self.open.remove(&ask);
            if let Some(Answer::Tasks { tasks, .. }) = &answer {
                self.look(tasks);
            }
            if let (Some(Request::Submit { .. }), Some(answer)) = (&request, &answer) {
                self.taken(ask, answer);
            }
            self.answers.insert(ask, answer.ok_or(NoAnswer));
        }
    }

    fn taken(&mut self, ask: AskId, answer: &Answer) {
        let Some(wanted) = self.jobs.iter_mut().find(|it| it.asked == Some(ask)) else { return };
        match answer {
            Answer::Submitted { job, .. } => wanted.id = Some(*job),
            Answer::Refused(dx_scheduler::client::RequestError::DiskFull) => {}
            other => self.wrong = Some(format!("a submission is answered {other:?}")),
        }
    }

    /// What came of a question, if it is settled.
    pub fn answer(&mut self, ask: AskId) -> Option<Result<Answer, NoAnswer>> {
        self.answers.remove(&ask)
    }

    /// Submits again what may not have been taken. Whether all is.
    pub fn insist(&mut self, sim: &mut Sim) -> bool {
        for number in 0..self.jobs.len() {
            let Wanted { id, asked, .. } = &self.jobs[number];
            if id.is_none() && asked.is_none_or(|asked| !self.open.contains_key(&asked)) {
                self.submit(sim, number);
            }
        }
        self.jobs.iter().all(|it| it.id.is_some())
    }

    /// An attempt that was seen to have ended is seen so ever after.
    fn look(&mut self, tasks: &[TaskView]) {
        for task in tasks {
            let Some(wanted) = self.jobs.iter_mut().find(|it| it.id == Some(task.job)) else {
                continue;
            };
            for attempt in &task.attempts {
                let record = &attempt.record;
                if record.end.is_none() {
                    continue;
                }
                let first = wanted.ended.entry((task.index, record.number));
                let first = first.or_insert_with(|| record.clone());
                // That it may have overlapped is known only later.
                let same = AttemptRecord { note: first.note.clone(), ..record.clone() };
                if *first != same {
                    self.wrong = Some(format!(
                        "{}.{} had an attempt that ended so: {first:?}, and now: {record:?}",
                        task.job, task.index
                    ));
                }
            }
        }
    }
}

impl Wanted {
    /// A job that follows from these numbers.
    pub fn of(program: u64, shape: u64, request_id: &str) -> Self {
        let (program, fate) = PROGRAMS[program as usize % PROGRAMS.len()];
        let exec: Vec<&str> = std::iter::once("sim").chain(program.iter().copied()).collect();
        let resources = match shape % 5 {
            0 | 1 => serde_json::json!({ "cpus": 1 }),
            2 => serde_json::json!({ "cpus": 0.5, "gpus": 1 }),
            3 => serde_json::json!({ "cpus": 2, "memory": "1GiB" }),
            _ => serde_json::json!({ "cpus": 0, "custom": { "licence": 1 } }),
        };
        let array = ["0", "0-1", "3-7", "0-11"][(shape / 5) as usize % 4];
        let mut spec = serde_json::json!({
            "commands": [{ "exec": exec }],
            "array": array,
            "resources": resources,
            "priority": (shape / 20) % 3,
            "kill": { "grace": "300ms" },
            "retry": { "max_attempts": 2, "backoff": "50ms", "max_backoff": "200ms",
                       "max_node_faults": 1000 },
            "request_id": request_id,
        });
        match fate {
            Fate::TimesOut => {
                spec["timeout"] = "500ms".into();
                spec["retry"]["on"] = serde_json::json!(["exit"]);
            }
            Fate::Oom => spec["retry"]["on"] = serde_json::json!(["exit"]),
            // A lost attempt has a number, too.
            _ => {}
        }
        match (shape / 60) % 4 {
            1 => spec["hold"] = true.into(),
            2 => spec["placement"] = "pack".into(),
            3 => {
                spec["constraints"] = serde_json::json!([{ "label": "half", "value": "0" }]);
            }
            _ => {}
        }
        Self {
            spec: serde_json::from_value(spec).unwrap(),
            fate,
            id: None,
            asked: None,
            is_cancelled: false,
            is_retried: false,
            ended: BTreeMap::new(),
        }
    }

    /// Whether a task may have ended so, and what of it the history bears out.
    pub fn judge(&self, task: &TaskView, history: &History) -> Result<(), String> {
        let id = task.job.task(task.index);
        let fails = |what: String| Err(format!("{id} of {:?}: {what}: {task:#?}", self.fate));
        let own: Vec<End> = task.attempts.iter().filter_map(|it| own_end(&it.record)).collect();
        let may_be = match self.fate {
            Fate::Succeeds => TaskState::Succeeded,
            Fate::Fails(_) => TaskState::Failed,
            Fate::TimesOut => TaskState::TimedOut,
            Fate::Oom => TaskState::Oom,
            Fate::NeverEnds => TaskState::Cancelled,
        };
        // What ends by itself before it is killed is not tried again either.
        let last = task.attempts.last().and_then(|it| it.record.end).map(TaskState::from);
        let is_cancelled =
            self.is_cancelled && (task.state == TaskState::Cancelled || Some(task.state) == last);
        if task.state != may_be && !is_cancelled {
            return fails(format!("it should be {may_be:?}"));
        }
        if let Fate::Fails(count) = self.fate
            && !is_cancelled
            && !self.is_retried
            && task.attempts.len() < 16
            && own.len() as u64 != count
        {
            return fails(format!("it failed {} times, not {count}", own.len()));
        }
        for attempt in &task.attempts {
            confirm(id, &attempt.record, history).or_else(fails)?;
        }
        // All that ever ran is known, as far as it is remembered.
        let first = task.attempts.first().map_or(u32::MAX, |it| it.record.number);
        for process in history.of(id).filter(|it| it.attempt.number >= first) {
            if !task.attempts.iter().any(|it| it.record.number == process.attempt.number) {
                return fails(format!("nobody knows of {process:?}"));
            }
        }
        Ok(())
    }
}

/// How an attempt ended, unless that was the fault of its node.
fn own_end(record: &AttemptRecord) -> Option<End> {
    let not_started = record.finish.as_ref().and_then(|finish| finish.not_started.as_ref());
    let is_nodes = not_started.is_some_and(|why| why.fault == Fault::Node);
    record.end.filter(|end| *end != End::Lost && !is_nodes)
}

/// What is recorded of an attempt is what its process did.
fn confirm(task: TaskId, record: &AttemptRecord, history: &History) -> Result<(), String> {
    let attempt = task.attempt(record.number);
    let Some(end) = record.end else { return Err(format!("{attempt} has no end")) };
    let over = history.process(attempt).map(|process| process.over);
    let is_so = match (end, over) {
        // What a process did may be lost with its shim; what it did not is never said.
        (End::Lost, None | Some(Some(_))) | (End::Cancelled, None) => true,
        (End::Failed, None) => history.unstarted.contains(&attempt),
        (end, over) => over == Some(Some(Over::Told(end))),
    };
    if !is_so {
        return Err(format!("{attempt} is said to have ended {end:?}, and it was {over:?}"));
    }
    if history.heard_overran.contains(&attempt) && record.note.is_none() {
        return Err(format!("{attempt} ran past its lease, and there is no note of it"));
    }
    Ok(())
}
