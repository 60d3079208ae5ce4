//! What people do to jobs.

use dx_scheduler::client::{Answer, JobState, Part, Request, RequestError, Selection};
use dx_scheduler::core::{Config, NodeConfig};
use dx_scheduler::end::{End, Exit, TaskState};
use dx_scheduler::id::JobId;
use dx_scheduler::job::JobSpec;
use dx_scheduler::message::{Report, ToRunner};

use crate::desk::{Desk, all_of, ended, exit, spec};

fn ready() -> Desk {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 2, Vec::new());
    desk.said(1);
    desk
}

fn tasks(job: JobId, first: u32, last: u32) -> Selection {
    Selection { parts: vec![Part::Tasks(job, first, last)], states: Vec::new() }
}

fn count(desk: &mut Desk, job: JobId, state: TaskState) -> u64 {
    desk.job(job).counts.0.get(&state).copied().unwrap_or(0)
}

#[test]
fn a_million_tasks_that_wait_are_cancelled_at_once_and_cost_a_few_bytes() {
    let mut desk = Desk::new(1);
    let job = desk.submit(spec("0-999999"));
    let size = desk.core.state().snapshot().len();
    assert!(size < 2_000, "{size}");
    let cancel = Request::Cancel { what: all_of(job), now: false, reason: None };
    assert_eq!(desk.changed(cancel), 1_000_000);
    assert_eq!(desk.job(job).state, JobState::Cancelled);
    assert!(desk.core.state().snapshot().len() < 2_000);
}

#[test]
fn cancelling_asks_first_and_then_insists() {
    let mut desk = ready();
    let job = desk.submit(spec("0"));
    let attempt = desk.assigned(1)[0];
    desk.report(1, 1, vec![Report::Started(attempt)]);
    let cancel = |now| Request::Cancel { what: all_of(job), now, reason: None };
    let kills = |said: Vec<ToRunner>| {
        let kills = said.into_iter().filter_map(|it| match it {
            ToRunner::Kill { attempts, .. } => Some(attempts[0].now),
            _ => None,
        });
        kills.collect::<Vec<_>>()
    };
    assert_eq!(desk.changed(cancel(false)), 1);
    assert_eq!(kills(desk.said(1)), [false]);
    assert_eq!(desk.changed(cancel(false)), 0, "it was told");
    assert_eq!(desk.changed(cancel(true)), 1);
    assert_eq!(kills(desk.said(1)), [true]);
    desk.end(1, 1, attempt, ended(End::Cancelled));
    assert_eq!(desk.job(job).state, JobState::Cancelled);
    assert_eq!(desk.changed(cancel(true)), 0);
}

#[test]
fn a_retry_opens_what_failed_and_keeps_what_was() {
    let mut desk = ready();
    let job = desk.submit(spec("0-1"));
    let runs = desk.assigned(1);
    desk.end(1, 1, runs[0], exit(Exit::Code(0)));
    desk.end(1, 1, runs[1], exit(Exit::Code(4)));
    assert_eq!(desk.job(job).state, JobState::Failed);
    let retry = Request::Retry { what: all_of(job), all: false };
    assert_eq!(desk.changed(retry.clone()), 1);
    assert_eq!(desk.job(job).ended, None);
    let again = desk.assigned(1);
    assert_eq!(again, [job.task(1).attempt(2)]);
    desk.end(1, 1, again[0], exit(Exit::Code(0)));
    assert_eq!(desk.job(job).state, JobState::Succeeded);
    let ends: Vec<_> = desk.task(job.task(1)).attempts.iter().map(|it| it.record.end).collect();
    assert_eq!(ends, [Some(End::Failed), Some(End::Succeeded)]);
    assert_eq!(desk.changed(retry), 0);
    assert_eq!(desk.changed(Request::Retry { what: all_of(job), all: true }), 2);
}

#[test]
fn a_retried_task_has_all_its_attempts_before_it_again() {
    let mut desk = ready();
    let mut it = spec("0");
    it.retry.max_attempts = 2;
    let job = desk.submit(it);
    let fail = |desk: &mut Desk, number| {
        desk.end(1, 1, job.task(0).attempt(number), exit(Exit::Code(1)));
        desk.pass(2_000);
    };
    fail(&mut desk, 1);
    fail(&mut desk, 2);
    assert_eq!(desk.task(job.task(0)).state, TaskState::Failed);
    desk.changed(Request::Retry { what: all_of(job), all: false });
    fail(&mut desk, 3);
    assert_eq!(desk.task(job.task(0)).state, TaskState::Assigned);
}

#[test]
fn what_is_held_does_not_run_until_it_is_released() {
    let mut desk = ready();
    let job = desk.submit(JobSpec { hold: true, ..spec("0-9") });
    assert_eq!((desk.assigned(1).len(), desk.job(job).state), (0, JobState::Held));
    assert_eq!(desk.changed(Request::Release(tasks(job, 3, 4))), 2);
    let runs: Vec<u32> = desk.assigned(1).iter().map(|it| it.task.index).collect();
    assert_eq!(runs, [3, 4]);
}

