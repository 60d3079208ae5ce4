//! Jobs that wait for jobs.

use std::collections::BTreeMap;

use dx_scheduler::client::{Answer, JobState, Request, RequestError, Selection};
use dx_scheduler::end::{End, Exit, TaskState};
use dx_scheduler::id::{JobId, TaskId};
use dx_scheduler::job::JobSpec;

use crate::desk::{Desk, all_of, ended, exit, spec, submission};

/// One node with so many processors.
fn ready(cpus: u32) -> Desk {
    let mut desk = Desk::new(1);
    desk.join(1, 1, cpus, Vec::new());
    desk.said(1);
    desk
}

fn after(array: &str, ok: &[&str], fail: &[&str], any: &[&str]) -> JobSpec {
    let parsed = |texts: &[&str]| texts.iter().map(|it| it.parse().unwrap()).collect();
    let (after_ok, after_fail, after_any) = (parsed(ok), parsed(fail), parsed(any));
    JobSpec { after_ok, after_fail, after_any, ..spec(array) }
}

fn state(desk: &mut Desk, task: TaskId) -> TaskState {
    desk.task(task).state
}

/// What is open on the node ends so, whatever begins meanwhile.
fn end_all(desk: &mut Desk, how: Exit) {
    let node = dx_agents::NodeId(1);
    loop {
        let open = desk.core.state().open_on(node);
        if open.is_empty() {
            return;
        }
        for attempt in open {
            desk.end(1, 1, attempt, exit(how));
        }
    }
}

fn end_first(desk: &mut Desk, how: Exit) {
    let first = desk.core_first(1);
    desk.end(1, 1, first, exit(how));
}

fn all(jobs: &[(&str, JobSpec)], dry_run: bool) -> Request {
    let jobs = jobs.iter().map(|(name, spec)| ((*name).to_owned(), spec.clone())).collect();
    Request::SubmitAll { jobs, by: "me".to_owned(), caller: None, dry_run }
}

