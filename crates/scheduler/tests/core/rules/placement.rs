//! Which node runs what.

use dx_agents::NodeId;
use dx_scheduler::client::Request;
use dx_scheduler::end::Exit;
use dx_scheduler::id::AttemptId;
use dx_scheduler::job::{Constraint, Cpus, JobSpec, Operator, Placement};
use dx_scheduler::message::{Report, ToRunner};

use crate::desk::{Desk, exit, spec};

fn of(nodes: u32, cpus: u32) -> Desk {
    let mut desk = Desk::new(nodes);
    for node in 1..=nodes {
        desk.join(node, 1, cpus, Vec::new());
    }
    desk.said.clear();
    desk
}

fn needs(cpus: u32, array: &str) -> JobSpec {
    let mut it = spec(array);
    it.resources.cpus = Cpus(cpus * 1_000);
    it
}

fn counts(desk: &mut Desk, nodes: u32) -> Vec<usize> {
    (1..=nodes).map(|node| desk.assigned(node).len()).collect()
}

#[test]
fn tasks_are_spread_or_packed_as_they_ask() {
    let mut desk = of(3, 4);
    desk.submit(spec("0-5"));
    assert_eq!(counts(&mut desk, 3), [2, 2, 2]);
    let mut desk = of(3, 4);
    desk.submit(JobSpec { placement: Placement::Pack, ..spec("0-5") });
    assert_eq!(counts(&mut desk, 3), [4, 2, 0]);
}

#[test]
fn consecutive_tasks_are_assigned_as_ranges() {
    let mut desk = of(2, 50);
    desk.submit(spec("0-99"));
    for node in 1..=2 {
        let said = desk.said(node);
        let [ToRunner::Assign { runs, jobs, .. }] = &said[..] else { panic!("{said:?}") };
        assert_eq!((runs.len(), runs[0].count, jobs.len()), (1, 50, 1));
    }
}

#[test]
fn a_job_is_described_to_a_node_once_for_each_welcome() {
    let mut desk = of(1, 1);
    let job = desk.submit(spec("0-9"));
    let described = |said: Vec<ToRunner>| {
        let jobs = said.into_iter().map(|it| match it {
            ToRunner::Assign { jobs, .. } => jobs.len(),
            _ => 0,
        });
        jobs.sum::<usize>()
    };
    assert_eq!(described(desk.said(1)), 1);
    desk.end(1, 1, job.task(0).attempt(1), exit(Exit::Code(0)));
    assert_eq!(described(desk.said(1)), 0);
    desk.join(1, 1, 1, Vec::new());
    assert_eq!(described(desk.said(1)), 1);
}

#[test]
fn higher_priorities_go_first_and_equal_ones_in_their_order() {
    let mut desk = of(1, 1);
    desk.changed(Request::Drain { node: NodeId(1), reason: None });
    let low = desk.submit(spec("0"));
    let high = desk.submit(JobSpec { priority: 1, ..spec("0") });
    let later = desk.submit(JobSpec { priority: 1, ..spec("0") });
    desk.changed(Request::Undrain(NodeId(1)));
    let mut order: Vec<AttemptId> = desk.assigned(1);
    while let Some(last) = order.last().copied() {
        desk.end(1, 1, order[order.len() - 1], exit(Exit::Code(0)));
        let more = desk.assigned(1);
        if more.is_empty() {
            let _ = last;
            break;
        }
        order.extend(more);
    }
    let jobs: Vec<_> = order.iter().map(|it| it.task.job).collect();
    assert_eq!(jobs, [high, later, low]);
}

#[test]
fn no_more_than_max_running_run_at_a_time() {
    let mut desk = of(2, 4);
    let job = desk.submit(JobSpec { max_running: Some(3), ..spec("0-9") });
    assert_eq!(counts(&mut desk, 2).iter().sum::<usize>(), 3);
    let first = job.task(0).attempt(1);
    desk.end(1, 1, first, exit(Exit::Code(0)));
    assert_eq!(counts(&mut desk, 2).iter().sum::<usize>(), 1);
}

