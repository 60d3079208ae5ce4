//! An answer that comes piece by piece.

use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use super::CallError;
use crate::home::NodeName;

/// How long a stream may be silent before it is taken for broken: four times the 15 s after which
/// a node says that it is still there.
const SILENCE: Duration = Duration::from_mins(1);

/// A body that comes piece by piece. Dropped, its connection is cut off.
#[derive(Debug)]
pub struct Streamed {
    node: NodeName,
    body: Incoming,
    _beside: JoinSet<hyper::Result<()>>,
}

impl Streamed {
    pub(super) fn new(node: NodeName, body: Incoming, beside: JoinSet<hyper::Result<()>>) -> Self {
        Self { node, body, _beside: beside }
    }

    /// The next piece; none at the end. Nothing is lost if this is dropped before it is ready.
    ///
    /// # Errors
    /// If the connection broke, or was silent for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            let frame = match tokio::time::timeout(SILENCE, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(self.broken(error.to_string())),
                Err(_) => return Err(self.broken(format!("silent for {} s", SILENCE.as_secs()))),
            };
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    fn broken(&self, reason: String) -> CallError {
        CallError::Broken { node: self.node.clone(), reason }
    }
}
