use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Instant, Message, NodeId, Options, Registry,
    TimerKey,
};
use dx_sim::{Sim, SimConfig};
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);
const NODE: NodeId = NodeId(1);

#[derive(Serialize, Deserialize)]
struct Nothing;

impl Message for Nothing {
    const NAME: &'static str = "nothing";
}

/// Notes the time of its own clock every second of it.
#[derive(Default)]
struct Watch(Vec<Instant>);

impl Agent for Watch {
    type Message = Nothing;

    fn start(&mut self, cx: &mut Context) {
        cx.set_timer(TimerKey(1), SECOND);
    }

    fn message(&mut self, _: AgentId, _: Nothing, _: &mut Context) {}

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        self.0.push(cx.now());
        cx.set_timer(key, SECOND);
    }
}

fn world() -> Sim {
    let spec = AgentSpec {
        id: AgentId(1),
        kind: "watch".to_owned(),
        node: NODE,
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let registry = Registry::new().kind("watch", |_, _| Ok(Watch::default()));
    let config = SimConfig { boot: Duration::ZERO, ..SimConfig::seeded(1) };
    Sim::new(config, Directory::new([spec]), registry).unwrap()
}

fn ticks(sim: &Sim) -> &[Instant] {
    &sim.agent::<Watch>(AgentId(1)).unwrap().0
}

#[test]
fn a_paused_node_wakes_to_find_its_timers_due() {
    let mut sim = world();
    sim.run_for(SECOND * 5 / 2).unwrap();
    sim.pause_node(NODE, 3 * SECOND);
    sim.run_for(SECOND * 29 / 10).unwrap();
    assert_eq!(ticks(&sim).len(), 2);
    sim.run_for(SECOND / 2).unwrap();
    assert_eq!(ticks(&sim).len(), 3, "it was due while nobody could look");
    assert!(ticks(&sim)[2].since(ticks(&sim)[1]) > 3 * SECOND, "its clock went on");
}

#[test]
fn a_suspended_node_has_missed_nothing_by_its_own_clock() {
    let mut sim = world();
    sim.run_for(SECOND * 5 / 2).unwrap();
    sim.suspend_node(NODE, 3 * SECOND);
    sim.run_for(SECOND * 32 / 10).unwrap();
    assert_eq!(ticks(&sim).len(), 2, "its second is not over yet");
    sim.run_for(SECOND / 2).unwrap();
    assert_eq!(ticks(&sim).len(), 3);
    assert!(ticks(&sim)[2].since(ticks(&sim)[1]) < SECOND * 11 / 10, "its clock stood still");
}

#[test]
fn a_clock_that_drifts_is_wrong_and_never_goes_back() {
    let mut sim = world();
    sim.run_for(SECOND / 2).unwrap();
    sim.drift_clock(NODE, 500_000);
    sim.run_for(10 * SECOND).unwrap();
    sim.drift_clock(NODE, -500_000);
    sim.run_for(10 * SECOND).unwrap();
    let ticks = ticks(&sim);
    assert!((18..=21).contains(&ticks.len()), "15 and 5: {}", ticks.len());
    assert!(ticks.windows(2).all(|pair| pair[1].since(pair[0]) >= SECOND));
}

/// The time that it slept was taken off, and the drift of that time once more.
#[test]
fn a_clock_that_drifts_stands_still_while_its_machine_sleeps() {
    for (ppm, tick_after) in [(-500_000, SECOND), (500_000, SECOND / 3)] {
        let mut sim = world();
        sim.run_for(SECOND / 2).unwrap();
        sim.drift_clock(NODE, ppm);
        sim.suspend_node(NODE, 3 * SECOND);
        sim.run_for(3 * SECOND + tick_after * 9 / 10).unwrap();
        assert!(ticks(&sim).is_empty(), "half of its second is left when it wakes: {ppm}");
        sim.run_for(tick_after / 5).unwrap();
        assert!(ticks(&sim).len() == 1 && ticks(&sim)[0] < Instant(1_100_000_000), "{ppm}");
    }
}
