//! Jobs that wait for jobs, while everything goes wrong: none begins early, none waits for ever, and
//! each comes to what the ends before it make of it, told here as simply as can be.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use dx_agents::AskId;
use dx_scheduler::client::{Answer, Request, RequestError, Selection, TaskQuery, TaskView};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::{JobId, TaskId};
use dx_scheduler::job::{Dependency, JobRef, When};
use dx_sim::choices::Details;
use dx_sim::{Campaign, Choices, Failure, Scenario, Sim};

use super::chaos::{
    CHAOS, IDLE, PAUSE, disturb, fails, history_of, make, seeds, undrain, unleash, until_done,
};
use super::client::{Client, NoAnswer, Wanted};
use super::history::{History, Over, Process, Shared};
use super::world::LEASE;

/// Programs of a client that end by themselves: all but the last two.
const PROGRAMS: u64 = 11;

/// The most jobs of a graph, and the most that one of them waits for.
const MOST_JOBS: u64 = 7;
const MOST_AFTER: u64 = 3;

/// All jobs have these tasks, so that each may wait for another index by index.
const ARRAY: &str = "0-2";

/// Jobs that are submitted together.
struct Graph {
    jobs: BTreeMap<String, Wanted>,
    asked: Option<AskId>,
    is_taken: bool,
}

/// All that somebody wants.
#[derive(Default)]
struct Graphs(Vec<Graph>);

/// A job that is drawn: its program, its shape, and what it waits for, each a job before it and in
/// what way.
type DrawnJob = (u64, u64, Vec<(u64, u64)>);
type Drawn = Vec<DrawnJob>;

/// What a job waits for: how, for which one, and whether index by index.
type Edges = Vec<(When, JobId, bool)>;

fn draw(how: &mut Details) -> Drawn {
    let jobs = 2 + how.choose("jobs", MOST_JOBS - 1);
    let mut job = |number: u64| {
        let (program, shape) = (how.choose("program", PROGRAMS), how.choose("shape", 240));
        let edges = how.choose("edges", 1 + MOST_AFTER.min(number));
        let edge = |_| (how.choose("on", number), how.choose("way", 8));
        (program, shape, (0..edges).map(edge).collect())
    };
    (0..jobs).map(&mut job).collect()
}

impl Graphs {
    fn want(&mut self, sim: &mut Sim, client: &mut Client, drawn: &Drawn) {
        let known: Vec<JobId> = self.jobs().filter_map(|wanted| wanted.id).collect();
        let number = self.0.len();
        let job = |(at, (program, shape, edges)): (usize, &DrawnJob)| {
            let mut wanted = Wanted::of(*program, *shape, &format!("request {number}.{at}"));
            wanted.spec.array = Some(ARRAY.to_owned());
            let edges: BTreeMap<u64, u64> = edges.iter().copied().collect();
            for (on, way) in edges {
                // Now and then something that was taken long ago.
                let job = match known.get(on as usize) {
                    Some(known) if way == 7 => JobRef::Number(*known),
                    _ => JobRef::Name(name(on as usize)),
                };
                let on = Dependency { job, each: way.is_multiple_of(2) };
                let spec = &mut wanted.spec;
                let list = match way % 3 {
                    0 => &mut spec.after_ok,
                    1 => &mut spec.after_fail,
                    _ => &mut spec.after_any,
                };
                list.push(on);
            }
            (name(at), wanted)
        };
        let jobs = drawn.iter().enumerate().map(job).collect();
        self.0.push(Graph { jobs, asked: None, is_taken: false });
        self.submit(sim, client, number);
    }

    fn submit(&mut self, sim: &mut Sim, client: &mut Client, number: usize) {
        let graph = &mut self.0[number];
        let jobs = graph.jobs.iter().map(|(name, it)| (name.clone(), it.spec.clone())).collect();
        let by = "ada".to_owned();
        let request = Request::SubmitAll { jobs, by, caller: None, dry_run: false };
        graph.asked = Some(client.ask(sim, request));
    }

    /// Takes in what came, and submits again what may not have been taken. Whether all is.
    fn insist(&mut self, sim: &mut Sim, client: &mut Client) -> bool {
        client.listen(sim);
        for number in 0..self.0.len() {
            let graph = &mut self.0[number];
            let answer = graph.asked.and_then(|asked| client.answer(asked));
            match answer {
                Some(Ok(Answer::AllSubmitted { jobs, .. })) => {
                    graph.is_taken = true;
                    for (name, wanted) in &mut graph.jobs {
                        wanted.id = Some(jobs[name].job);
                    }
                }
                Some(Err(NoAnswer) | Ok(Answer::Refused(RequestError::DiskFull))) => {
                    self.submit(sim, client, number);
                }
                Some(Ok(other)) => {
                    client.wrong = Some(format!("a graph is answered {other:?}"));
                    return true;
                }
                None => {}
            }
        }
        self.0.iter().all(|graph| graph.is_taken)
    }

