//! Taking jobs, and finding them again.

use dx_scheduler::client::{Answer, JobQuery, JobState, Request, RequestError, TaskQuery};
use dx_scheduler::core::Config;
use dx_scheduler::end::{Exit, TaskState};
use dx_scheduler::id::JobId;
use dx_scheduler::job::JobSpec;

use crate::desk::{Desk, all_of, exit, spec, submission};

fn named(id: &str) -> JobSpec {
    JobSpec { request_id: Some(id.to_owned()), ..spec("0") }
}

#[test]
fn a_request_that_comes_twice_is_one_job() {
    let mut desk = Desk::new(1);
    let job = desk.submit(named("a"));
    for _ in 0..2 {
        let repeat = Answer::Submitted { job, is_repeat: true, warnings: Vec::new() };
        assert_eq!(desk.ask(submission(named("a"))), repeat);
        desk.restart();
    }
    let other = JobSpec { priority: 1, ..named("a") };
    let refused = RequestError::OtherJob { id: "a".to_owned(), job };
    assert_eq!(desk.ask(submission(other)), Answer::Refused(refused));
    assert_eq!(desk.submit(named("b")), JobId(2), "numbers are consecutive");
}

#[test]
fn the_same_id_of_two_people_is_two_jobs() {
    let mut desk = Desk::new(1);
    desk.submit(named("a"));
    let spec = Box::new(named("a"));
    let theirs = Request::Submit { spec, by: "you".to_owned(), dry_run: false };
    let Answer::Submitted { job, is_repeat, .. } = desk.ask(theirs) else { panic!("it is taken") };
    assert_eq!((job, is_repeat), (JobId(2), false));
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut desk = Desk::new(1);
    let before = desk.core.state().clone();
    let spec = Box::new(named("a"));
    let dry = Request::Submit { spec, by: "me".to_owned(), dry_run: true };
    assert!(matches!(desk.ask(dry), Answer::Submitted { job: JobId(1), .. }));
    assert_eq!(*desk.core.state(), before);
}

#[test]
fn what_cannot_be_is_not_taken() {
    let mut desk = Desk::new(1);
    let none = JobSpec { commands: Vec::new(), ..spec("0") };
    assert!(matches!(desk.ask(submission(none)), Answer::Refused(RequestError::Invalid(_))));
    let huge = JobSpec { environment: [("A".to_owned(), "x".repeat(2 << 20))].into(), ..spec("0") };
    assert!(matches!(desk.ask(submission(huge)), Answer::Refused(RequestError::Invalid(_))));
    let for_ever = Some(dx_scheduler::job::Span(std::time::Duration::MAX));
    let endless = JobSpec { timeout: for_ever, deadline: for_ever, ..spec("0") };
    match desk.ask(submission(endless)) {
        Answer::Submitted { .. } => desk.restart(),
        refused => assert!(matches!(refused, Answer::Refused(RequestError::Invalid(_)))),
    }
}

#[test]
fn a_full_queue_takes_no_more() {
    let mut desk = Desk::with(Config { most_tasks: 10, ..Config::default() });
    let job = desk.submit(spec("0-5"));
    let full = RequestError::Full { tasks: 6, most: 10 };
    assert_eq!(desk.ask(submission(spec("0-4"))), Answer::Refused(full));
    desk.submit(spec("0-3"));
    desk.changed(Request::Cancel {
        what: dx_scheduler::client::Selection::job(job),
        now: false,
        reason: None,
    });
    desk.submit(spec("0-5"));
}

