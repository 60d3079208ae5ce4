//! What echo and ping promise, as it is judged in simulations: by what they print and count, so
//! that they need not know of it.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{AgentId, Incarnation, NodeId};
use dx_sim::Sim;

use super::ping::Ping;
use crate::console::console;
use crate::simulate::Console;

/// Of pings that greet more seldom nothing is expected.
const OFTEN: Duration = Duration::from_secs(10);

/// What was heard so far.
#[derive(Clone, Default)]
struct Heard {
    nodes: BTreeMap<NodeId, Node>,
    /// By echo and ping.
    last: BTreeMap<(u64, u64), Last>,
}

/// A node so far.
#[derive(Clone, Default)]
struct Node {
    life: Option<Incarnation>,
    /// How often it has started.
    starts: u64,
    /// Lines that were read of its console in this life.
    read: u64,
}

/// The last greeting of a ping that an echo has heard.
#[derive(Clone, Default)]
struct Last {
    number: Option<u64>,
    /// How often the numbers began anew.
    resets: u64,
}

/// A ping's numbers only grow for an echo, but once for each time that the ping has begun anew.
pub fn in_order() -> impl FnMut(&Sim) -> Result<(), String> + Clone + Send + Sync + 'static {
    let mut heard = Heard::default();
    move |sim| {
        let mut nodes = sim.nodes();
        nodes.try_for_each(|node| heard.look(sim, node))
    }
}

impl Heard {
    fn look(&mut self, sim: &Sim, id: NodeId) -> Result<(), String> {
        let node = self.nodes.entry(id).or_default();
        let life = sim.incarnation(id);
        if node.life != life {
            *node = Node { life, starts: node.starts + 1, read: 0 };
        }
        let Some(console) = sim.agent::<Console>(console(id)) else { return Ok(()) };
        if node.read == console.said() {
            return Ok(());
        }
        let new: Vec<_> = console.lines_after(node.read).filter_map(greeting).collect();
        node.read = console.said();
        new.into_iter().try_for_each(|greeting| self.hear(sim, greeting))
    }

    fn hear(&mut self, sim: &Sim, (echo, ping, number): (u64, u64, u64)) -> Result<(), String> {
        let last = self.last.entry((echo, ping)).or_default();
        if let Some(before) = last.number.filter(|before| number <= *before) {
            last.resets += 1;
            let node = sim.node_of(AgentId(ping)).and_then(|node| self.nodes.get(&node));
            // What a former life has sent may still come while the next one has begun.
            if last.resets >= node.map_or(0, |node| node.starts) {
                return Err(format!(
                    "echo {echo} hears greeting {number} of ping {ping} after greeting {before}"
                ));
            }
        }
        last.number = Some(number);
        Ok(())
    }
}

/// Echo, ping and number of a greeting, as an echo prints it.
fn greeting(line: &str) -> Option<(u64, u64, u64)> {
    let (echo, rest) = line.strip_prefix("Echo agent ")?.split_once(" received from agent ")?;
    let (ping, rest) = rest.split_once(": Hello #")?;
    let (number, _) = rest.split_once(" from Ping agent ")?;
    Some((echo.parse().ok()?, ping.parse().ok()?, number.parse().ok()?))
}

/// Whether some greeting was not answered.
pub fn is_lost(sim: &Sim) -> bool {
    sim.agents_of::<Ping>().any(|(_, ping)| ping.counts().1 > 0)
}

/// How many greetings were answered, of each ping that greets often.
pub fn answers(sim: &Sim) -> BTreeMap<AgentId, u64> {
    let often = |ping: &Ping| ping.answered_every().is_some_and(|interval| interval <= OFTEN);
    let pings = sim.agents_of::<Ping>().filter(|(_, ping)| often(ping));
    pings.map(|(id, ping)| (id, ping.counts().0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_told_from_other_lines() {
        let line = "Echo agent 1 received from agent 3: Hello #17 from Ping agent 3 ...";
        assert_eq!(greeting(line), Some((1, 3, 17)));
        for other in ["", "Ping agent 3: 5 sent", "Echo agent 1 received from agent 3: Hello"] {
            assert_eq!(greeting(other), None, "{other}");
        }
    }
}
