//! Nothing goes wrong.

use std::time::Duration;

use dx_ring::Member;
use dx_sim::{Choices, SimConfig};

use super::oracle::Shared;
use super::recorder::{Load, Recorder, flow, world};

#[test]
fn members_of_one_view_deliver_everything_in_one_order() {
    for count in [1, 2, 3, 5, 8] {
        let oracle = Shared::default();
        let load = Load { messages: 50, every: Duration::from_micros(100), longest: 3000 };
        let config = SimConfig::seeded(count);
        let mut sim = world(config, Choices::seeded(count), count, load, &oracle, flow);
        sim.run_until("all is delivered", Duration::from_secs(30), |sim| {
            sim.agents_of::<Member<Recorder>>().count() as u64 == count
                && sim
                    .agents_of::<Member<Recorder>>()
                    .all(|(_, member)| member.replica().index == 50 * count)
        })
        .unwrap_or_else(|failure| {
            for (id, m) in sim.agents_of::<Member<Recorder>>() {
                println!(
                    "{id} index {} sent {} views {}",
                    m.replica().index,
                    m.replica().sent,
                    m.replica().views.len()
                );
            }
            panic!("{failure}")
        });
        let oracle = oracle.lock().unwrap();
        assert_eq!(oracle.wrong, None);
        assert_eq!(oracle.views(), 1, "no view changes without a reason");
    }
}