#[test]
fn what_waits_on_a_node_is_held_when_it_comes_back() {
    let mut desk = ready();
    let job = desk.submit(spec("0-9"));
    let runs = desk.assigned(1);
    assert_eq!(desk.changed(Request::Hold(all_of(job))), 10);
    desk.report(1, 1, vec![Report::Started(runs[0])]);
    for attempt in &runs[1..] {
        desk.report(1, 1, vec![Report::Returned(*attempt)]);
    }
    assert_eq!(count(&mut desk, job, TaskState::Held), 9);
    assert_eq!(count(&mut desk, job, TaskState::Running), 1, "what runs goes on");
    assert_eq!(desk.changed(Request::Release(all_of(job))), 9);
}

#[test]
fn a_job_is_removed_when_it_has_ended_or_by_force() {
    let mut desk = ready();
    let job = desk.submit(spec("0-9"));
    let runs = desk.assigned(1);
    let remove = |force| Request::Remove { what: all_of(job), force };
    assert_eq!(desk.ask(remove(false)), Answer::Refused(RequestError::NotEnded(job)));
    assert_eq!(desk.changed(remove(true)), 1);
    assert!(desk.job(job).ended.is_none(), "it is there until what runs has ended");
    for attempt in &runs {
        desk.end(1, 1, *attempt, ended(End::Cancelled));
    }
    assert_eq!(desk.ask(Request::Job(job)), Answer::Refused(RequestError::NoJob(job)));
    let dropped = desk.said(1).into_iter().find_map(|it| match it {
        ToRunner::DropLogs { attempts, .. } => Some(attempts),
        _ => None,
    });
    assert_eq!(dropped, Some(runs));
}

#[test]
fn of_the_jobs_that_ended_the_first_go_when_they_are_too_many() {
    let nodes = [(dx_agents::NodeId(1), NodeConfig::default())].into();
    let mut desk = Desk::with(Config { nodes, most_ended: 2, ..Config::default() });
    let jobs: Vec<JobId> = (0..4).map(|_| desk.submit(spec("0"))).collect();
    for (after, job) in jobs.iter().rev().enumerate() {
        desk.at += after as u64;
        desk.changed(Request::Cancel { what: all_of(*job), now: false, reason: None });
    }
    let left: Vec<JobId> = match desk.ask(Request::Jobs(dx_scheduler::client::JobQuery::default()))
    {
        Answer::Jobs { jobs, .. } => jobs.into_iter().map(|job| job.id).collect(),
        other => panic!("{other:?}"),
    };
    assert_eq!(left, [jobs[1], jobs[0]]);
}

#[test]
fn of_the_jobs_that_ended_the_first_go_when_too_many_tasks_ran() {
    let nodes = [(dx_agents::NodeId(1), NodeConfig::default())].into();
    let mut desk = Desk::with(Config { nodes, most_rows: 3, ..Config::default() });
    desk.join(1, 1, 9, Vec::new());
    let end = |desk: &mut Desk, job: JobId, tasks| {
        let ends = (0..tasks).map(|it| Report::Ended(job.task(it).attempt(1), exit(Exit::Code(0))));
        desk.report(1, 1, ends.collect());
    };
    let large = desk.submit(spec("0-7"));
    end(&mut desk, large, 8);
    assert_eq!(desk.job(large).state, JobState::Succeeded, "the only one stays");
    let small = desk.submit(spec("0"));
    end(&mut desk, small, 1);
    assert!(desk.core.has(small) && !desk.core.has(large));
}

#[test]
fn a_selection_that_names_nothing_is_refused() {
    let mut desk = ready();
    let job = desk.submit(spec("3-5"));
    let hold = |part| Request::Hold(Selection { parts: vec![part], states: Vec::new() });
    let refused = |desk: &mut Desk, part| match desk.ask(hold(part)) {
        Answer::Refused(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut desk, Part::Jobs(JobId(7), JobId(9))), RequestError::NoJob(JobId(7)));
    assert_eq!(refused(&mut desk, Part::Jobs(JobId(9), JobId(1))), RequestError::NoJob(JobId(9)));
    let no_task = RequestError::NoTask(job.task(9));
    assert_eq!(refused(&mut desk, Part::Tasks(job, 9, 12)), no_task);
    assert_eq!(refused(&mut desk, Part::Tasks(job, 5, 3)), RequestError::NoTask(job.task(5)));
    assert_eq!(desk.changed(hold(Part::Label("no".to_owned(), None))), 0);
}

#[test]
fn tasks_are_selected_by_their_state() {
    let mut desk = ready();
    let job = desk.submit(spec("0-9"));
    let running = desk.assigned(1).len() as u64;
    let what = Selection { states: vec![TaskState::Queued], ..all_of(job) };
    let cancel = Request::Cancel { what, now: false, reason: None };
    assert_eq!(desk.changed(cancel), 10 - running);
    assert_eq!(count(&mut desk, job, TaskState::Cancelled), 10 - running);
}
