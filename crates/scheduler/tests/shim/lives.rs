//! What outlives what: ends the shim, tasks neither the shim nor their lease.

use dx_scheduler::end::End;
use dx_scheduler::id::AttemptId;
use dx_scheduler::processor::{Call, Told};
use rustix::process::Signal;

use crate::rig::{Caller, LONG, Rig, Shim, attempt, both, exec, processes_with, sh, unique};

/// A task that leaves a process in a session of its own, and its mark.
fn lasting(rig: &mut Rig, index: u32) -> String {
    let mark = unique();
    let script = format!("setsid sleep {mark} </dev/null >/dev/null 2>&1 & sleep {mark}");
    rig.caller.run(attempt(1, index), &sh(&script));
    rig.caller.started(attempt(1, index));
    while processes_with(&mark).len() < 3 {
        std::thread::yield_now();
    }
    mark
}

#[test]
fn a_killed_shim_leaves_nothing_and_its_attempts_are_lost() {
    for options in [&[][..], &["--without-cgroups"]] {
        let mut rig = Rig::with(options);
        let mark = lasting(&mut rig, 0);
        let (ended, before) = (attempt(2, 0), rig.caller.shim.incarnation);
        assert_eq!(rig.caller.finish(ended, &exec(&["true"])).end, End::Succeeded);
        rig.written(ended);
        rig.replace(options);
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
        assert!(rig.caller.shim.incarnation > before);
        assert_eq!(rig.caller.hello.ended, [attempt(1, 0), ended]);
        assert_eq!(rig.caller.ended(attempt(1, 0)).end, End::Lost);
        assert_eq!(rig.caller.ended(ended).end, End::Succeeded);
    }
}

/// Runs a job again and again, each time as another attempt, until one has the place that `first`
/// had. That one.
fn until_in_place(rig: &mut Rig, first: AttemptId, job: &serde_json::Value) -> AttemptId {
    let place = printed(rig, first);
    (1..100)
        .map(|index| attempt(first.task.job.0, index))
        .find(|id| {
            rig.caller.finish(*id, job);
            rig.written(*id);
            printed(rig, *id).lines().next() == place.lines().next()
        })
        .expect("a place that was left is used again")
}

fn printed(rig: &mut Rig, id: AttemptId) -> String {
    let [out, _] = rig.caller.log(id);
    String::from_utf8(out).unwrap()
}

#[test]
fn two_attempts_of_one_place_have_logs_and_ends_of_their_own() {
    let mut rig = Rig::new();
    let first = attempt(1, 0);
    let job = sh("pwd; ls -A; echo $DX_TASK_INDEX; mkdir mine; touch mine/$DX_TASK_INDEX");
    rig.caller.finish(first, &job);
    rig.written(first);
    let second = until_in_place(&mut rig, first, &job);
    let logs = [first, second].map(|id| printed(&mut rig, id));
    for (id, log) in [first, second].into_iter().zip(&logs) {
        // Its folder, nothing that was in it, and what it is.
        let lines: Vec<&str> = log.lines().skip(1).collect();
        assert_eq!(lines, [id.task.index.to_string()]);
    }
    rig.replace(&[]);
    for (id, log) in [first, second].into_iter().zip(&logs) {
        assert_eq!(rig.caller.ended(id).end, End::Succeeded);
        assert_eq!(printed(&mut rig, id), *log);
    }
}

#[test]
fn a_shim_that_is_killed_in_turns_loses_only_what_ran() {
    let mut rig = Rig::new();
    let mut lost = Vec::new();
    for life in 0..3 {
        let done = attempt(2, life);
        assert_eq!(rig.caller.finish(done, &sh("pwd")).end, End::Succeeded);
        rig.written(done);
        let running = attempt(3, life);
        rig.caller.run(running, &sh("pwd; exec sleep 1000"));
        rig.caller.started(running);
        lost.push(running);
        rig.replace(&[]);
        for index in 0..=life {
            assert_eq!(rig.caller.finish_of(attempt(2, index)).end, End::Succeeded);
        }
        // Also those of the lives before, which are not on the disk when the next kill comes.
        for id in &lost {
            assert_eq!(rig.caller.finish_of(*id).end, End::Lost);
        }
    }
    // Each has left its place, though not in the life in which it had it.
    for id in lost {
        rig.written(id);
    }
}

#[test]
fn an_end_is_told_until_it_is_forgotten() {
    let mut rig = Rig::new();
    let ids = [attempt(1, 0), attempt(1, 1)];
    for id in ids {
        rig.caller.finish(id, &exec(&["true"]));
        rig.written(id);
    }
    let first = rig.caller.finish_of(ids[0]);
    rig.caller = Caller::connect(&rig.shim.folder);
    assert_eq!(rig.caller.ended(ids[0]), first);
    rig.caller.call(Call::Forget(vec![ids[0]]));
    rig.caller.call(Call::Status(vec![ids[0]]));
    rig.caller.unknown(ids[0]);
    rig.caller.call(Call::Stop);
    rig.caller.wait_for_end();
    rig.replace(&[]);
    assert_eq!(rig.caller.hello.ended, [ids[1]]);
}

