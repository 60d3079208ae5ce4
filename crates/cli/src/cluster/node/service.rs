//! What nodes ask each other about: a port of every node, under an id that all know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dx_agents::runtime::{Heard, Port};
use dx_agents::{AgentId, AskError, Lane, Message, NodeId};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::Inside;
use crate::cluster::report::{AgentPing, ClusterReport, NodeReport, Silent};
use crate::console::called;
use crate::control::About;

/// The count of the service's id; see [`WELL_KNOWN`](dx_agents::id::WELL_KNOWN).
const SERVICE: u32 = 2;

/// How long another node may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// The service of `node`.
pub fn service(node: NodeId) -> AgentId {
    AgentId::dynamic(node, SERVICE)
}

/// The ports of a node for questions between nodes.
pub struct Service {
    /// Where it is asked.
    answering: Port,
    /// By which it asks.
    pub(super) asking: Port,
}

/// A question from node to node.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Question {
    /// How it stands: answered by a [`NodeReport`].
    Report,
    /// Whether this agent is there: answered by a [`Presence`].
    Agent(AgentId),
    /// To stop: answered by who does, an [`About`].
    Stop,
}

impl Message for Question {
    const NAME: &'static str = "dx.node.question";

    fn lane(&self) -> Lane {
        Lane::Urgent
    }
}

/// The answer to a question, as JSON: so nodes of different versions understand each other.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Reply {
    #[serde(skip)]
    json: Bytes,
}

impl Message for Reply {
    const NAME: &'static str = "dx.node.reply";

    fn body(&self) -> Bytes {
        self.json.clone()
    }

    fn set_body(&mut self, body: Bytes) {
        self.json = body;
    }
}

/// An agent that is there, or is not.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Presence {
    /// Its kind, and the messages that wait for it.
    agent: Option<(String, usize)>,
}

/// Why an agent was not reached.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// The cluster has no such agent.
    #[error("there is no agent {} in this cluster", called(*.0))]
    Unknown(AgentId),
    /// Its node did not answer.
    #[error("node {node}, where agent {} lives, did not answer: {reason}", called(*agent))]
    Silent {
        /// The agent.
        agent: AgentId,
        /// Its node.
        node: String,
        /// Why.
        reason: String,
    },
    /// It has ended.
    #[error("agent {} does not run on node {node}: it has stopped or failed", called(*agent))]
    Gone {
        /// The agent.
        agent: AgentId,
        /// Its node.
        node: String,
    },
}

impl Service {
    /// A service that is asked at one port, and asks by the other.
    pub fn new(answering: Port, asking: Port) -> Self {
        Self { answering, asking }
    }
}

/// Answers what other nodes ask, for as long as the node runs.
pub async fn answer(inside: Arc<Inside>) {
    let port = &inside.service.answering;
    loop {
        let Heard::Message(received) = port.recv().await else { continue };
        let Some(to) = received.reply_to() else { continue };
        // A question of a later version is answered with nothing, which tells its asker as much.
        let json = match received.open::<Question>() {
            Ok(Question::Report) => serde_json::to_vec(&inside.report()),
            Ok(Question::Agent(agent)) => serde_json::to_vec(&inside.presence(agent)),
            Ok(Question::Stop) => {
                inside.stop.send_replace(true);
                serde_json::to_vec(&inside.about)
            }
            Err(_) => Ok(Vec::new()),
        };
        let json = json.expect("reports have text keys only").into();
        port.reply(to, Reply { json });
    }
}

impl Inside {
    /// How this node stands.
    pub fn report(&self) -> NodeReport {
        NodeReport {
            about: self.about.clone(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
            status: self.mesh.status(),
        }
    }

    /// How the cluster stands: the others are asked at the same time.
    pub async fn cluster_report(self: &Arc<Self>) -> ClusterReport {
        let mut asked = JoinSet::new();
        for other in self.others() {
            let (inside, id, name) = (Arc::clone(self), other.id, other.name.clone());
            asked.spawn(async move {
                let answer = inside.ask::<NodeReport>(id, Question::Report).await;
                answer.map_err(|reason| Silent { id, node: name, reason })
            });
        }
        let (mut nodes, mut silent) = (vec![self.report()], Vec::new());
        while let Some(answer) = asked.join_next().await {
            match answer.expect("asking neither panics nor is cancelled") {
                Ok(report) => nodes.push(report),
                Err(reason) => silent.push(reason),
            }
        }
        nodes.sort_by_key(|report| report.about.id);
        silent.sort_by_key(|silent| silent.id);
        ClusterReport { cluster: self.cluster.name.clone(), nodes, silent }
    }

    /// The way to the node of `agent` and back.
    pub async fn ping(&self, agent: AgentId) -> Result<AgentPing, PingError> {
        let directory = self.mesh.runtime().directory();
        let at = directory.node_of(agent).filter(|node| self.cluster.node(*node).is_some());
        let at = at.ok_or(PingError::Unknown(agent))?;
        let node = self.name(at);
        let begun = Instant::now();
        let presence = if at == self.about.id {
            self.presence(agent)
        } else {
            let answer = self.ask(at, Question::Agent(agent)).await;
            let node = node.clone();
            answer.map_err(|reason| PingError::Silent { agent, node, reason })?
        };
        let rtt_us = begun.elapsed().as_micros() as u64;
        let Some((kind, waiting)) = presence.agent else {
            return Err(PingError::Gone { agent, node });
        };
        let from = self.about.node.to_string();
        Ok(AgentPing { agent, kind, node, from, rtt_us, waiting })
    }

    /// Has another node of the cluster stop, which trusts all of them; returns who does.
    ///
    /// # Errors
    /// In words, if it does not answer.
    pub async fn stop_other(&self, node: NodeId) -> Result<About, String> {
        self.ask(node, Question::Stop).await
    }

    fn presence(&self, agent: AgentId) -> Presence {
        let agents = self.mesh.runtime().status().agents;
        let found = agents.into_iter().find(|status| status.id == agent);
        Presence { agent: found.map(|status| (status.kind, status.waiting)) }
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        node: NodeId,
        question: Question,
    ) -> Result<T, String> {
        let answer = self.service.asking.ask(service(node), question, ANSWER).await;
        let answer = answer.map_err(|error| match error {
            AskError::Timeout => format!("no answer within {} s", ANSWER.as_secs()),
            error => error.to_string(),
        })?;
        let reply: Reply = answer.open().map_err(|error| error.to_string())?;
        serde_json::from_slice(&reply.json)
            .map_err(|error| format!("it is of another version of dx: {error}"))
    }
}
