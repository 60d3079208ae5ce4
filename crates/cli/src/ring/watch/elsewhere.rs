//! Members on other machines: what is known of them, the nodes of this one are told.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{AGAIN, LATE, Shared};
use crate::config::NodeSpec;
use crate::control::{About, Client};
use crate::kinds::ring_member::{Report, State};

/// A member elsewhere that has reached no majority for so long is blocked; one of this machine
/// waits as long before it says so.
const BLOCKED: Duration = Duration::from_secs(5);

impl Shared {
    /// Has all of them stop, as far as they can be reached.
    pub(super) async fn stop_elsewhere(&self) {
        for node in self.cluster.nodes.iter().filter(|it| self.is_elsewhere(it)) {
            let path = format!("/v1/stop/{}", node.id.0);
            for client in self.local_clients().await {
                if client.post::<(), About>(&path, &()).await.is_ok() {
                    break;
                }
            }
        }
    }

    /// Asks a member by way of this machine's nodes until there is an answer; `None`: it could not be
    /// reached for a long time. It is asked again and again: a question would outlast a link that is gone for good.
    pub(super) async fn ask_elsewhere(&self, at: usize, until: &str) -> Option<Report> {
        let path = format!("/v1/ring/now/{}", self.cluster.nodes[at].id.0);
        // Whoever asks how it stands now has waited already.
        let patience = if until == "now" { Duration::ZERO } else { LATE };
        let (mut silent, mut blocked) = (None, None);
        loop {
            let report = self.answer_by_any(&path).await;
            let begun =
                |since: &mut Option<Instant>| since.get_or_insert_with(Instant::now).elapsed();
            match report {
                Some(report) => {
                    silent = None;
                    let is_blocked = report.state == State::Blocked;
                    if !is_blocked {
                        blocked = None;
                    }
                    let is_due = match until {
                        "send" => report.stage != "START",
                        "stop" => report.result.is_some() || report.state == State::Lost,
                        _ => true,
                    };
                    if is_due || is_blocked && begun(&mut blocked) >= BLOCKED {
                        return Some(report);
                    }
                }
                None if begun(&mut silent) >= patience => return None,
                None => {}
            }
            sleep(AGAIN).await;
        }
    }

    /// What the first node of this machine answers that does.
    async fn answer_by_any(&self, path: &str) -> Option<Report> {
        for client in self.local_clients().await {
            if let Ok(report) = client.get(path).await {
                return Some(report);
            }
        }
        None
    }

    /// The nodes of this machine that answer.
    async fn local_clients(&self) -> Vec<Client> {
        let mut clients = Vec::new();
        for node in self.cluster.nodes.iter().filter(|it| !self.is_elsewhere(it)) {
            clients.extend(Client::node(&self.home, &self.cluster.name, &node.name).await.ok());
        }
        clients
    }

    pub(super) fn is_elsewhere(&self, node: &NodeSpec) -> bool {
        self.elsewhere.contains(&node.name)
    }
}