    fn jobs(&self) -> impl Iterator<Item = &Wanted> {
        self.0.iter().flat_map(|graph| graph.jobs.values())
    }

    /// Somebody changes his mind about a job that was taken.
    fn cancel(&mut self, sim: &mut Sim, client: &mut Client, which: u64) {
        let all = self.0.iter_mut().flat_map(|graph| graph.jobs.values_mut());
        let mut known: Vec<&mut Wanted> = all.filter(|wanted| wanted.id.is_some()).collect();
        let Some(most) = (known.len() as u64).checked_sub(1) else { return };
        let wanted = &mut *known[(which % (most + 1)) as usize];
        wanted.is_cancelled = true;
        let what = Selection::job(wanted.id.expect("it is known"));
        client.ask(sim, Request::Cancel { what, now: which.is_multiple_of(2), reason: None });
    }

    /// All that was wanted, by number, with the numbers of what each waits for.
    fn numbered(&self) -> BTreeMap<JobId, (&Wanted, Edges)> {
        let graphs = self.0.iter().flat_map(|graph| {
            graph.jobs.values().map(move |wanted| {
                let number = |on: &JobRef| match on {
                    JobRef::Number(job) => *job,
                    JobRef::Name(name) => graph.jobs[name].id.expect("it is taken"),
                };
                let edges =
                    wanted.spec.after().map(|(when, _, on)| (when, number(&on.job), on.each));
                (wanted.id.expect("it is taken"), (wanted, edges.collect()))
            })
        });
        graphs.collect()
    }
}

fn name(at: usize) -> String {
    format!("j{at}")
}

/// What becomes of a task when all that it waits for has ended. What comes later outranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Run,
    Skip,
    Abort,
}

/// What these ends, of one task or of a whole job, make of what waits for them.
fn verdict(when: When, ends: &[TaskState]) -> Verdict {
    use TaskState::{Expired, Failed, Lost, Oom, Skipped, Succeeded, TimedOut};
    let failed = [Failed, TimedOut, Oom, Lost, Expired];
    match when {
        When::Any => Verdict::Run,
        When::Fail if ends.iter().any(|end| failed.contains(end)) => Verdict::Run,
        When::Ok if ends.iter().any(|end| ![Succeeded, Skipped].contains(end)) => Verdict::Abort,
        When::Ok if ends.contains(&Succeeded) => Verdict::Run,
        When::Fail | When::Ok => Verdict::Skip,
    }
}

fn play(sim: &mut Sim) -> Result<(), Failure> {
    sim.run_for(Duration::from_millis(20))?;
    let history = history_of(sim);
    let (mut client, mut graphs) = (Client::new(sim), Graphs::default());
    let machines = unleash(sim);
    for _ in 0..CHAOS.as_millis() / PAUSE.as_millis() {
        if let Some(drawn) = sim.choices_mut().event("submission", 0.08, draw) {
            graphs.want(sim, &mut client, &drawn);
        }
        let cancels = sim.choices_mut().event("cancel", 0.02, |how| how.choose("which", 64));
        if let Some(which) = cancels {
            graphs.cancel(sim, &mut client, which);
        }
        disturb(sim, machines);
        sim.run_for(PAUSE)?;
        graphs.insist(sim, &mut client);
    }
    sim.heal();
    sim.run_until("all that is submitted is taken", Duration::from_mins(1), |sim| {
        graphs.insist(sim, &mut client)
    })?;
    if let Some(wrong) = &client.wrong {
        return fails(sim, &history, wrong.clone());
    }
    undrain(sim, &mut client)?;
    for wanted in graphs.jobs() {
        let what = Selection::job(wanted.id.expect("it is taken"));
        until_done(sim, &mut client, &Request::Release(what))?;
    }
    judge(sim, &mut client, &graphs, &history)
}

/// All tasks of a job, once they have ended.
fn ended(
    sim: &mut Sim,
    client: &mut Client,
    history: &Shared,
    job: JobId,
) -> Result<Vec<TaskView>, Failure> {
    let query = TaskQuery { job, from: 0, limit: None, states: Vec::new() };
    let (mut rounds, mut begun) = (0, 0);
    loop {
        let answer = until_done(sim, client, &Request::Tasks(query.clone()))?;
        let Answer::Tasks { tasks, .. } = answer else {
            return fails(sim, history, format!("job {job} is lost: {answer:?}"));
        };
        let Some(stuck) = tasks.iter().find(|task| !task.state.is_ended()) else {
            return Ok(tasks);
        };
        // One machine may have much to do.
        let before = std::mem::replace(&mut begun, history.lock().unwrap().processes.len());
        rounds = if begun > before { 0 } else { rounds + 1 };
        if rounds > IDLE {
            let task = job.task(stuck.index);
            let why = until_done(sim, client, &Request::Explain(task))?;
            return fails(sim, history, format!("{task} does not end: {why:?}"));
        }
        sim.run_for(Duration::from_secs(1))?;
        undrain(sim, client)?;
    }
}

