//! The log of an attempt, piece by piece, also across lost connections.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dx_scheduler::id::AttemptId;
use dx_scheduler::processor::Stream;
use serde::Deserialize;

use super::event_stream::{Event, EventStream};
use super::{AskError, Query, Service, as_word, note};
use crate::control::{Failure, Streamed};

/// The wait before a log whose connection broke is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// Which part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Only this stream.
    pub stream: Option<Stream>,
    /// Only the last so many lines of what there is.
    pub tail: Option<u64>,
    /// Whether to wait for what comes, up to the end of the attempt.
    pub follow: bool,
}

/// Something that was printed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// Onto which stream.
    pub stream: Stream,
    /// When: milliseconds since the Unix epoch.
    pub at: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a log ends here.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be asked for.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What came is of another version than this program's.
    #[error("the log of {attempt} is not understood: {reason}")]
    Unreadable {
        /// Whose log.
        attempt: AttemptId,
        /// What is wrong.
        reason: String,
    },
    /// The node says that it cannot go on.
    #[error("the log of {attempt} ends here: {reason}")]
    Failed {
        /// Whose log.
        attempt: AttemptId,
        /// What the node says.
        reason: String,
    },
}

/// A log that is being read.
#[derive(Debug)]
pub struct Log {
    attempt: AttemptId,
    part: Part,
    /// Where to go on, if something came.
    next: Option<u64>,
    open: Option<(Streamed, EventStream)>,
    /// What came, up to the last event that said where to go on after it. What came since would
    /// come again if the connection broke.
    ready: VecDeque<Event>,
    held: Vec<Event>,
    is_over: bool,
}

/// A piece as it travels.
#[derive(Deserialize)]
struct Piece {
    stream: Stream,
    at: u64,
    text: Option<String>,
    base64: Option<String>,
}

/// The end of a log as it travels.
#[derive(Deserialize)]
struct End {
    #[serde(default)]
    dropped: u64,
}

impl Log {
    /// This part of the log of `attempt`.
    #[must_use]
    pub fn new(attempt: AttemptId, part: Part) -> Self {
        let (open, ready, held) = (None, VecDeque::new(), Vec::new());
        Self { attempt, part, next: None, open, ready, held, is_over: false }
    }

    /// What comes next; none at the end.
    ///
    /// # Errors
    /// If it cannot be read on. What came before is right.
    pub async fn next(&mut self, service: &mut Service) -> Result<Option<Printed>, LogError> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                if let Some(printed) = self.event(&event)? {
                    return Ok(Some(printed));
                }
            }
            if self.is_over {
                return Ok(None);
            }
            self.receive(service).await?;
        }
    }

    async fn receive(&mut self, service: &mut Service) -> Result<(), LogError> {
        if self.open.is_none() {
            let streamed = service.stream(&self.path()).await?;
            self.open = Some((streamed, EventStream::default()));
        }
        let (streamed, events) = self.open.as_mut().expect("it was opened above");
        let reason = match streamed.next().await {
            Ok(Some(bytes)) => match events.push(&bytes) {
                Ok(new) => {
                    for event in new {
                        let is_whole = event.id.is_some() || event.name != "piece";
                        self.held.push(event);
                        if is_whole {
                            self.ready.extend(self.held.drain(..));
                        }
                    }
                    return Ok(());
                }
                Err(too_long) => return Err(self.unreadable(too_long.to_string())),
            },
            // The log has its end only with an event that says so.
            Ok(None) => "the connection ended early".to_owned(),
            Err(error) => error.to_string(),
        };
        (self.open, self.held) = (None, Vec::new());
        note(&format!("the log of {}: {reason}; going on", self.attempt));
        // A node that ends each connection at once is not asked without pause.
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    fn unreadable(&self, reason: String) -> LogError {
        LogError::Unreadable { attempt: self.attempt, reason }
    }

    fn event(&mut self, event: &Event) -> Result<Option<Printed>, LogError> {
        let attempt = self.attempt;
        if let Some(id) = &event.id {
            let next = id.rsplit_once('.').and_then(|(_, next)| next.parse().ok());
            self.next = Some(next.ok_or_else(|| self.unreadable(format!("`{id}` is no place")))?);
        }
        match event.name.as_str() {
            "piece" => self.piece(&event.data).map(Some),
            "end" => {
                self.is_over = true;
                let end: End = serde_json::from_str(&event.data)
                    .map_err(|error| self.unreadable(error.to_string()))?;
                if end.dropped > 0 {
                    let dropped = end.dropped;
                    note(&format!(
                        "{attempt} printed {dropped} bytes more than are kept: see `--max-output`"
                    ));
                }
                Ok(None)
            }
            "missing" | "failure" => {
                let why: Failure = serde_json::from_str(&event.data)
                    .map_err(|error| self.unreadable(error.to_string()))?;
                Err(LogError::Failed { attempt, reason: why.to_string() })
            }
            // Something of a later version.
            _ => Ok(None),
        }
    }

    fn piece(&self, data: &str) -> Result<Printed, LogError> {
        let piece: Piece =
            serde_json::from_str(data).map_err(|error| self.unreadable(error.to_string()))?;
        let bytes = match (piece.text, piece.base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(coded)) => {
                BASE64_STANDARD.decode(coded).map_err(|error| self.unreadable(error.to_string()))?
            }
            (None, None) => return Err(self.unreadable("a piece has no bytes".to_owned())),
        };
        Ok(Printed { stream: piece.stream, at: piece.at, bytes })
    }

    fn path(&self) -> String {
        let AttemptId { task, number } = self.attempt;
        let Part { stream, tail, follow } = self.part;
        let stream = stream.map(|stream| as_word(&stream));
        let query = Query::default().with("attempt", number).with_some("stream", stream);
        let query = query.with_some("follow", follow.then_some(true));
        let query = match self.next {
            Some(next) => query.with("from", next),
            None => query.with_some("tail", tail),
        };
        query.of(&format!("/v1/jobs/{}/tasks/{}/log", task.job, task.index))
    }
}
