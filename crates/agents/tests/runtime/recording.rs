//! The flight recorder, read after a crash.

use dx_agents::Down;
use dx_agents::runtime::What;

use crate::actors::{Hears, Number, agent, down, number, runtime};

#[test]
fn after_a_panic_the_last_step_of_the_agent_is_the_one_it_panicked_in() {
    let runtime = runtime(1);
    let port = runtime.port();
    let id = runtime.spawn(&agent(|hears, _| {
        assert!(!matches!(hears, Hears::Message(_, 3)), "as it is told");
    }));
    port.monitor(id);
    (1..=3).for_each(|n| port.send(id, Number(n)).unwrap());
    assert_eq!(down(&port), (id, Down::Panicked));
    let recorded = runtime.recorded();
    let steps: Vec<_> = recorded.iter().filter(|step| step.agent == id).collect();
    let whats: Vec<_> = steps.iter().map(|step| step.what).collect();
    assert_eq!(whats, [What::Start, What::Message, What::Message, What::Message]);
    assert!(steps[1..].iter().all(|step| step.about == port.id().0));
}

/// The worker sleeps between the steps: the second is not recorded with the time of the first.
#[test]
fn a_step_is_recorded_with_a_time_after_the_sleep_before_it() {
    let runtime = runtime(1);
    let port = runtime.port();
    let id = runtime.spawn(&agent(move |hears, cx| {
        if let Hears::Message(from, _) = hears {
            let now = cx.now().0;
            cx.send(from, Number(now));
        }
    }));
    let mut before = 0;
    for n in 0..50 {
        port.send(id, Number(n)).unwrap();
        let now = number(&port);
        let recorded = runtime.recorded();
        let last = recorded.iter().rfind(|step| step.agent == id && step.what == What::Message);
        let at = last.expect("it is recorded").at;
        assert!(before <= at && at <= now, "{n}: {before} <= {at} <= {now}");
        before = now;
    }
}
