use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use dx_scheduler::client::{Answer, JobState, Request};
use dx_scheduler::end::TaskState;
use dx_scheduler::processor::{LogPart, Piece, ReadLog, Stream};

use super::streams::events;
use super::world::{World, job, task};

fn piece(stream: Stream, text: &[u8]) -> Piece {
    Piece { stream, at: 1_000, bytes: text.to_vec().into() }
}

fn part(read: ReadLog, pieces: Vec<Piece>, next: u64, is_end: bool) -> LogPart {
    let ReadLog { ticket, attempt, .. } = read;
    LogPart { ticket, attempt, pieces, next, is_end, dropped: 0, is_known: true }
}

/// A log of three pieces, read by two.
fn three(read: ReadLog) -> LogPart {
    let all = [
        piece(Stream::Stdout, b"one\ntw"),
        piece(Stream::Stderr, b"oops \xff\n"),
        piece(Stream::Stdout, b"o\nthree"),
    ];
    let from = read.from as usize;
    let to = (from + 2).min(3);
    part(read, all[from..to].to_vec(), to as u64, to == 3)
}

fn ended(request: &Request) -> Answer {
    match request {
        Request::Task(_) => Answer::Task(Box::new(task(TaskState::Failed, 2))),
        request => panic!("{request:?}"),
    }
}

#[tokio::test]
async fn a_log_is_the_bytes_that_were_printed() {
    let world = World::new(|request| Some(ended(&request))).runner(|read| {
        assert_eq!(read.attempt.number, 2);
        Some(three(read))
    });
    let answer = world.get("/v1/jobs/7/tasks/0/log").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.kind, "text/plain; charset=utf-8");
    assert_eq!(&answer.body[..], b"one\ntwoops \xff\no\nthree");
    let answer = world.get("/v1/jobs/7/tasks/0/log?stream=stdout").await;
    assert_eq!(&answer.body[..], b"one\ntwo\nthree");
    let answer = world.get("/v1/jobs/7/tasks/0/log?stream=stdout&tail=2").await;
    assert_eq!(&answer.body[..], b"two\nthree");
    let answer = world.get("/v1/jobs/7/tasks/0/log?from=2").await;
    assert_eq!(&answer.body[..], b"o\nthree");
    let path = "/v1/jobs/7/tasks/0/log?timestamps=true&stream=stdout";
    let stamp = "1970-01-01T00:00:01.000Z";
    let wanted = format!("{stamp} one\n{stamp} two\n{stamp} three");
    assert_eq!(world.get(path).await.text(), wanted);
    let accept = ("accept", "application/octet-stream");
    assert_eq!(world.get_as("/v1/jobs/7/tasks/0/log", accept).await.kind, accept.1);
}

