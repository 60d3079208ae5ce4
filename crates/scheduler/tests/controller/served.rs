//! Jobs from their submission to their end.

use std::time::Duration;

use dx_scheduler::client::{Answer, JobState, JobView, Request};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::JobId;
use dx_scheduler::job::{Command, JobSpec};
use dx_sim::{Port, Sim};

use crate::obedient::{HOME, ask, world};

pub fn spec(tasks: &str) -> JobSpec {
    let exec = vec!["true".to_owned()];
    JobSpec {
        commands: vec![Command { exec }],
        array: Some(tasks.to_owned()),
        ..Default::default()
    }
}

pub fn submit(sim: &mut Sim, port: Port, spec: JobSpec) -> JobId {
    let request = Request::Submit { spec: Box::new(spec), by: "me".to_owned(), dry_run: false };
    match ask(sim, port, &request) {
        Answer::Submitted { job, .. } => job,
        other => panic!("{other:?}"),
    }
}

fn job(sim: &mut Sim, port: Port, job: JobId) -> JobView {
    match ask(sim, port, &Request::Job(job)) {
        Answer::Job(job) => *job,
        other => panic!("{other:?}"),
    }
}

/// Waits as a client does, by watching.
fn ended(sim: &mut Sim, port: Port, id: JobId) -> JobView {
    let mut since = 0;
    loop {
        match ask(sim, port, &Request::Watch { job: Some(id), since }) {
            Answer::Changed { job: Some(job), .. } if job.ended.is_some() => return *job,
            Answer::Changed { job: Some(job), .. } => since = job.version,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_job_that_is_submitted_runs_to_its_end() {
    let mut sim = world(1, 3);
    sim.run_for(Duration::from_secs(1)).unwrap();
    let port = sim.port();
    let id = submit(&mut sim, port, spec("0-99"));
    assert_eq!(id, JobId(1));
    let view = ended(&mut sim, port, id);
    assert_eq!(view.state, JobState::Succeeded);
    assert_eq!(view.counts.0.get(&TaskState::Succeeded), Some(&100));
    assert_eq!(view.exit, Some(0));
}

#[test]
fn a_crash_of_the_controller_loses_no_job_and_repeats_no_task() {
    for seed in 0..20 {
        let mut sim = world(seed, 2);
        sim.run_for(Duration::from_secs(1)).unwrap();
        let port = sim.port();
        let id = submit(&mut sim, port, spec("0-199"));
        sim.run_for(Duration::from_millis(50 + 20 * seed)).unwrap();
        sim.crash_node(HOME);
        sim.restart_node(HOME, Duration::from_millis(10));
        sim.run_for(Duration::from_secs(5)).unwrap();
        let port = sim.port();
        let view = ended(&mut sim, port, id);
        assert_eq!(view.counts.0.get(&TaskState::Succeeded), Some(&200), "{view:?}");
        let Answer::Tasks { tasks, .. } = ask(
            &mut sim,
            port,
            &Request::Tasks(dx_scheduler::client::TaskQuery {
                job: id,
                from: 0,
                limit: None,
                states: Vec::new(),
            }),
        ) else {
            panic!("there are tasks")
        };
        assert!(tasks.iter().all(|task| task.attempts.len() == 1));
        assert_eq!(job(&mut sim, port, id).state, JobState::Succeeded);
    }
}