#[test]
fn jobs_are_listed_newest_first_by_pages_and_by_what_they_are() {
    let mut desk = Desk::new(1);
    for number in 1..=5 {
        let mut it = spec("0");
        it.name = Some(format!("job{number}"));
        it.labels.insert("parity".to_owned(), (number % 2).to_string());
        it.hold = number == 4;
        desk.submit(it);
    }
    let mut list = |query: JobQuery| match desk.ask(Request::Jobs(query)) {
        Answer::Jobs { jobs, next, .. } => {
            (jobs.iter().map(|it| it.id.0).collect::<Vec<_>>(), next)
        }
        other => panic!("{other:?}"),
    };
    let page = JobQuery { limit: Some(2), ..JobQuery::default() };
    assert_eq!(list(page.clone()), (vec![5, 4], Some(JobId(4))));
    let before = Some(JobId(4));
    assert_eq!(list(JobQuery { before, ..page.clone() }), (vec![3, 2], Some(JobId(2))));
    assert_eq!(list(JobQuery { before: Some(JobId(2)), ..page }), (vec![1], None));
    let labels = vec!["parity=1".to_owned()];
    assert_eq!(list(JobQuery { labels, ..JobQuery::default() }).0, [5, 3, 1]);
    let states = vec![JobState::Held];
    assert_eq!(list(JobQuery { states, ..JobQuery::default() }).0, [4]);
    let name = Some("job2".to_owned());
    assert_eq!(list(JobQuery { name, ..JobQuery::default() }).0, [2]);
}

#[test]
fn tasks_are_listed_by_index_whatever_their_state() {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 2, Vec::new());
    let job = desk.submit(spec("2,4-9"));
    desk.end(1, 1, job.task(4).attempt(1), exit(Exit::Code(0)));
    let mut list = |from, limit, states: &[TaskState]| {
        let query = TaskQuery { job, from, limit: Some(limit), states: states.to_vec() };
        match desk.ask(Request::Tasks(query)) {
            Answer::Tasks { tasks, next } => {
                (tasks.iter().map(|it| it.index).collect::<Vec<_>>(), next)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list(0, 3, &[]), (vec![2, 4, 5], Some(6)));
    assert_eq!(list(6, 10, &[]), (vec![6, 7, 8, 9], None));
    assert_eq!(list(0, 10, &[TaskState::Succeeded]), (vec![4], None));
}

#[test]
fn who_asks_for_what_changed_gets_what_changed() {
    let mut desk = Desk::new(1);
    let (first, second) = (desk.submit(spec("0")), desk.submit(spec("0")));
    let changed = |desk: &mut Desk, since| {
        let query = JobQuery { since: Some(since), ..JobQuery::default() };
        let Answer::Jobs { jobs, version, .. } = desk.ask(Request::Jobs(query)) else {
            panic!("jobs answer a question for jobs")
        };
        (jobs.into_iter().map(|job| job.id).collect::<Vec<_>>(), version)
    };
    let (all, version) = changed(&mut desk, 0);
    assert_eq!(all, [second, first]);
    assert_eq!(changed(&mut desk, version).0, []);
    desk.changed(Request::Hold(all_of(first)));
    assert_eq!(changed(&mut desk, version).0, [first]);
    // Another life of the controller, which is later, does not know what was seen of this one.
    desk.pass(1_000);
    desk.restart();
    assert_eq!(changed(&mut desk, version).0, [second, first]);
}

#[test]
fn a_task_shows_what_is_its_own_shortened() {
    let mut desk = Desk::new(1);
    let items = vec!["a b".to_owned(), "é".repeat(300)];
    let job = desk.submit(JobSpec { items, array: None, ..spec("0") });
    let values = desk.task(job.task(0)).values;
    assert_eq!(values["DX_ITEM"], "a b");
    let long = &desk.task(job.task(1)).values["DX_ITEM"];
    assert_eq!((long.chars().count(), long.ends_with('…')), (201, true));
    let axis = |values: &[&str]| values.iter().map(|it| (*it).to_owned()).collect();
    let matrix = [("OS".to_owned(), axis(&["a", "b"])), ("SEED".to_owned(), axis(&["1", "2"]))];
    let job = desk.submit(JobSpec { matrix: matrix.into(), array: None, ..spec("0") });
    let values = desk.task(job.task(2)).values;
    assert_eq!((values["OS"].as_str(), values["SEED"].as_str()), ("b", "1"));
    let plain = desk.submit(spec("0-3"));
    assert!(desk.task(plain.task(3)).values.is_empty());
}
