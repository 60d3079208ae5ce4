//! Those who wait for changes, and those whom a controller cannot serve.

use std::time::Duration;

use bytes::Bytes;
use dx_agents::Message;
use dx_scheduler::client::{Answer, Answered, Asked, JobState, Request, RequestError, WATCH_FOR};
use dx_scheduler::controller_of;
use dx_scheduler::id::JobId;
use dx_scheduler::message::ControllerMessage;
use dx_sim::{Heard, Sim};

use crate::obedient::{HOME, ask, world};
use crate::served::{spec, submit};

fn ready() -> Sim {
    let mut sim = world(3, 1);
    sim.run_for(Duration::from_secs(1)).unwrap();
    sim
}

#[test]
fn who_waits_is_answered_when_something_changed_and_no_earlier() {
    let mut sim = ready();
    let (port, other) = (sim.port(), sim.port());
    let id = submit(&mut sim, port, dx_scheduler::job::JobSpec { hold: true, ..spec("0") });
    let Answer::Job(job) = ask(&mut sim, port, &Request::Job(id)) else { panic!("it is there") };
    let watch = Request::Watch { job: Some(id), since: job.version };
    let watch = ControllerMessage::Client(Asked::new(&watch));
    sim.ask(other, controller_of(HOME), watch, 2 * WATCH_FOR);
    sim.run_for(WATCH_FOR / 2).unwrap();
    assert!(sim.heard(other).is_none());
    ask(&mut sim, port, &Request::Release(dx_scheduler::client::Selection::job(id)));
    sim.run_for(Duration::from_secs(1)).unwrap();
    let Some(Heard::Reply(_, Ok(answer))) = sim.heard(other) else { panic!("it is answered") };
    match answer.open::<Answered>().unwrap().open().unwrap() {
        Answer::Changed { job: Some(now), .. } => {
            assert!(now.version > job.version && now.state != JobState::Held);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_waits_for_a_job_is_told_of_its_end_at_once() {
    let mut sim = ready();
    let (port, other) = (sim.port(), sim.port());
    let id = submit(&mut sim, port, spec("0"));
    // Somebody who is told of everything was told just before.
    let Answer::Changed { version, .. } =
        ask(&mut sim, other, &Request::Watch { job: None, since: 0 })
    else {
        panic!("it is answered at once")
    };
    ask(&mut sim, other, &Request::Watch { job: None, since: version });
    let told = sim.now();
    let mut since = 0;
    let view = loop {
        match ask(&mut sim, port, &Request::Watch { job: Some(id), since }) {
            Answer::Changed { job: Some(job), .. } if job.ended.is_some() => break job,
            Answer::Changed { job: Some(job), .. } => since = job.version,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(view.state, JobState::Succeeded);
    // It runs for 10 ms; the others are told again 50 ms after they were.
    let took = sim.now().since(told);
    assert!(took < Duration::from_millis(40), "{took:?}");
}

#[test]
fn who_waits_for_nothing_is_answered_in_the_end() {
    let mut sim = ready();
    let port = sim.port();
    let Answer::Changed { version, .. } =
        ask(&mut sim, port, &Request::Watch { job: None, since: 0 })
    else {
        panic!("it is answered at once")
    };
    let same = ask(&mut sim, port, &Request::Watch { job: None, since: version });
    assert!(matches!(same, Answer::Changed { version: it, .. } if it == version), "{same:?}");
    let gone = ask(&mut sim, port, &Request::Watch { job: Some(JobId(9)), since: 0 });
    assert_eq!(gone, Answer::Refused(RequestError::NoJob(JobId(9))));
}

#[test]
fn a_request_that_is_not_understood_is_answered() {
    let mut sim = ready();
    let port = sim.port();
    let mut asked = Asked::default();
    asked.set_body(Bytes::from_static(br#"{"dance":{}}"#));
    let asked = ControllerMessage::Client(asked);
    sim.ask(port, controller_of(HOME), asked, Duration::from_secs(5));
    sim.run_for(Duration::from_secs(1)).unwrap();
    let Some(Heard::Reply(_, Ok(answer))) = sim.heard(port) else { panic!("it is answered") };
    let answer = answer.open::<Answered>().unwrap().open().unwrap();
    assert!(matches!(answer, Answer::Refused(RequestError::Unknown(_))), "{answer:?}");
}
