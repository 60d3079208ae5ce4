//! The log of an attempt, piece by piece, also across lost connections.

use std::collections::VecDeque;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dx_scheduler::id::AttemptId;
use dx_scheduler::processor::Stream;
use serde::Deserialize;

use super::event_stream::{Event, EventStream};
use super::{AskError, Service, note};
use crate::control::Streamed;

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
    /// The connection broke in its midst, and where to go on is not known.
    #[error("the log of {0} broke off: ask for it again")]
    BrokenOff(AttemptId),
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
    /// The id of the event that came last: where to go on.
    last: Option<String>,
    has_begun: bool,
    open: Option<(Streamed, EventStream)>,
    ready: VecDeque<Event>,
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
#[derive(Default, Deserialize)]
#[serde(default)]
struct End {
    dropped: u64,
}

impl Log {
    /// This part of the log of `attempt`.
    #[must_use]
    pub fn new(attempt: AttemptId, part: Part) -> Self {
        let (open, ready) = (None, VecDeque::new());
        Self { attempt, part, last: None, has_begun: false, open, ready, is_over: false }
    }

    /// What comes next; none at the end.
    ///
    /// # Errors
    /// If it cannot be read on. What came before is right.
    pub async fn next(&mut self, service: &mut Service) -> Result<Option<Printed>, LogError> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                if let Some(printed) = self.event(event)? {
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
                    self.has_begun |= !new.is_empty();
                    self.ready.extend(new);
                    return Ok(());
                }
                Err(too_long) => {
                    let reason = too_long.to_string();
                    return Err(LogError::Unreadable { attempt: self.attempt, reason });
                }
            },
            Ok(None) => "it ended early".to_owned(),
            Err(error) => error.to_string(),
        };
        // The log has its end only with an event that says so.
        self.open = None;
        if self.has_begun && self.last.is_none() {
            return Err(LogError::BrokenOff(self.attempt));
        }
        note(&format!("the log of {}: {reason}; going on", self.attempt));
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<Option<Printed>, LogError> {
        let attempt = self.attempt;
        let unreadable = |reason: String| LogError::Unreadable { attempt, reason };
        if event.id.is_some() {
            self.last = event.id;
        }
        match event.name.as_str() {
            "end" => {
                self.is_over = true;
                let end: End = serde_json::from_str(&event.data).unwrap_or_default();
                if end.dropped > 0 {
                    note(&format!(
                        "{attempt} printed {} bytes more than are kept: see `--max-output`",
                        end.dropped
                    ));
                }
                Ok(None)
            }
            "error" => Err(LogError::Failed { attempt, reason: event.data }),
            "" | "piece" | "message" => {
                let piece: Piece = serde_json::from_str(&event.data)
                    .map_err(|error| unreadable(error.to_string()))?;
                let bytes = match (piece.text, piece.base64) {
                    (Some(text), _) => text.into_bytes(),
                    (None, Some(coded)) => BASE64_STANDARD
                        .decode(coded)
                        .map_err(|error| unreadable(error.to_string()))?,
                    (None, None) => return Err(unreadable("a piece has no bytes".to_owned())),
                };
                Ok(Some(Printed { stream: piece.stream, at: piece.at, bytes }))
            }
            // Something of a later version.
            _ => Ok(None),
        }
    }

    fn path(&self) -> String {
        let AttemptId { task, number } = self.attempt;
        let mut path = format!("/v1/jobs/{}/tasks/{}/log?attempt={number}", task.job, task.index);
        path += if self.part.follow { "&follow=true" } else { "" };
        match self.part.stream {
            Some(Stream::Stdout) => path += "&stream=stdout",
            Some(Stream::Stderr) => path += "&stream=stderr",
            None => {}
        }
        match (&self.last, self.part.tail) {
            (Some(last), _) => path += &format!("&from={last}"),
            (None, Some(lines)) => path += &format!("&tail={lines}"),
            (None, None) => {}
        }
        path
    }
}
