//! What begins in the room of what has ended.

use std::sync::Arc;

use dx_scheduler::end::End;
use dx_scheduler::id::{AttemptId, JobId};
use dx_scheduler::processor::{Call, Follow, Told};

use crate::rig::{Caller, Rig, attempt, sh};

/// What all of a job do: they say so in a file of their own, and wait until it is gone.
fn held(rig: &Rig) -> serde_json::Value {
    let folder = rig.folder.path().display();
    sh(&format!("f={folder}/held.$DX_TASK_INDEX; touch $f; while [ -e $f ]; do sleep 0.01; done"))
}

fn let_go(rig: &Rig, index: u32) {
    std::fs::remove_file(rig.folder.path().join(format!("held.{index}"))).unwrap();
}

fn follow(caller: &mut Caller, wide: u32, job: &serde_json::Value, attempts: Vec<AttemptId>) {
    let (spec, shim): (Arc<str>, _) = (job.to_string().into(), caller.shim.incarnation);
    caller.call(Call::Follow(Follow {
        job: JobId(1),
        wide,
        shim,
        since: caller.hello.number,
        spec,
        attempts,
    }));
}

#[test]
fn a_task_begins_when_another_of_its_job_has_ended_and_nobody_asks_for_it() {
    let mut rig = Rig::new();
    let job = held(&rig);
    rig.caller.run(attempt(1, 0), &job);
    follow(&mut rig.caller, 1, &job, (1..3).map(|index| attempt(1, index)).collect());
    for index in 0..3 {
        let id = attempt(1, index);
        // What is told of the one before comes first, and nothing of this one before that.
        let first = rig.caller.wait(|told| match told {
            Told::Started { attempt, .. } | Told::Ended { attempt, .. } => Some(*attempt),
            _ => None,
        });
        assert_eq!(first, id);
        while !rig.folder.path().join(format!("held.{index}")).exists() {
            std::thread::yield_now();
        }
        let_go(&rig, index);
        assert_eq!(rig.caller.ended(id).end, End::Succeeded);
    }
}

#[test]
fn many_follow_one_another_and_each_is_told_once() {
    let mut rig = Rig::new();
    let job = sh("echo $DX_TASK_INDEX");
    rig.caller.run_many(&[attempt(1, 0), attempt(1, 1)], &job);
    follow(&mut rig.caller, 2, &job, (2..200).map(|index| attempt(1, index)).collect());
    for index in 0..200 {
        let finish = rig.caller.ended(attempt(1, index));
        assert_eq!(
            (finish.end, finish.printed),
            (End::Succeeded, index.to_string().len() as u64 + 1)
        );
        assert!(finish.ran > 0, "it took its time, though nobody looked when it began");
    }
    assert_eq!(rig.caller.log(attempt(1, 199)), [b"199\n".to_vec(), Vec::new()]);
}

#[test]
fn what_has_not_followed_is_given_back_and_runs_when_it_is_given_again() {
    let mut rig = Rig::new();
    let job = held(&rig);
    rig.caller.run(attempt(1, 0), &job);
    follow(&mut rig.caller, 1, &job, vec![attempt(1, 1), attempt(1, 2)]);
    rig.caller.call(Call::Return(vec![attempt(1, 0), attempt(1, 1)]));
    rig.caller.unknown(attempt(1, 1));
    // It forgets what follows when it is asked how it is.
    rig.caller.call(Call::Hello);
    let hello = rig.caller.wait(|told| match told {
        Told::Hello(hello) => Some(hello.clone()),
        _ => None,
    });
    assert_eq!(hello.running.iter().map(|it| it.attempt).collect::<Vec<_>>(), [attempt(1, 0)]);
    rig.caller.run_many(&[attempt(1, 1), attempt(1, 2)], &sh("true"));
    for index in 1..3 {
        assert_eq!(rig.caller.ended(attempt(1, index)).end, End::Succeeded);
    }
}
