//! What a node tells of its member of a ring.

use std::time::Duration;

use axum::http::StatusCode;
use dx_agents::{AgentId, AskError};
use dx_ring::RingMessage;

use super::Inside;
use crate::control::Failure;
use crate::kinds::ring_member::{Answered, KIND, Question, Report, Until};

/// The longest wait for a member; whoever waits longer asks again.
const WAIT: Duration = Duration::from_mins(10);

/// The same where it need not wait: as long as its node may take.
const NOW: Duration = Duration::from_secs(3);

impl Inside {
    /// How a member stands when it has got there, or cannot; this node's, if none is named.
    pub(super) async fn ring_report(
        &self,
        until: Until,
        member: Option<AgentId>,
    ) -> Result<Report, Failure> {
        let found = match member {
            Some(id) => self.cluster.agents.iter().find(|it| it.id == id && it.kind == KIND),
            None => self.cluster.agents_on(self.about.id).find(|agent| agent.kind == KIND),
        };
        let Some(member) = found else {
            let text = match member {
                Some(id) => format!("there is no member {} of a ring in this cluster", id.0),
                None => format!("no member of a ring lives on node {}", self.about.node),
            };
            return Err(Failure::new(StatusCode::NOT_FOUND, "no_ring_member", text));
        };
        let question = RingMessage::Request(Question { until }.encode());
        let wait = if until == Until::Now { NOW } else { WAIT };
        let answer = self.service.asking.ask(member.id, question, wait).await;
        let answer = answer.map_err(|error| {
            let (status, code) = match error {
                AskError::Timeout => (StatusCode::GATEWAY_TIMEOUT, "not_yet"),
                AskError::Down(_) | AskError::Refused(_) => (StatusCode::GONE, "agent_ended"),
            };
            Failure::new(status, code, format!("member {}: {error}", member.id.0))
        })?;
        let unreadable =
            |error: String| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", error);
        let answer: Answered = answer.open().map_err(|error| unreadable(error.to_string()))?;
        answer.report().map_err(|error| unreadable(error.to_string()))
    }
}