fn judge(
    sim: &mut Sim,
    client: &mut Client,
    graphs: &Graphs,
    history: &Shared,
) -> Result<(), Failure> {
    let numbered = graphs.numbered();
    let mut tasks: BTreeMap<TaskId, TaskView> = BTreeMap::new();
    for job in numbered.keys() {
        let views = ended(sim, client, history, *job)?;
        tasks.extend(views.into_iter().map(|view| (job.task(view.index), view)));
    }
    let mut seen = Vec::new();
    for (task, view) in &tasks {
        let (wanted, edges) = &numbered[&task.job];
        let judged = judge_task(view, wanted, edges, &tasks, &history.lock().unwrap());
        match judged {
            Ok(verdict) => seen.push((verdict, edges.len())),
            Err(text) => return fails(sim, history, text),
        }
    }
    history.lock().unwrap().judge_overlaps();
    sim.run_for(LEASE)?;
    let has = |wanted: Verdict| seen.iter().any(|(it, edges)| *it == wanted && *edges > 0);
    sim.sometimes("what others wait for lets them run", has(Verdict::Run));
    sim.sometimes("what others wait for has them skipped", has(Verdict::Skip));
    sim.sometimes("what others wait for has them aborted", has(Verdict::Abort));
    let is_retried = tasks.values().any(|it| it.attempts.len() > 1);
    sim.sometimes("a task of a graph runs more than once", is_retried);
    sim.sometimes("a graph has many jobs", numbered.len() > 15);
    Ok(())
}

/// Whether a task ended as the ends before it, and itself, have it; and began after them.
fn judge_task(
    view: &TaskView,
    wanted: &Wanted,
    edges: &[(When, JobId, bool)],
    tasks: &BTreeMap<TaskId, TaskView>,
    history: &History,
) -> Result<Verdict, String> {
    let task = view.job.task(view.index);
    let mut worst = Verdict::Run;
    for (when, on, each) in edges {
        let of = |it: &&TaskView| !*each || it.index == view.index;
        let before: Vec<&TaskView> =
            tasks.range(on.task(0)..=on.task(u32::MAX)).map(|(_, it)| it).filter(of).collect();
        let ends: Vec<TaskState> = before.iter().map(|it| it.state).collect();
        worst = worst.max(verdict(*when, &ends));
        for other in before {
            begins_after(task, on.task(other.index), history)?;
        }
    }
    let should = match worst {
        Verdict::Run => return wanted.judge(view, history).map(|()| worst),
        Verdict::Skip => TaskState::Skipped,
        Verdict::Abort => TaskState::Aborted,
    };
    let is_cancelled = wanted.is_cancelled && view.state == TaskState::Cancelled;
    if view.state != should && !is_cancelled {
        return Err(format!("{task} should be {should:?}, by {edges:?}: {view:?}"));
    }
    if let Some(process) = history.of(task).next() {
        return Err(format!("{task} was {should:?}, and ran: {process:?}"));
    }
    Ok(worst)
}

/// No process of `task` began before the last one of `before` was over, but one that nobody could
/// have stopped.
fn begins_after(task: TaskId, before: TaskId, history: &History) -> Result<(), String> {
    let outlives = |one: &Process, other: &Process| {
        let is_excused = matches!(one.over, Some(Over::Overslept | Over::DiedAsleep));
        one.began > other.began || (!is_excused && one.ended.is_none_or(|at| at > other.began))
    };
    for process in history.of(task) {
        if let Some(early) = history.of(before).find(|it| outlives(it, process)) {
            return Err(format!("{task} began early: {process:?}, which waits for {early:?}"));
        }
    }
    Ok(())
}

type Make = fn(u64, Choices) -> Sim;
type Play = fn(&mut Sim) -> Result<(), Failure>;

const SCENARIO: Scenario<Make, Play> = Scenario { make, play };

#[test]
fn whatever_happens_no_job_begins_before_what_it_waits_for_and_none_waits_for_ever() {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Campaign { jobs, ..Campaign::default() };
    let report = SCENARIO.campaign(seeds(), &how, |_| ControlFlow::Continue(()));
    println!("{report}");
    report.expect_none();
    if report.seeds >= 100 {
        let holes: Vec<_> =
            report.coverage.standing(dx_sim::coverage::Standing::Hole).map(|it| it.name).collect();
        assert!(holes.is_empty(), "never seen: {holes:?}");
    }
}

#[test]
fn the_same_seed_of_graphs_is_the_same_run() {
    SCENARIO.determined(0..4).unwrap();
}
