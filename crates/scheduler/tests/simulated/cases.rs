//! Single misfortunes, each with what must come of it.

use std::time::Duration;

use dx_scheduler::client::{Answer, NodeState, Request, Selection, TaskQuery, TaskView};
use dx_scheduler::end::{End, TaskState};
use dx_scheduler::runner::Runner;
use dx_sim::{Choices, Sim};

use super::chaos::until_done;
use super::client::Client;
use super::history::{Over, Shared};
use super::world::{CONTROLLER, LEASE, runner_node, shim_node, world};

/// Of the programs that a client knows: one that succeeds after six seconds, and one after one.
const LONG: u64 = 2;
const SHORT: u64 = 1;

/// One whose first attempt finds its node's disk full.
const HOLE: u64 = 10;

/// One task that needs a processor.
const ONE: u64 = 0;

/// Five of them.
const FIVE: u64 = 10;

struct Case {
    sim: Sim,
    client: Client,
    history: Shared,
}

impl Case {
    /// So many machines, and a task that runs.
    fn new(machines: u64, program: u64) -> Self {
        let mut case = Self::begin(machines, program, ONE);
        case.until("it runs", |case| case.history.lock().unwrap().is_open());
        case
    }

    /// So many machines, and a job.
    fn begin(machines: u64, program: u64, shape: u64) -> Self {
        let history = Shared::default();
        let mut sim = world(1, Choices::seeded(1), machines, &history);
        sim.run_for(Duration::from_millis(400)).unwrap();
        let mut client = Client::new(&mut sim);
        client.want(&mut sim, program, shape);
        Self { sim, client, history }
    }

    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..30_000 {
            if holds(self) {
                return;
            }
            self.sim.run_for(Duration::from_millis(1)).unwrap();
            self.client.listen(&mut self.sim);
        }
        panic!("{what}: it does not happen");
    }

    /// The task, once it has ended.
    fn end(&mut self) -> TaskView {
        self.end_of(0)
    }

    /// That of the `number`th job.
    fn end_of(&mut self, number: usize) -> TaskView {
        for _ in 0..300 {
            if let Some(task) = self.task(number).filter(|task| task.state.is_ended()) {
                return task;
            }
            self.sim.run_for(Duration::from_millis(100)).unwrap();
        }
        panic!("it does not end: {:?}", self.task(number));
    }

    fn task(&mut self, number: usize) -> Option<TaskView> {
        self.client.listen(&mut self.sim);
        let job = self.client.jobs[number].id?;
        let query = TaskQuery { job, from: 0, limit: None, states: Vec::new() };
        let answer = until_done(&mut self.sim, &mut self.client, &Request::Tasks(query));
        let Answer::Tasks { tasks, .. } = answer.unwrap() else { panic!("it is there") };
        tasks.into_iter().next()
    }

    /// Where it runs, or ran last.
    fn machine(&self) -> u64 {
        let history = self.history.lock().unwrap();
        u64::from(history.processes.last().unwrap().node.0 - runner_node(0).0)
    }
}

fn ends(task: &TaskView) -> Vec<End> {
    task.attempts.iter().map(|attempt| attempt.record.end.unwrap()).collect()
}

#[test]
fn what_ran_on_a_machine_that_never_comes_back_runs_elsewhere() {
    let mut case = Case::new(2, LONG);
    let machine = case.machine();
    case.sim.crash_node(runner_node(machine));
    case.sim.crash_node(shim_node(machine));
    let task = case.end();
    assert_eq!((task.state, ends(&task)), (TaskState::Succeeded, vec![End::Lost, End::Succeeded]));
    assert_ne!(case.machine(), machine);
}

/// What is away for less than a lease disturbs nothing.
#[test]
fn a_controller_or_runner_that_restarts_within_a_lease_loses_nothing_and_reruns_nothing() {
    for victims in [vec![CONTROLLER], vec![runner_node(0)], vec![CONTROLLER, runner_node(0)]] {
        let mut case = Case::new(1, LONG);
        for round in 0..3 {
            for victim in &victims {
                case.sim.crash_node(*victim);
                case.sim.restart_node(*victim, Duration::from_millis(300));
            }
            case.sim.run_for(Duration::from_millis(900 + 100 * round)).unwrap();
        }
        let task = case.end();
        assert_eq!((task.state, ends(&task)), (TaskState::Succeeded, vec![End::Succeeded]));
    }
}

#[test]
fn a_machine_that_is_cut_off_ends_its_tasks_before_others_begin_them() {
    for is_one_way in [false, true] {
        let mut case = Case::new(2, LONG);
        let node = runner_node(case.machine());
        case.sim.cut(node, CONTROLLER);
        if !is_one_way {
            case.sim.cut(CONTROLLER, node);
        }
        let task = case.end();
        assert_eq!(ends(&task), [End::Lost, End::Succeeded]);
        let history = case.history.lock().unwrap();
        assert_eq!(history.processes[0].over, Some(Over::Fenced));
        assert!(history.overlaps.is_empty());
    }
}

/// The controller counts from when it heard the beat.
#[test]
fn a_grant_that_comes_late_lengthens_no_lease() {
    let mut case = Case::new(2, LONG);
    let node = runner_node(case.machine());
    case.sim.clog(CONTROLLER, node, 5 * LEASE / 6);
    case.sim.run_for(LEASE / 4).unwrap();
    case.sim.cut(node, CONTROLLER);
    let task = case.end();
    assert_eq!(ends(&task), [End::Lost, End::Succeeded]);
    assert!(case.history.lock().unwrap().overlaps.is_empty());
}

