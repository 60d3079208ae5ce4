//! Whatever happens, in whatever order.

use std::collections::BTreeSet;

use dx_agents::NodeId;
use dx_scheduler::client::{Answer, JobQuery, Part, Request, Selection};
use dx_scheduler::end::TaskState;
use dx_scheduler::id::JobId;
use dx_scheduler::job::{
    Constraint, Dependency, JobRef, JobSpec, Operator, Placement, Retry, Span,
};

use crate::desk::{spec, submission};
use crate::world::{KINDS, World};

fn any_spec(world: &mut World) -> JobSpec {
    let rng = &mut world.rng;
    let tasks = rng.below(8);
    let mut it = spec(&format!("{}-{}", rng.below(3), 3 + tasks));
    it.priority = rng.below(3) as i32 - 1;
    it.hold = rng.below(8) == 0;
    it.placement = if rng.below(2) == 0 { Placement::Pack } else { Placement::Spread };
    it.max_running = (rng.below(4) == 0).then(|| 1 + rng.below(3) as u32);
    it.max_fails = (rng.below(2) == 0).then(|| rng.below(2) as u32);
    it.queue_timeout = (rng.below(6) == 0).then(|| Span::seconds(5));
    it.deadline = (rng.below(6) == 0).then(|| Span::seconds(60));
    it.retry = Retry { max_attempts: 1 + rng.below(3) as u32, ..Retry::default() };
    it.request_id = (rng.below(4) == 0).then(|| rng.below(20).to_string());
    let last = world.desk.core.state().last_job;
    let rng = &mut world.rng;
    if last > 0 && rng.below(3) == 0 {
        for list in [&mut it.after_ok, &mut it.after_fail, &mut it.after_any] {
            if rng.below(2) == 0 {
                let job = JobRef::Number(JobId(last - rng.below(last.min(6))));
                // Some have been removed or have other indices: they are refused.
                list.push(Dependency { job, each: rng.below(3) == 0 });
            }
        }
    }
    if rng.below(5) == 0 {
        let (label, operator, value) = ("rank".to_owned(), Operator::Ge, "1".to_owned());
        it.constraints.push(Constraint { label, operator, value });
    }
    it
}

fn any_selection(world: &mut World) -> Selection {
    let rng = &mut world.rng;
    let job = JobId(1 + rng.below(8));
    let part = match rng.below(4) {
        0 => Part::Last,
        1 => Part::Tasks(job, rng.below(4) as u32, 2 + rng.below(9) as u32),
        _ => Part::Jobs(job, job),
    };
    let states = if rng.below(4) == 0 { vec![TaskState::Queued] } else { Vec::new() };
    Selection { parts: vec![part], states }
}

fn somebody_acts(world: &mut World) {
    let what = any_selection(world);
    let node = NodeId(1 + world.rng.below(3) as u32);
    let flag = world.rng.below(2) == 0;
    let request = match world.rng.below(16) {
        0..5 => submission(any_spec(world)),
        5..7 => {
            let open = world.desk.core.state().open_on(node);
            let spec = Box::new(any_spec(world));
            let caller = open.get(world.rng.below(4) as usize).copied();
            match caller {
                Some(caller) => Request::Call { spec, by: "me".to_owned(), caller, dry_run: false },
                None => submission(*spec),
            }
        }
        7 => Request::Cancel { what, now: flag, reason: None },
        8 => Request::Retry { what, all: flag },
        9 => Request::Hold(what),
        10 => Request::Release(what),
        11 => Request::Priority(what, world.rng.below(3) as i32 - 1),
        12 => Request::Remove { what, force: flag },
        13 => Request::Drain { node, reason: None },
        _ => Request::Undrain(node),
    };
    world.desk.ask(request);
    world.settle();
}

fn step(world: &mut World) {
    match world.rng.below(30) {
        0 => world.restart(),
        1..4 => {
            let millis = world.rng.below(12_000);
            world.pass(millis);
        }
        4..8 => somebody_acts(world),
        8..10 => world.waits(),
        _ => world.node_acts(),
    }
}

/// How many runs: enough to be quick, or as many as the environment says.
fn seeds() -> u64 {
    std::env::var("DX_CORE_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(40)
}

#[test]
fn no_task_is_lost_none_overlaps_and_no_end_changes_whatever_happens() {
    let mut seen = BTreeSet::new();
    for seed in 0..seeds() {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..500 {
                step(&mut world);
            }
            world.check_ends();
            world.desk.ask(Request::Release(Selection {
                parts: vec![Part::Jobs(JobId(1), JobId(u64::MAX))],
                states: Vec::new(),
            }));
            for node in 1..=3 {
                world.desk.ask(Request::Undrain(NodeId(node)));
            }
            world.heal();
            let Answer::Jobs { jobs, .. } = world.desk.ask(Request::Jobs(JobQuery::default()))
            else {
                panic!("jobs are listed")
            };
            let last = world.desk.core.state().last_job;
            let gone = world.removed.len() as u64;
            assert_eq!(jobs.len() as u64 + gone, last, "no job is lost");
            for job in jobs {
                assert!(job.ended.is_some(), "it ends when all is well: {job:?}");
                assert_eq!(job.counts.0.values().sum::<u64>(), job.tasks, "no task is lost");
            }
            world.check_ends();
            world.seen
        });
        match outcome {
            Ok(more) => seen.extend(more),
            Err(panic) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    let missing: Vec<_> = KINDS.iter().filter(|kind| !seen.contains(*kind)).collect();
    assert!(missing.is_empty(), "runs come by all that can happen: {missing:?}");
}
