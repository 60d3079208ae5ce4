//! A cluster in tables of at most eighty columns.

use std::fmt::Write;

use bytesize::ByteSize;
use dx_agents::NodeId;
use dx_agents::mesh::{LaneCounts, LinkState, LinkStatus};

use crate::cluster::{ClusterReport, NodeReport};
use crate::console::called;

/// `report` for people; with the look `before`, links show rates instead of totals.
pub fn text(report: &ClusterReport, before: Option<&ClusterReport>) -> String {
    let mut text = String::new();
    let all = report.nodes.len() + report.silent.len();
    line(
        &mut text,
        format_args!("cluster {}: {} of {all} nodes answer", report.cluster, report.nodes.len()),
    );
    for silent in &report.silent {
        line(&mut text, format_args!("  {} does not answer: {}", silent.node, silent.reason));
    }
    nodes(&mut text, report);
    links(&mut text, report, before);
    agents(&mut text, report);
    troubles(&mut text, report);
    text
}

fn nodes(text: &mut String, report: &ClusterReport) {
    line(
        text,
        format_args!(
            "\n{:12} {:>6} {:>8} {:>9}  {:14} LISTENS AT",
            "NODE", "ID", "PID", "UP", "INCARNATION"
        ),
    );
    for node in &report.nodes {
        let about = &node.about;
        line(
            text,
            format_args!(
                "{:12} {:>6} {:>8} {:>9}  {:<14} {}",
                about.node.as_str(),
                about.id.0,
                about.pid,
                uptime(node.uptime_ms),
                about.incarnation.0,
                node.status.endpoints.join(", ")
            ),
        );
    }
}

fn links(text: &mut String, report: &ClusterReport, before: Option<&ClusterReport>) {
    let (sent, received) = if before.is_some() { ("SENT/s", "RECVD/s") } else { ("SENT", "RECVD") };
    line(
        text,
        format_args!(
            "\n{:16} {:10} {:5} {:>8} {:>8} {:>8} {:>7} {:>5} {:>4}",
            "LINK", "STATE", "OVER", "RTT", sent, received, "QUEUED", "AGAIN", "LOST"
        ),
    );
    for node in &report.nodes {
        let earlier = before.and_then(|report| {
            report.nodes.iter().find(|n| {
                n.about.incarnation == node.about.incarnation && n.about.id == node.about.id
            })
        });
        for link in &node.status.links {
            one_link(text, report, node, link, earlier);
        }
    }
}

fn one_link(
    text: &mut String,
    report: &ClusterReport,
    node: &NodeReport,
    link: &LinkStatus,
    earlier: Option<&NodeReport>,
) {
    let ways = format!("{} > {}", node.about.node, name(report, link.node));
    let old =
        earlier.map(|node| (node, node.status.links.iter().find(|old| old.node == link.node)));
    let moved = |count: fn(&LaneCounts) -> u64| {
        let total = sum(&link.lanes, count);
        match old {
            Some((earlier, Some(old))) => {
                let millis = node.uptime_ms.saturating_sub(earlier.uptime_ms).max(1);
                size(total.saturating_sub(sum(&old.lanes, count)) * 1000 / millis)
            }
            _ => size(total),
        }
    };
    line(
        text,
        format_args!(
            "{ways:16} {:10} {:5} {:>8} {:>8} {:>8} {:>7} {:>5} {:>4}",
            state(link.state),
            link.transport.as_deref().unwrap_or("-"),
            link.rtt_us.map_or_else(|| "-".to_owned(), millis),
            moved(|lane| lane.sent_bytes),
            moved(|lane| lane.received_bytes),
            size(sum(&link.lanes, |lane| lane.queued_bytes)),
            link.reconnects,
            sum(&link.lanes, |lane| lane.lost),
        ),
    );
}

fn agents(text: &mut String, report: &ClusterReport) {
    line(
        text,
        format_args!(
            "\n{:>8} {:10} {:10} {:>9} {:>11} {:>7} {:>7} {:>8}",
            "AGENT", "KIND", "NODE", "STEPS", "MAILBOX", "DROPPED", "REFUSED", "RESTARTS"
        ),
    );
    for node in &report.nodes {
        for agent in &node.status.agents.agents {
            line(
                text,
                format_args!(
                    "{:>8} {:10} {:10} {:>9} {:>11} {:>7} {:>7} {:>8}",
                    called(agent.id),
                    agent.kind,
                    node.about.node.as_str(),
                    agent.steps,
                    format!("{}/{}", agent.waiting, agent.mailbox),
                    agent.dropped,
                    agent.refused,
                    agent.restarts
                ),
            );
        }
    }
}

fn troubles(text: &mut String, report: &ClusterReport) {
    for node in &report.nodes {
        let name = &node.about.node;
        for (reason, count) in &node.status.agents.dead_letters {
            line(text, format_args!("\n{name}: {count} dead letters ({reason})"));
        }
        for stall in &node.status.agents.stalls {
            line(
                text,
                format_args!(
                    "\n{name}: agent {} has been in one step for {} ms",
                    called(stall.agent),
                    stall.for_ms
                ),
            );
        }
        for agent in node.status.agents.agents.iter().filter(|agent| agent.slow_steps > 0) {
            line(
                text,
                format_args!(
                    "\n{name}: agent {} took {} slow steps, the longest {} ms",
                    called(agent.id),
                    agent.slow_steps,
                    agent.longest_step_us / 1000
                ),
            );
        }
    }
}

fn name(report: &ClusterReport, id: NodeId) -> String {
    let found = report.nodes.iter().find(|node| node.about.id == id);
    let silent = report.silent.iter().find(|silent| silent.id == id);
    found
        .map(|node| node.about.node.to_string())
        .or_else(|| silent.map(|silent| silent.node.to_string()))
        .unwrap_or_else(|| id.to_string())
}

fn sum(lanes: &[LaneCounts], count: fn(&LaneCounts) -> u64) -> u64 {
    lanes.iter().map(count).sum()
}

fn state(state: LinkState) -> &'static str {
    match state {
        LinkState::Unknown => "not yet up",
        LinkState::Up => "up",
        LinkState::Relinking => "relinking",
        LinkState::Down => "down",
    }
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec_short().to_string()
}

fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1000.0)
}

fn uptime(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes all text");
}
