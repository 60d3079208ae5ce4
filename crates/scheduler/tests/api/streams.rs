use std::sync::Mutex;

use axum::http::StatusCode;
use dx_scheduler::api::MAX_WAITING;
use dx_scheduler::api::Scope;
use dx_scheduler::client::{Answer, JobQuery, JobState, Request};
use dx_scheduler::id::JobId;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::world::{World, job, request};

/// The ids and names of server-sent events.
pub fn events(text: &str) -> Vec<(String, String)> {
    let field = |event: &str, name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.trim_start_matches([':', ' ']).to_owned()).unwrap_or_default()
    };
    let events = text.split("\n\n").filter(|event| !event.is_empty());
    events.map(|event| (field(event, "event"), field(event, "id"))).collect()
}

#[tokio::test]
async fn a_jobs_events_end_with_the_job() {
    let mut version = 1;
    let world = World::new(move |request| {
        let running = job(7, version, JobState::Running);
        Some(match request {
            Request::Job(_) => Answer::Job(Box::new(running)),
            Request::Watch { job: Some(_), since } => {
                assert_eq!(since, version);
                version += 2;
                let state = if version > 4 { JobState::Failed } else { JobState::Running };
                Answer::Changed { version, job: Some(Box::new(job(7, version, state))) }
            }
            request => panic!("{request:?}"),
        })
    });
    let answer = world.get("/v1/jobs/7/events").await;
    assert_eq!(answer.kind, "text/event-stream");
    let seen = events(&answer.text());
    let job = |id: &str| ("job".to_owned(), id.to_owned());
    assert_eq!(seen, [job("1"), job("3"), job("5")]);
}

#[tokio::test]
async fn who_comes_back_hears_only_what_follows() {
    let world = World::new(|request| {
        Some(match request {
            Request::Job(_) => Answer::Job(Box::new(job(7, 5, JobState::Failed))),
            request => panic!("{request:?}"),
        })
    });
    let again = async |id: &str| world.get_as("/v1/jobs/7/events", ("last-event-id", id)).await;
    assert_eq!(events(&again("4").await.text()).len(), 1);
    assert_eq!(again("5").await.text(), "");
    assert_eq!(again("x").await.code(), "invalid_header");
    assert_eq!(world.get("/v1/jobs/7/events?since=5").await.text(), "");
}

#[tokio::test]
async fn ids_of_events_grow_while_jobs_change_under_the_reading() {
    // Three jobs on two pages. While the second page is read, the job of the first changes.
    let state = Mutex::new((10_u64, false));
    let world = World::new(move |request| {
        let mut state = state.lock().unwrap();
        let (version, is_over) = *state;
        Some(match request {
            Request::Jobs(JobQuery { before: None, since: Some(since), .. }) => {
                let jobs = vec![job(3, version, JobState::Running), job(2, 4, JobState::Running)];
                let jobs = jobs.into_iter().filter(|job| job.version > since).collect();
                Answer::Jobs { jobs, next: Some(JobId(2)), version }
            }
            Request::Jobs(JobQuery { before: Some(JobId(2)), since: Some(since), .. }) => {
                if !is_over {
                    *state = (12, true);
                }
                let jobs = if since < 12 { vec![job(1, 12, JobState::Running)] } else { vec![] };
                Answer::Jobs { jobs, next: None, version: 12 }
            }
            Request::Watch { job: None, since } if since < 12 => {
                Answer::Changed { version: 12, job: None }
            }
            // Then the controller stops.
            _ => Answer::Refused(dx_scheduler::client::RequestError::DiskFull),
        })
    });
    let answer = world.get("/v1/events").await;
    let seen = events(&answer.text());
    let ids: Vec<&str> = seen.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(ids, ["4", "10", "12", "12", ""]);
    assert_eq!(seen.last().unwrap().0, "failure");
}

#[tokio::test]
async fn those_who_wait_have_a_bounded_number_of_places() {
    let world = World::new(|request| match request {
        Request::Jobs(_) => Some(Answer::Jobs { jobs: vec![], next: None, version: 1 }),
        _ => None,
    });
    let open = async || {
        let request = request("GET", "/v1/events", &[], "");
        world.router_for(Scope::Read).oneshot(request).await.unwrap()
    };
    let mut streams = Vec::new();
    for _ in 0..MAX_WAITING {
        let stream = open().await;
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let refused = world.get("/v1/events").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.code(), "too_many_waiting");
    drop(streams.pop());
    assert_eq!(open().await.status(), StatusCode::OK);
    world.stop.send_replace(true);
    let ended = streams.pop().unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&ended).contains("stopping"), "{ended:?}");
}