fn submit_all(desk: &mut Desk, jobs: &[(&str, JobSpec)]) -> BTreeMap<String, JobId> {
    match desk.ask(all(jobs, false)) {
        Answer::AllSubmitted { jobs, .. } => {
            jobs.into_iter().map(|(name, taken)| (name, taken.job)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn problems(desk: &mut Desk, request: Request) -> Vec<(String, String)> {
    match desk.ask(request) {
        Answer::Refused(RequestError::Invalid(problems)) => {
            problems.into_iter().map(|it| (it.key, it.what)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_runs_when_that_before_it_succeeded_and_not_before() {
    let mut desk = ready(4);
    let first = desk.submit(spec("0-2"));
    let second = desk.submit(after("0", &["1"], &[], &[]));
    for left in (0..3).rev() {
        assert_eq!(state(&mut desk, second.task(0)), TaskState::Waiting, "{left} are left");
        desk.restart();
        desk.join(1, 1, 4, desk.core.state().open_on(dx_agents::NodeId(1)));
        end_first(&mut desk, Exit::Code(0));
    }
    assert_eq!(desk.job(first).state, JobState::Succeeded);
    assert_eq!(state(&mut desk, second.task(0)), TaskState::Assigned);
}

/// What becomes of a job after another that ended so: after its success, its failure, any end.
fn outcomes(end: impl Fn(&mut Desk, JobId)) -> [TaskState; 3] {
    let mut desk = ready(1);
    let first = desk.submit(JobSpec { hold: true, ..spec("0") });
    let lists: [[&[&str]; 3]; 3] = [[&["1"], &[], &[]], [&[], &["1"], &[]], [&[], &[], &["1"]]];
    let jobs = lists.map(|[ok, fail, any]| {
        let waits = JobSpec { priority: -1, ..after("0", ok, fail, any) };
        desk.submit(waits)
    });
    end(&mut desk, first);
    desk.restart();
    jobs.map(|job| match state(&mut desk, job.task(0)) {
        TaskState::Assigned => TaskState::Queued,
        other => other,
    })
}

#[test]
fn each_kind_of_dependency_is_met_skipped_or_aborted_as_the_table_says() {
    use TaskState::{Aborted, Queued, Skipped};
    let run = |desk: &mut Desk, job: JobId| {
        desk.changed(Request::Release(all_of(job)));
        desk.core_first(1)
    };
    let with = |end: End| {
        outcomes(|desk, job| {
            let attempt = run(desk, job);
            let finish = if end == End::Succeeded { exit(Exit::Code(0)) } else { ended(end) };
            desk.end(1, 1, attempt, finish);
        })
    };
    assert_eq!(with(End::Succeeded), [Queued, Skipped, Queued]);
    for end in [End::Failed, End::TimedOut, End::Oom] {
        assert_eq!(with(end), [Aborted, Queued, Queued], "{end:?}");
    }
    let cancelled = outcomes(|desk, job| {
        desk.changed(Request::Cancel { what: all_of(job), now: false, reason: None });
    });
    assert_eq!(cancelled, [Aborted, Skipped, Queued]);
}

#[test]
fn what_was_aborted_or_skipped_is_so_all_the_way_and_its_root_is_named() {
    let mut desk = ready(1);
    let jobs = submit_all(
        &mut desk,
        &[
            ("fetch", JobSpec { name: Some("fetch".to_owned()), ..spec("0") }),
            ("build", after("0-9", &["fetch"], &[], &[])),
            ("test", after("0-9", &["build:each"], &[], &[])),
            ("report", after("0", &["test"], &[], &[])),
            ("mourn", after("0", &[], &["fetch"], &[])),
            ("cheer", after("0", &[], &["mourn"], &[])),
            ("after", after("0", &["cheer"], &[], &[])),
        ],
    );
    end_first(&mut desk, Exit::Code(3));
    let report = desk.task(jobs["report"].task(0));
    assert_eq!(report.state, TaskState::Aborted);
    let reason = report.reason.unwrap();
    assert!(reason.contains("did not succeed") && reason.contains("`fetch`"), "{reason}");
    assert!(reason.contains("exited with code 3"), "{reason}");
    assert_eq!(state(&mut desk, jobs["test"].task(7)), TaskState::Aborted);
    end_all(&mut desk, Exit::Code(0));
    assert_eq!(desk.job(jobs["mourn"]).state, JobState::Succeeded);
    assert_eq!(state(&mut desk, jobs["cheer"].task(0)), TaskState::Skipped);
    assert_eq!(state(&mut desk, jobs["after"].task(0)), TaskState::Skipped);
    assert_eq!(desk.job(jobs["after"]).state, JobState::Succeeded, "skipped is no failure");
    desk.restart();
}

#[test]
fn a_retry_revives_what_was_stopped_by_it_and_what_ran_stays() {
    let mut desk = ready(2);
    let jobs = submit_all(
        &mut desk,
        &[
            ("a", spec("0")),
            ("b", after("0", &["a"], &[], &[])),
            ("c", after("0", &["b"], &[], &[])),
            ("d", after("0", &[], &[], &["a"])),
        ],
    );
    end_first(&mut desk, Exit::Code(1));
    end_all(&mut desk, Exit::Code(0));
    let refused = desk.ask(Request::Retry { what: all_of(jobs["c"]), all: false });
    let stopped = RequestError::Stopped { job: jobs["c"], via: jobs["b"], root: jobs["a"] };
    assert_eq!(refused, Answer::Refused(stopped));
    assert_eq!(desk.changed(Request::Retry { what: all_of(jobs["a"]), all: false }), 1);
    desk.restart();
    desk.join(1, 1, 2, Vec::new());
    assert_eq!(state(&mut desk, jobs["b"].task(0)), TaskState::Waiting);
    assert_eq!(state(&mut desk, jobs["c"].task(0)), TaskState::Waiting);
    assert_eq!(state(&mut desk, jobs["d"].task(0)), TaskState::Succeeded);
    end_all(&mut desk, Exit::Code(0));
    for name in ["a", "b", "c"] {
        assert_eq!(desk.job(jobs[name]).state, JobState::Succeeded, "{name}");
    }
}

#[test]
fn each_waits_for_its_own_index_only() {
    let mut desk = ready(1);
    let first = desk.submit(spec("0-4"));
    let second = desk.submit(JobSpec { priority: 1, ..after("1-3", &["1:each"], &[], &[]) });
    end_first(&mut desk, Exit::Code(0));
    assert_eq!(desk.job(second).counts.0[&TaskState::Waiting], 3);
    end_first(&mut desk, Exit::Code(0));
    assert_ne!(state(&mut desk, second.task(1)), TaskState::Waiting);
    assert_eq!(state(&mut desk, second.task(2)), TaskState::Waiting);
    while desk.core_first(1).task != first.task(2) {
        end_first(&mut desk, Exit::Code(0));
    }
    end_first(&mut desk, Exit::Code(1));
    assert_eq!(state(&mut desk, second.task(2)), TaskState::Aborted);
    end_all(&mut desk, Exit::Code(0));
    assert_eq!(state(&mut desk, second.task(3)), TaskState::Succeeded);
    assert_eq!(desk.changed(Request::Retry { what: all_of(first), all: false }), 1);
    assert_eq!(state(&mut desk, second.task(2)), TaskState::Waiting);
    end_all(&mut desk, Exit::Code(0));
    assert_eq!(desk.job(second).state, JobState::Succeeded);
}

#[test]
fn what_cannot_be_waited_for_is_named_at_submission() {
    let mut desk = ready(1);
    desk.submit(spec("0-4"));
    let none = problems(&mut desk, submission(after("0", &["7"], &[], &[])));
    assert_eq!(none, [("after_ok.0".to_owned(), "there is no job 7".to_owned())]);
    let own = problems(&mut desk, submission(after("0", &["2"], &[], &[])));
    assert_eq!(own[0].1, "there is no job 2", "its own number");
    let name = problems(&mut desk, submission(after("0", &["build"], &[], &[])));
    assert_eq!(name[0].1, "no job of this submission is named `build`");
    let twice = problems(&mut desk, submission(after("0", &["1"], &[], &["1"])));
    assert_eq!(twice[0].0, "after_any.0");
    let outside = problems(&mut desk, submission(after("3-9", &["1:each"], &[], &[])));
    assert_eq!(outside[0].1, "job 1 has no task 5, for which that of this job could wait");
    let ring = [("a", after("0", &["b"], &[], &[])), ("b", after("0", &[], &["a"], &[]))];
    let ring = problems(&mut desk, all(&ring, false));
    assert_eq!(ring[0].0, "job.a.after_ok.0");
    assert_eq!(desk.core.state().last_job, 1, "nothing of it was taken");
}

#[test]
fn a_submission_of_several_that_comes_twice_is_one() {
    let mut desk = ready(1);
    let named = |id: &str, spec: JobSpec| JobSpec { request_id: Some(id.to_owned()), ..spec };
    let jobs = [("z", named("z", spec("0"))), ("a", named("a", after("0", &["z"], &[], &[])))];
    assert!(matches!(desk.ask(all(&jobs, true)), Answer::AllSubmitted { .. }));
    assert_eq!(desk.core.state().last_job, 0, "a dry run takes nothing");
    let first = submit_all(&mut desk, &jobs);
    assert!(first["z"] < first["a"], "what is waited for has the lower number");
    assert_eq!(submit_all(&mut desk, &jobs), first);
    assert_eq!(desk.core.state().last_job, 2);
}

#[test]
fn what_is_waited_for_is_not_removed() {
    let mut desk = ready(1);
    let (first, hold) = (desk.submit(spec("0")), JobSpec { hold: true, ..spec("0") });
    let other = desk.submit(hold);
    let last = desk.submit(after("0", &["1", "2"], &[], &[]));
    end_first(&mut desk, Exit::Code(0));
    let removal = |job, force| Request::Remove { what: all_of(job), force };
    assert_eq!(desk.ask(removal(first, false)), Answer::Refused(RequestError::Needed(first)));
    assert_eq!(desk.ask(removal(first, true)), Answer::Refused(RequestError::Needed(first)));
    let both = Selection {
        parts: [first, last].map(|it| Selection::job(it).parts[0].clone()).to_vec(),
        states: Vec::new(),
    };
    assert_eq!(desk.changed(Request::Remove { what: both, force: true }), 2);
    assert_eq!(desk.ask(Request::Job(first)), Answer::Refused(RequestError::NoJob(first)));
    assert_eq!(desk.job(other).state, JobState::Held);
    desk.restart();
}

#[test]
fn a_task_that_waits_says_for_whom() {
    let mut desk = ready(1);
    desk.submit(spec("0-4"));
    let waits = desk.submit(after("0-4", &["1"], &[], &[]));
    let each = desk.submit(after("0-4", &["2:each"], &[], &[]));
    let said = desk.explain(waits.task(3)).causes[0].what.clone();
    assert_eq!(said, "it waits for job 1 (5 tasks left) to end");
    let said = desk.explain(each.task(3)).causes[0].what.clone();
    assert_eq!(said, "it waits for task 2.3 (waiting) to end");
}

#[test]
fn a_fan_of_25_000_times_25_000_costs_what_50_000_tasks_cost() {
    let mut desk = ready(25_000);
    let first = desk.submit(spec("0-24999"));
    let second = desk.submit(after("0-24999", &["1"], &[], &[]));
    assert!(desk.core.state().snapshot().len() < 2_000_000, "what waits is a range");
    let open = desk.core.state().open_on(dx_agents::NodeId(1));
    let reports =
        open.iter().map(|it| dx_scheduler::message::Report::Ended(*it, exit(Exit::Code(0))));
    let mut reports: Vec<_> = reports.collect();
    let last = reports.pop().unwrap();
    desk.report(1, 1, reports);
    assert_eq!(desk.job(second).counts.0[&TaskState::Waiting], 25_000, "none begins early");
    desk.report(1, 1, vec![last]);
    assert_eq!(desk.job(first).state, JobState::Succeeded);
    assert_eq!(desk.job(second).counts.0[&TaskState::Assigned], 25_000, "none is forgotten");
}

#[test]
fn a_chain_of_1_000_falls_at_once_and_rises_again() {
    let mut desk = ready(1);
    desk.is_careful = false;
    let mut before: Option<JobId> = None;
    for _ in 0..1_000 {
        let on = before.map(|it| it.to_string());
        let on: Vec<&str> = on.as_deref().into_iter().collect();
        before = Some(desk.submit(after("0", &on, &[], &[])));
    }
    let last = before.unwrap();
    end_first(&mut desk, Exit::Code(1));
    assert_eq!(state(&mut desk, last.task(0)), TaskState::Aborted);
    desk.restart();
    desk.join(1, 1, 1, Vec::new());
    desk.changed(Request::Retry { what: all_of(JobId(1)), all: false });
    assert_eq!(state(&mut desk, last.task(0)), TaskState::Waiting);
    end_all(&mut desk, Exit::Code(0));
    assert_eq!(state(&mut desk, last.task(0)), TaskState::Succeeded);
    desk.core.state().check().unwrap();
}