#[tokio::test]
async fn events_of_a_log_end_after_its_last_byte_and_can_be_taken_up() {
    let world = World::new(|request| Some(ended(&request))).runner(|read| Some(three(read)));
    let accept = ("accept", "text/event-stream");
    let answer = world.get_as("/v1/jobs/7/tasks/0/log", accept).await;
    let text = answer.text();
    let named = |name: &str, id: &str| (name.to_owned(), id.to_owned());
    let wanted =
        [named("piece", ""), named("piece", "2.2"), named("piece", "2.3"), named("end", "")];
    assert_eq!(events(&text), wanted);
    assert!(text.contains(r#""text":"one\ntw""#), "{text}");
    assert!(text.contains(r#""base64":"b29wcyD/Cg==""#), "{text}");
    assert!(text.contains(r#""state":"failed""#), "{text}");
    let again = world.get_as("/v1/jobs/7/tasks/0/log", ("last-event-id", "2.2")).await.text();
    assert_eq!(events(&again), [named("piece", "2.3"), named("end", "")]);
    let wrong = world.get_as("/v1/jobs/7/tasks/0/log", ("last-event-id", "7")).await;
    assert_eq!(wrong.code(), "invalid_header");
}

#[tokio::test]
async fn following_goes_on_across_attempts_until_the_task_has_ended() {
    // Before anything runs; then attempt 1, which fails; then attempt 2, which ends the task.
    let attempts = Arc::new(AtomicU32::new(0));
    let of_controller = Arc::clone(&attempts);
    let world = World::new(move |request| {
        let attempts = of_controller.load(Ordering::Relaxed);
        Some(match request {
            Request::Job(_) => Answer::Job(Box::new(job(7, 1, JobState::Running))),
            Request::Task(_) => {
                let (state, shown) = match attempts {
                    0 => (TaskState::Queued, 0),
                    3 => (TaskState::Succeeded, 2),
                    shown => (TaskState::Running, shown),
                };
                Answer::Task(Box::new(task(state, shown)))
            }
            Request::Watch { .. } => {
                of_controller.fetch_add(1, Ordering::Relaxed);
                Answer::Changed { version: 2, job: None }
            }
            request => panic!("{request:?}"),
        })
    });
    let world = world.runner(move |read| {
        let text = format!("attempt {}\n", read.attempt.number);
        let pieces = vec![piece(Stream::Stdout, text.as_bytes())];
        Some(if read.from == 0 {
            part(read, pieces, 1, false)
        } else {
            part(read, vec![], 1, true)
        })
    });
    let answer = world.get("/v1/jobs/7/tasks/0/log?follow=true").await;
    assert_eq!(answer.text(), "attempt 1\nattempt 2\n");
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_log_that_cannot_be_had_is_no_empty_log() {
    let world = World::new(|request| Some(ended(&request)));
    let answer = world.get("/v1/jobs/7/tasks/0/log").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "runner_silent"));
    assert!(answer.text().contains("the runner on node n2 is silent"), "{}", answer.text());
    let world = world.runner(|read| {
        let unknown = LogPart { is_known: false, ..part(read, vec![], 0, true) };
        Some(unknown)
    });
    let answer = world.get("/v1/jobs/7/tasks/0/log").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "no_log"));
    let answer = world.get("/v1/jobs/7/tasks/0/log?attempt=3").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "no_such_attempt"));
    assert_eq!(answer.json()["hint"], "it has 1 to 2");
    for query in ["attempt=x", "stream=stdotu", "flolow=true", "tail=-1"] {
        let answer = world.get(&format!("/v1/jobs/7/tasks/0/log?{query}")).await;
        assert_eq!(answer.code(), "invalid_query", "{query}");
    }
}

#[tokio::test]
async fn what_is_missing_of_a_log_is_said_and_the_next_attempt_follows() {
    // The node of attempt 1 is gone before its end was read; attempt 2 ran elsewhere.
    let is_gone = Arc::new(Mutex::new(false));
    let gone = Arc::clone(&is_gone);
    let world = World::new(move |request| {
        let gone = *gone.lock().unwrap();
        Some(match request {
            Request::Job(_) => Answer::Job(Box::new(job(7, 1, JobState::Running))),
            Request::Task(_) if gone => Answer::Task(Box::new(task(TaskState::Succeeded, 2))),
            Request::Task(_) => Answer::Task(Box::new(task(TaskState::Running, 1))),
            request => panic!("{request:?}"),
        })
    });
    let world = world.runner(move |read| {
        let pieces = vec![piece(Stream::Stdout, b"x\n")];
        let mut gone = is_gone.lock().unwrap();
        if read.attempt.number == 2 {
            return Some(part(read, pieces, 1, true));
        }
        if read.from == 0 {
            return Some(part(read, pieces, 1, false));
        }
        *gone = true;
        Some(LogPart { is_known: false, ..part(read, vec![], 0, true) })
    });
    let path = "/v1/jobs/7/tasks/0/log?follow=true";
    let text = world.get_as(path, ("accept", "text/event-stream")).await.text();
    let names: Vec<String> = events(&text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["piece", "missing", "piece", "end"], "{text}");
}
