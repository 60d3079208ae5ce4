//! What a node tells of its member of a ring.

use std::time::Duration;

use axum::http::StatusCode;
use dx_agents::AskError;
use dx_ring::RingMessage;

use super::Inside;
use crate::control::Failure;
use crate::kinds::ring_member::{Answered, KIND, Question, Report, Until};

/// The longest wait for a member; whoever waits longer asks again.
const WAIT: Duration = Duration::from_mins(10);

impl Inside {
    /// How this node's member stands when it has got there, or cannot.
    pub(super) async fn ring_report(&self, until: Until) -> Result<Report, Failure> {
        let member = self.cluster.agents_on(self.about.id).find(|agent| agent.kind == KIND);
        let Some(member) = member else {
            let text = format!("no member of a ring lives on node {}", self.about.node);
            return Err(Failure::new(StatusCode::NOT_FOUND, "no_ring_member", text));
        };
        let question = RingMessage::Request(Question { until }.encode());
        let answer = self.service.asking.ask(member.id, question, WAIT).await;
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