#[test]
fn a_shim_that_sleeps_past_its_lease_says_that_attempts_may_have_overlapped() {
    let mut case = Case::new(2, LONG);
    case.sim.pause_node(shim_node(case.machine()), 4 * LEASE);
    case.until("another attempt begins", |case| !case.history.lock().unwrap().overlaps.is_empty());
    case.sim.run_for(5 * LEASE).unwrap();
    let task = case.end();
    assert_eq!(task.state, TaskState::Succeeded);
    let note = task.attempts[0].record.note.as_ref().unwrap();
    assert!(note.contains("may have run"), "{note}");
    case.history.lock().unwrap().judge_overlaps();
    assert_eq!(case.history.lock().unwrap().wrong, None);
}

/// A controller that stands still grants no lease.
#[test]
fn a_controller_that_stands_still_loses_what_ran_and_no_task() {
    let mut case = Case::new(1, LONG);
    case.sim.pause_node(CONTROLLER, 3 * LEASE);
    case.sim.run_for(3 * LEASE).unwrap();
    let task = case.end();
    assert_eq!(task.state, TaskState::Succeeded);
    assert!(case.history.lock().unwrap().overlaps.is_empty());
}

/// A lease is granted though nothing can be journaled.
#[test]
fn what_runs_while_the_controllers_disk_is_full_for_longer_than_a_lease_goes_on() {
    let mut case = Case::new(2, LONG);
    case.sim.fill_disk(CONTROLLER, 0);
    // What it journals, and so all that it says from here on but grants, waits.
    case.client.want(&mut case.sim, SHORT, ONE);
    case.sim.run_for(3 * LEASE).unwrap();
    assert_eq!(case.history.lock().unwrap().processes.len(), 1, "nothing begins");
    assert_eq!(case.history.lock().unwrap().expired, 0, "no lease ends");
    case.sim.empty_disk(CONTROLLER);
    let task = case.end();
    assert_eq!((task.state, ends(&task)), (TaskState::Succeeded, vec![End::Succeeded]));
}

#[test]
fn a_shim_that_is_killed_loses_what_it_ran_and_nothing_else() {
    let mut case = Case::new(1, SHORT);
    case.sim.crash_node(shim_node(0));
    case.sim.restart_node(shim_node(0), Duration::from_millis(100));
    let task = case.end();
    assert_eq!(ends(&task), [End::Lost, End::Succeeded]);
    assert_eq!(case.history.lock().unwrap().processes[0].over, Some(Over::WithShim));
}

/// The assignment was lost, and so was the kill: neither is sent again.
#[test]
fn what_is_cancelled_before_its_node_hears_of_it_never_runs() {
    let mut case = Case::new(1, SHORT);
    let node = runner_node(0);
    case.sim.cut(node, CONTROLLER);
    case.sim.cut(CONTROLLER, node);
    case.client.want(&mut case.sim, LONG, ONE);
    case.until("it is taken", |case| case.client.jobs[1].id.is_some());
    let job = case.client.jobs[1].id.unwrap();
    let what = Selection::job(job);
    let cancel = Request::Cancel { what, now: false, reason: None };
    until_done(&mut case.sim, &mut case.client, &cancel).unwrap();
    case.sim.lose_session(node, CONTROLLER);
    case.sim.mend_all();
    let task = case.end_of(1);
    assert_eq!(task.state, TaskState::Cancelled);
    assert_eq!(case.history.lock().unwrap().of(job.task(0)).count(), 0);
}

#[test]
fn a_quarantine_ends_though_nothing_else_happens() {
    let mut case = Case::begin(1, HOLE, FIVE);
    case.sim.run_for(Duration::from_secs(2)).unwrap();
    let nodes = until_done(&mut case.sim, &mut case.client, &Request::Nodes).unwrap();
    let Answer::Nodes(nodes) = nodes else { panic!("{nodes:?}") };
    assert_eq!(nodes[0].state, NodeState::Quarantined);
    // As long as the first one is.
    case.sim.run_for(Duration::from_secs(30)).unwrap();
    assert_eq!(case.end().state, TaskState::Succeeded);
}

/// It had no lease that could have run out, so it does not know by itself.
#[test]
fn a_life_that_was_given_up_before_it_had_a_lease_is_followed_by_another() {
    let mut case = Case::new(1, SHORT);
    case.end();
    let (runner, shim) = (runner_node(0), shim_node(0));
    // One that is under way would reach the next life.
    let lease = |case: &Case| case.history.lock().unwrap().leases.get(&runner).copied();
    let before = lease(&case);
    case.until("a lease has come", |case| lease(case) != before);
    case.sim.crash_node(shim);
    case.sim.restart_node(shim, Duration::from_millis(100));
    let is_joining = |sim: &mut Sim| sim.agents_of::<Runner>().all(|(_, it)| !it.is_welcome());
    case.sim.run_until("it joins", LEASE, is_joining).unwrap();
    case.sim.cut(runner, shim);
    case.sim.cut(shim, runner);
    case.sim.run_for(3 * LEASE).unwrap();
    case.sim.lose_session(runner, shim);
    case.sim.mend_all();
    case.until("it is abandoned", |case| case.history.lock().unwrap().abandoned == 1);
    case.client.want(&mut case.sim, SHORT, ONE);
    case.until("the next life runs something", |case| case.history.lock().unwrap().is_open());
}