#[test]
fn a_runner_whose_place_another_has_taken_is_not_heard_any_more() {
    let mut rig = Rig::new();
    let next = Caller::connect(&rig.shim.folder);
    let mut before = std::mem::replace(&mut rig.caller, next);
    let list = |rig: &mut Rig| {
        rig.caller.call(Call::List);
        rig.caller.wait(|told| match told {
            Told::List { running, ended } => Some((running.clone(), ended.clone())),
            _ => None,
        })
    };
    assert_eq!(list(&mut rig), (vec![], vec![]));
    before.run(attempt(1, 0), &exec(&["sleep", "600"]));
    assert_eq!(list(&mut rig), (vec![], vec![]));
}

#[test]
fn what_is_known_does_not_run_twice() {
    let mut rig = Rig::new();
    let (id, file) = (attempt(1, 0), rig.folder.path().join("runs"));
    let job = sh(&format!("echo once >> {}", file.display()));
    rig.caller.run_many(&[id, id], &job);
    rig.caller.run(id, &job);
    rig.caller.ended(id);
    rig.caller.run(id, &job);
    rig.caller.finish(attempt(1, 1), &exec(&["true"]));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "once\n");
}

#[test]
fn what_is_meant_for_another_life_is_refused() {
    let mut rig = Rig::new();
    rig.caller.shim.incarnation -= 1;
    rig.caller.run(attempt(1, 0), &exec(&["true"]));
    rig.caller.unknown(attempt(1, 0));
}

#[test]
fn without_a_lease_nothing_runs() {
    let mut rig = Rig::new();
    let folder = rig.folder.path().join("other");
    let mut shim = Shim::start(&folder, &[]);
    let mut caller = Caller::connect_with(&folder, 0);
    let (id, file) = (attempt(1, 0), rig.folder.path().join("ran"));
    caller.run(id, &exec(&["touch", file.to_str().unwrap()]));
    // Two beats pass: whatever would start has had a second.
    caller.beats(2);
    assert!(!file.exists());
    let mut granting = Caller::connect_with(&folder, LONG);
    assert_eq!(granting.ended(id).end, End::Succeeded);
    drop(rig.caller.finish(id, &exec(&["true"])));
    shim.kill();
}

#[test]
fn at_the_end_of_its_lease_a_shim_kills_all_and_begins_another_life() {
    both(|mut rig| {
        let mark = lasting(&mut rig, 0);
        let before = rig.caller.shim.incarnation;
        rig.caller.grant(1_000_000_000);
        // The long lease that it had is not shortened: it is a new shim that has the short one.
        rig.shim.kill();
        drop(mark);
        rig.shim = Shim::start(&rig.shim.folder, &[]);
        rig.caller = Caller::connect_with(&rig.shim.folder, 1_000_000_000);
        let mark = lasting(&mut rig, 1);
        rig.caller.grant(0);
        assert_eq!(rig.caller.ended(attempt(1, 1)).end, End::Lost);
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
        let life = rig.caller.shim.incarnation;
        rig.caller.wait(|told| match told {
            Told::Hello(hello) if hello.shim.incarnation > life => {
                assert_eq!(hello.overran, []);
                Some(())
            }
            _ => None,
        });
        assert!(rig.caller.shim.incarnation > before);
    });
}

#[test]
fn a_shim_that_was_stopped_past_its_lease_kills_first_and_says_what_overran() {
    both(|mut rig| {
        rig.shim.kill();
        rig.shim = Shim::start(&rig.shim.folder, &[]);
        rig.caller = Caller::connect_with(&rig.shim.folder, 1_500_000_000);
        let mark = lasting(&mut rig, 2);
        rig.shim.signal(Signal::STOP);
        let end = rig.caller.lease_end();
        while crate::rig::boottime() < end {
            std::thread::yield_now();
        }
        assert_eq!(processes_with(&mark).len(), 3);
        rig.shim.signal(Signal::CONT);
        let life = rig.caller.shim.incarnation;
        let overran = rig.caller.wait(|told| match told {
            Told::Hello(hello) if hello.shim.incarnation > life => Some(hello.overran.clone()),
            _ => None,
        });
        assert_eq!(overran, [attempt(1, 2)]);
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
    });
}

#[test]
fn a_stopped_shim_leaves_nothing_and_keeps_ends() {
    let mut rig = Rig::new();
    let mark = lasting(&mut rig, 0);
    rig.caller.call(Call::Stop);
    let cgroup = std::fs::read_to_string(rig.shim.folder.join("cgroup"));
    rig.caller.wait_for_end();
    rig.shim.process.wait().unwrap();
    assert!(cgroup.is_err() || !std::path::Path::new(&cgroup.unwrap()).exists());
    assert_eq!(processes_with(&mark), [] as [i32; 0]);
    rig.shim = Shim::start(&rig.shim.folder, &[]);
    rig.caller = Caller::connect(&rig.shim.folder);
    assert_eq!(rig.caller.ended(attempt(1, 0)).end, End::Lost);
}
