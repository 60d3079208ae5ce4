//! What happens to a node, in words.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dx_agents::NodeId;
use dx_agents::mesh::NodeEvent;
use tokio::time::sleep;

use super::Inside;
use super::output::Output;

/// Tells what happens, for as long as the node runs.
pub async fn tell(inside: Arc<Inside>, output: Output) {
    let mut events = inside.mesh.events();
    let mut words = Words::default();
    let (mut patience, mut is_waiting) = (pin!(sleep(PATIENCE)), false);
    loop {
        tokio::select! {
            () = &mut patience, if !words.is_ready && !is_waiting => {
                is_waiting = true;
                let missing = inside.mesh.status().missing;
                let mut names: Vec<String> = missing.into_iter().map(|id| inside.name(id)).collect();
                if names.is_empty() {
                    names.push("its runner to join the controller".to_owned());
                }
                output.tell(format!("waits for {}", names.join(", "))).await;
            }
            () = inside.ready(), if !words.is_ready => {
                words.is_ready = true;
                output.tell(ready(&inside, inside.started.elapsed())).await;
            }
            event = events.next() => {
                let Some(event) = event else { return };
                if let Some(line) = words.of(event, |id| inside.name(id)) {
                    output.tell(line).await;
                }
            }
        }
    }
}

fn ready(inside: &Inside, after: Duration) -> String {
    let about = &inside.about;
    let links = inside.others().count();
    let agents = inside.cluster.agents_on(about.id).count();
    format!(
        "node {} of cluster {} is ready: {}, {}, in {:.2} s",
        about.node,
        about.cluster,
        counted(links, "link"),
        counted(agents, "agent"),
        after.as_secs_f64()
    )
}

/// `1 node`, `2 nodes`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What was said already. A peer that is away is dialed again and again for the same reason, and
/// peers that start at the same time miss each other once: neither is worth a word.
#[derive(Debug, Default)]
struct Words {
    is_ready: bool,
    /// The last reason, by peer, and how often it came in a row.
    refused: BTreeMap<Option<NodeId>, (String, u32)>,
}

/// Nodes that are started together are all up before.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a link is refused for one reason until that is told.
const TOLD_AT: u32 = 3;

impl Words {
    fn of(&mut self, event: NodeEvent, name: impl Fn(NodeId) -> String) -> Option<String> {
        Some(match event {
            NodeEvent::Up { node, resumed, transport, .. } => {
                let refused = self.refused.remove(&Some(node));
                let was_told = refused.is_some_and(|(_, times)| times >= TOLD_AT);
                let node = name(node);
                if !self.is_ready && !was_told {
                    return None;
                }
                if resumed {
                    format!("the link to {node} is back ({transport}); nothing was lost")
                } else {
                    format!("{node} is up ({transport})")
                }
            }
            NodeEvent::Down { node, reason } => {
                format!("{} cannot be reached: {reason}", name(node))
            }
            NodeEvent::Restarted { node, .. } => format!("{} restarted", name(node)),
            NodeEvent::Lost { node, count, inbound } => {
                let way = if inbound { "from" } else { "to" };
                let what = counted(usize::try_from(count).unwrap_or(usize::MAX), "message");
                format!("{what} {way} {} may be lost", name(node))
            }
            NodeEvent::Refused { node, address, error } => {
                let (last, times) = self.refused.entry(node).or_default();
                *times = if *last == error { *times + 1 } else { 1 };
                last.clone_from(&error);
                if *times != TOLD_AT {
                    return None;
                }
                match node {
                    Some(node) => format!("no link to {} at {address} yet: {error}", name(node)),
                    None => format!("refused a link from {address}: {error}"),
                }
            }
            NodeEvent::Slow { node } => {
                format!("{} takes messages slower than they come", name(node))
            }
            NodeEvent::GoingAway { node } => format!("{} is stopping", name(node)),
            NodeEvent::Missed(count) => format!("{count} events were too many to tell"),
            event => format!("{event:?}"),
        })
    }
}
