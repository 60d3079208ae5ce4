//! Questions to the controller and to runners, and what comes of them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use dx_agents::{AskError, JournalState, NodeId};

use super::failure::Wrong;
use super::{Api, Failure, Place};
use crate::client::{Answer, Answered, Asked, Request, RequestError};
use crate::message::{ControllerMessage, RunnerMessage};
use crate::processor::{LogPart, ReadLog};
use crate::{controller_of, runner_of};

/// How long the controller may take for an answer. It journals before it answers; a disk that
/// takes longer is as good as none. A guess.
pub const ANSWER: Duration = Duration::from_secs(10);

impl Api {
    /// Asks the controller, and takes of the answer what `pick` knows.
    pub(super) async fn ask<T>(
        &self,
        request: Request,
        pick: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, Failure> {
        let asked = self.ask_within(&request, ANSWER).await;
        let answer = asked.map_err(|why| self.silent(self.0.controller, "controller", why))?;
        pick(accept(answer)?).ok_or_else(|| unreadable("it answers another question"))
    }

    /// The same; what comes of it is told apart by the caller.
    pub(super) async fn ask_within(
        &self,
        request: &Request,
        within: Duration,
    ) -> Result<Result<Answer, String>, AskError> {
        let question = ControllerMessage::Client(Asked::new(request));
        let controller = controller_of(self.0.controller);
        let answer = self.0.port.ask(controller, question, within).await?;
        let answered = answer.open::<Answered>().map_err(|error| error.to_string());
        Ok(answered.and_then(|answered| answered.open().map_err(|error| error.to_string())))
    }

    /// Refuses work for which the controller's disk has no room, as far as this node knows. The
    /// controller cannot say so itself while what it journals waits for room: no answer overtakes
    /// that.
    pub(super) fn check_room(&self) -> Result<(), Failure> {
        if self.is_disk_full() { Err(refused(RequestError::DiskFull)) } else { Ok(()) }
    }

    /// Whether the controller is on this node, and waits for room on its disk.
    fn is_disk_full(&self) -> bool {
        let port = &self.0.port;
        port.id().spawned_by() == Some(self.0.controller) && port.journal() == JournalState::Full
    }

    /// Reads a part of a log where it lies.
    pub(super) async fn read_log(
        &self,
        node: NodeId,
        read: ReadLog,
        within: Duration,
    ) -> Result<LogPart, AskError> {
        let ticket = self.0.tickets.fetch_add(1, Ordering::Relaxed);
        let question = RunnerMessage::Read(ReadLog { ticket, ..read });
        let answer = self.0.port.ask(runner_of(node), question, within).await?;
        // What cannot be read is as good as no answer.
        answer.open().map_err(|_| AskError::Timeout)
    }

    /// The name of a node, or its number if nobody knows it.
    pub(super) fn name(&self, node: NodeId) -> String {
        self.0.nodes.get(&node).map_or_else(|| node.to_string(), |place| place.name.clone())
    }

    /// The name of the node that this API is on.
    pub(super) fn own_name(&self) -> String {
        let own = self.0.port.id().spawned_by();
        self.name(own.expect("ports without an id of their own are of their node"))
    }

    /// Where a node is; nowhere if nobody knows it.
    pub(super) fn place_of(&self, node: NodeId) -> Place {
        self.0.nodes.get(&node).cloned().unwrap_or_default()
    }

    /// Somebody does not answer.
    pub(super) fn silent(&self, node: NodeId, who: &str, why: AskError) -> Failure {
        let why = match why {
            AskError::Timeout if node == self.0.controller && self.is_disk_full() => {
                "its disk is full, and it waits for room".to_owned()
            }
            AskError::Timeout => "it gave no answer in time".to_owned(),
            AskError::Refused(why) => why.to_string(),
            AskError::Down(why) => why.to_string(),
        };
        let text = format!("the {who} on node {} is silent: {why}", self.name(node));
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, &format!("{who}_silent"), text)
            .hint("`dx status` shows which nodes can be reached; what was asked may have been done")
    }
}

/// What the controller answered, unless that is a refusal.
pub fn accept(answer: Result<Answer, String>) -> Result<Answer, Failure> {
    match answer {
        Ok(Answer::Refused(why)) => Err(refused(why)),
        Ok(answer) => Ok(answer),
        Err(why) => Err(unreadable(&why)),
    }
}

/// Nodes of different versions.
pub fn unreadable(why: &str) -> Failure {
    let text = format!("the controller and this node do not understand each other: {why}");
    Failure::new(StatusCode::BAD_GATEWAY, "unreadable", text)
        .hint("run the same version of dx on all nodes")
}

/// Why the controller did not do it, as HTTP says it.
pub fn refused(why: RequestError) -> Failure {
    let (status, code, hint) = match &why {
        RequestError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_job", None),
        RequestError::NoJob(_) => {
            (StatusCode::NOT_FOUND, "no_such_job", Some("GET /v1/jobs lists those there are"))
        }
        RequestError::NoTask(_) => {
            let hint = "GET /v1/jobs/{id}/tasks lists those there are";
            (StatusCode::NOT_FOUND, "no_such_task", Some(hint))
        }
        RequestError::NoNode(_) => {
            (StatusCode::NOT_FOUND, "no_such_node", Some("GET /v1/nodes lists those there are"))
        }
        RequestError::OtherJob { .. } => (StatusCode::CONFLICT, "request_id_taken", None),
        RequestError::Needed(_) => (StatusCode::CONFLICT, "job_needed", None),
        RequestError::NotRunning(_) => (StatusCode::CONFLICT, "caller_not_running", None),
        RequestError::WaitsForItself { .. } => (StatusCode::CONFLICT, "deadlock", None),
        RequestError::Stopped { .. } => (StatusCode::CONFLICT, "job_stopped", None),
        RequestError::NotEnded(_) => (StatusCode::CONFLICT, "job_not_ended", None),
        RequestError::Full { .. } => (StatusCode::TOO_MANY_REQUESTS, "queue_full", None),
        RequestError::DiskFull => {
            let hint = "make room there; what was sent just before may be taken then";
            (StatusCode::INSUFFICIENT_STORAGE, "disk_full", Some(hint))
        }
        RequestError::Unknown(_) => {
            let hint = "run the same version of dx on all nodes";
            (StatusCode::NOT_IMPLEMENTED, "not_understood", Some(hint))
        }
    };
    let mut failure = Failure::new(status, code, why.to_string());
    failure.hint = hint.map(str::to_owned);
    if let RequestError::Invalid(problems) = why {
        let wrong =
            problems.into_iter().map(|problem| Wrong { key: problem.key, what: problem.what });
        failure.problems = wrong.collect();
    }
    failure
}