#[test]
fn what_is_large_is_not_starved_by_what_is_small() {
    let mut desk = of(1, 4);
    let small = desk.submit(needs(1, "0-2"));
    let large = desk.submit(needs(4, "0"));
    let others = desk.submit(needs(1, "0-9"));
    let given = desk.assigned(1);
    assert_eq!(given.len(), 4, "{given:?}");
    assert_eq!(given[3].task.job, large, "it waits on the node, and nothing goes before it");
    for index in 0..2 {
        desk.end(1, 1, small.task(index).attempt(1), exit(Exit::Code(0)));
        assert!(desk.assigned(1).is_empty());
    }
    desk.end(1, 1, small.task(2).attempt(1), exit(Exit::Code(0)));
    assert!(!desk.assigned(1).is_empty(), "once it runs, others may wait behind it");
    desk.end(1, 1, large.task(0).attempt(1), exit(Exit::Code(0)));
    let given = desk.assigned(1);
    assert!(given.len() >= 4 && given.iter().all(|it| it.task.job == others));
}

#[test]
fn beside_what_waits_for_a_gpu_others_run() {
    let mut desk = of(1, 4);
    let mut gpu = spec("0-2");
    gpu.resources.gpus = 1;
    desk.submit(gpu);
    assert_eq!(desk.assigned(1).len(), 2, "one runs, and one waits");
    let plain = desk.submit(spec("0-9"));
    let given = desk.assigned(1);
    assert_eq!(given.len(), 2, "a processor is kept for what waits");
    assert!(given.iter().all(|it| it.task.job == plain));
}

#[test]
fn constraints_are_met() {
    let met = |label: &str, operator, value: &str| {
        let mut desk = of(3, 4);
        let constraint = Constraint { label: label.to_owned(), operator, value: value.to_owned() };
        desk.submit(JobSpec { constraints: vec![constraint], ..spec("0-2") });
        let counts = counts(&mut desk, 3);
        counts
            .iter()
            .zip(1..)
            .filter(|(count, _)| **count > 0)
            .map(|(_, id)| id)
            .collect::<Vec<_>>()
    };
    assert_eq!(met("zone", Operator::Eq, "b"), [2]);
    assert_eq!(met("zone", Operator::Ne, "b"), [1, 3]);
    assert_eq!(met("rack", Operator::Ne, "b"), [1, 2, 3], "a node without the label meets it");
    assert!(met("rack", Operator::Eq, "").is_empty());
    assert_eq!(met("node", Operator::In, "n1, n2"), [1, 2]);
    assert_eq!(met("rank", Operator::Ge, "2"), [2, 3]);
    assert_eq!(met("rank", Operator::Le, "2"), [1, 2]);
    assert!(met("zone", Operator::Le, "2").is_empty());
}

#[test]
fn what_waits_on_a_node_comes_back_when_another_has_room() {
    let mut desk = Desk::new(2);
    desk.join(1, 1, 1, Vec::new());
    let job = desk.submit(spec("0-1"));
    assert_eq!(desk.assigned(1).len(), 2);
    desk.join(2, 1, 1, Vec::new());
    let waits = job.task(1).attempt(1);
    let said = desk.said(1);
    let retracted =
        |it: &ToRunner| matches!(it, ToRunner::Retract { attempts, .. } if *attempts == [waits]);
    assert!(said.iter().any(retracted), "{said:?}");
    desk.beat(1, 1);
    assert!(!desk.said(1).iter().any(retracted), "it is asked once");
    desk.report(1, 1, vec![Report::Returned(waits)]);
    assert_eq!(desk.assigned(2), [job.task(1).attempt(2)]);
    let attempts = desk.task(job.task(1)).attempts;
    assert_eq!(attempts.len(), 1, "what never ran is no part of what happened");
    let steps = desk.explain(job.task(1)).steps;
    assert_eq!(steps[1].what, "attempt 1 had come back from its node before anything of it ran");
}

#[test]
fn what_waits_on_a_node_comes_back_for_a_higher_priority() {
    let mut desk = of(1, 1);
    let low = desk.submit(spec("0-1"));
    desk.assigned(1);
    let high = desk.submit(JobSpec { priority: 5, ..spec("0") });
    let waits = low.task(1).attempt(1);
    desk.report(1, 1, vec![Report::Returned(waits)]);
    assert_eq!(desk.assigned(1), [high.task(0).attempt(1)]);
}

#[test]
fn a_node_that_works_fast_has_more_ahead() {
    let mut desk = of(1, 2);
    let job = desk.submit(spec("0-999"));
    let mut given = desk.assigned(1);
    assert_eq!(given.len(), 3);
    let mut most = 0;
    for _ in 0..6 {
        let ends = given.drain(..).map(|it| Report::Ended(it, exit(Exit::Code(0)))).collect();
        desk.report(1, 1, ends);
        given = desk.assigned(1);
        most = most.max(given.len());
        desk.at += 1;
    }
    assert!(most > 50, "{most}");
    assert!(desk.job(job).ended.is_none());
}
