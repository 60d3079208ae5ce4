use std::sync::Arc;
use std::time::Duration;

use dx_agents::event::Envelope;
use dx_agents::runtime::Reason;
use dx_agents::shared::Job;
use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, JobId, Message, NodeId, Options, Outcome,
    Registry, SharedState,
};
use dx_sim::{Sim, SimConfig};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Work(u64, u64);

impl Message for Work {
    const NAME: &'static str = "work";
}

/// Has all its work done elsewhere: (source, number).
#[derive(Default)]
struct Boss {
    done: Vec<(u64, u64)>,
    failed: u64,
}

struct Crew;

impl SharedState for Crew {
    fn takes_ingress(&self) -> bool {
        true
    }

    fn ingress(&self, message: Envelope) -> Option<Envelope> {
        let Envelope { from, ask, body } = message;
        let work: Work = body.open().ok()?;
        let body = dx_agents::message::Body::Typed(Box::new(work.clone()));
        (work.1 != 7).then_some(Envelope { from, ask, body })
    }

    fn work(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        let one = |job: Job| {
            let work = job.downcast::<Work>().unwrap();
            assert_ne!(work.1, 5, "five is too much");
            Outcome::Done(work)
        };
        jobs.into_iter().map(one).collect()
    }
}

impl Agent for Boss {
    type Message = Work;

    fn message(&mut self, _: AgentId, work: Work, cx: &mut Context) {
        cx.offload_for(work.0, work);
    }

    fn done(&mut self, _: JobId, outcome: Outcome, _: &mut Context) {
        match outcome.get::<Work>() {
            Some(Work(source, number)) => self.done.push((source, number)),
            None => self.failed += 1,
        }
    }

    fn shared(&self) -> Option<Arc<dyn SharedState>> {
        Some(Arc::new(Crew))
    }
}

#[test]
fn work_ends_late_out_of_order_and_in_the_order_of_its_source() {
    let spec = AgentSpec {
        id: AgentId(1),
        kind: "boss".to_owned(),
        node: NodeId(1),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let registry = Registry::new().kind("boss", |_, _| Ok(Boss::default()));
    let mut sim = Sim::new(SimConfig::seeded(1), Directory::new([spec]), registry).unwrap();
    let port = sim.port();
    for number in 0..20 {
        for source in 0..3 {
            sim.send(port, AgentId(1), Work(source, number)).unwrap();
        }
    }
    sim.run_for(Duration::from_secs(1)).unwrap();
    let boss: &Boss = sim.agent(AgentId(1)).unwrap();
    assert_eq!(boss.failed, 3);
    assert_eq!(sim.dead_letters(Reason::Filtered), 3);
    for source in 0..3 {
        let numbers = boss.done.iter().filter(|(from, _)| *from == source).map(|(_, n)| *n);
        let expected = (0..20).filter(|number| ![5, 7].contains(number));
        assert!(numbers.eq(expected), "source {source}");
    }
    assert!(!boss.done.is_sorted_by_key(|(_, number)| *number), "sources were never reordered");
}
