//! A node's numbers for Prometheus.

use std::fmt::Write;

use dx_agents::mesh::{LinkState, NodeStatus};

use super::Inside;

/// The text that `/metrics` answers.
pub fn text(inside: &Inside) -> String {
    of(&inside.mesh.status(), |id| inside.name(id))
}

fn of(status: &NodeStatus, name: impl Fn(dx_agents::NodeId) -> String) -> String {
    let mut text = Text::default();
    for link in &status.links {
        let peer = format!("peer=\"{}\"", name(link.node));
        text.gauge("dx_link_up", &peer, u64::from(link.state == LinkState::Up));
        text.gauge("dx_link_rtt_microseconds", &peer, link.rtt_us.unwrap_or(0));
        text.counter("dx_link_reconnects_total", &peer, link.reconnects);
        text.counter("dx_link_sessions_total", &peer, link.sessions);
        text.counter("dx_link_violations_total", &peer, link.violations);
        for lane in &link.lanes {
            let labels = format!("{peer},lane=\"{}\"", lane.lane);
            text.counter("dx_lane_sent_bytes_total", &labels, lane.sent_bytes);
            text.counter("dx_lane_received_bytes_total", &labels, lane.received_bytes);
            text.counter("dx_lane_lost_total", &labels, lane.lost);
            text.gauge("dx_lane_queued_bytes", &labels, lane.queued_bytes);
        }
    }
    for agent in &status.agents.agents {
        let labels = format!("agent=\"{}\",kind=\"{}\"", agent.id.0, agent.kind);
        text.counter("dx_agent_steps_total", &labels, agent.steps);
        text.gauge("dx_agent_mailbox", &labels, agent.waiting as u64);
        text.counter("dx_agent_dropped_total", &labels, agent.dropped);
        text.counter("dx_agent_refused_total", &labels, agent.refused);
        text.counter("dx_agent_restarts_total", &labels, agent.restarts);
        text.counter("dx_agent_slow_steps_total", &labels, agent.slow_steps);
    }
    for (reason, count) in &status.agents.dead_letters {
        text.counter("dx_dead_letters_total", &format!("reason=\"{reason}\""), *count);
    }
    text.finish()
}

/// Families of samples in the order in which they were first seen: a family must not be torn.
#[derive(Default)]
struct Text(Vec<(&'static str, String)>);

impl Text {
    fn gauge(&mut self, name: &'static str, labels: &str, value: u64) {
        self.sample(name, "gauge", labels, value);
    }

    fn counter(&mut self, name: &'static str, labels: &str, value: u64) {
        self.sample(name, "counter", labels, value);
    }

    fn sample(&mut self, name: &'static str, kind: &str, labels: &str, value: u64) {
        let index = self.0.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.0.push((name, format!("# TYPE {name} {kind}\n")));
            self.0.len() - 1
        });
        writeln!(self.0[index].1, "{name}{{{labels}}} {value}").expect("a string takes all text");
    }

    fn finish(self) -> String {
        self.0.into_iter().map(|(_, family)| family).collect()
    }
}
