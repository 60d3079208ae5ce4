//! Whose thread an agent runs on, and who waits for whom.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;

use dx_agents::{AgentId, Down, Placement};

use crate::actors::{Counter, Gate, Hears, Number, agent, down, number, runtime, teller, until};

const OWN: Placement = Placement::Thread { pin: None };

/// An agent that notes the name of the thread it runs on, and the processors that it may use.
fn noting(seen: &Arc<Mutex<Vec<(String, String)>>>) -> dx_agents::Spawn {
    let seen = Arc::clone(seen);
    agent(move |hears, cx| {
        if let Hears::Message(from, number) = hears {
            let name = thread::current().name().unwrap_or_default().to_owned();
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            let allowed = allowed.unwrap_or_default().trim().to_owned();
            seen.lock().unwrap().push((name, allowed));
            cx.send(from, Number(number));
        }
    })
}

#[test]
fn an_agent_has_the_thread_and_the_processor_that_it_was_given() {
    let runtime = runtime(1);
    let port = runtime.port();
    let seen = Arc::default();
    let pinned = Placement::Thread { pin: Some(0) };
    let ids = [Placement::Pool, OWN, pinned].map(|at| runtime.spawn(&noting(&seen).placement(at)));
    for id in ids {
        port.send(id, Number(0)).unwrap();
        number(&port);
    }
    let seen = seen.lock().unwrap();
    let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
    let own = |id: AgentId| format!("dx-{id}");
    assert_eq!(names, ["dx-pool-0", &own(ids[1]), &own(ids[2])]);
    assert_eq!(seen[2].1, "0");
}

#[test]
fn a_slow_agent_on_its_own_thread_delays_nobody() {
    let (runtime, gate) = (runtime(1), Gate::default());
    let port = runtime.port();
    let at = gate.clone();
    runtime.spawn(&agent(move |_, _| at.pass()).placement(OWN));
    gate.await_waiting(1);
    let echo = runtime.spawn(&teller(port.id()));
    port.send(echo, Number(1)).unwrap();
    assert_eq!(number(&port), 1);
    gate.open();
}

#[test]
fn children_of_an_agent_with_its_own_thread_live_in_the_pool() {
    let (runtime, gate) = (runtime(1), Gate::default());
    let port = runtime.port();
    let seen = Arc::default();
    let (child, at, to) = (noting(&seen), gate.clone(), port.id());
    runtime.spawn(
        &agent(move |hears, cx| match hears {
            Hears::Start => {
                let child = cx.spawn(child.clone());
                cx.send(to, Number(child.0));
                cx.send(cx.me(), Number(0));
            }
            Hears::Message(..) => at.pass(),
            _ => {}
        })
        .placement(OWN),
    );
    let child = AgentId(number(&port));
    gate.await_waiting(1);
    port.send(child, Number(0)).unwrap();
    number(&port);
    assert_eq!(seen.lock().unwrap()[0].0, "dx-pool-0");
    gate.open();
}

#[test]
fn a_busy_agent_leaves_the_others_their_turns() {
    let runtime = runtime(1);
    let port = runtime.port();
    let steps = Counter::default();
    let count = steps.clone();
    runtime.spawn(&agent(move |_, cx| {
        count.count();
        (0..2).for_each(|_| cx.send(cx.me(), Number(0)));
    }));
    until(|| steps.now() > 1000);
    let echo = runtime.spawn(&teller(port.id()));
    for n in 0..100 {
        port.send(echo, Number(n)).unwrap();
        assert_eq!(number(&port), n);
    }
}

#[test]
fn ids_are_never_used_twice() {
    let runtime = runtime(2);
    let port = runtime.port();
    let to = port.id();
    let parent = runtime.spawn(&agent(move |hears, cx| {
        if let Hears::Message(..) = hears {
            let child = cx.spawn(agent(|_, cx| cx.stop()));
            cx.send(to, Number(child.0));
        }
    }));
    let mut ids = BTreeSet::from([port.id(), parent]);
    for _ in 0..500 {
        port.send(parent, Number(0)).unwrap();
        let child = AgentId(number(&port));
        let other = runtime.spawn(&agent(|_, cx| cx.stop()));
        let another = runtime.port();
        for id in [child, other, another.id()] {
            assert!(ids.insert(id), "{id} again");
            assert_eq!(id.spawned_by(), Some(runtime.node()));
        }
    }
    until(|| runtime.status().agents.len() == 1);
}

/// As many as there may be over the weeks: each leaves neither a thread nor a record for good.
#[test]
fn agents_with_their_own_threads_leave_nothing_behind() {
    let runtime = runtime(1);
    let port = runtime.port();
    for n in 0..100 {
        let id = runtime.spawn(
            &agent(|hears, cx| {
                if let Hears::Message(..) = hears {
                    cx.stop();
                }
            })
            .placement(OWN),
        );
        port.monitor(id);
        port.send(id, Number(n)).unwrap();
        assert_eq!(down(&port), (id, Down::Stopped));
    }
    // Of each there are three steps at most: those of the last ones are still there.
    let recorded = runtime.recorded().into_iter().map(|step| step.agent).collect::<BTreeSet<_>>();
    assert!((1..40).contains(&recorded.len()), "{} agents are remembered", recorded.len());
}
