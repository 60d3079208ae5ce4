//! Reads a log piece by piece, where it lies, and goes on with the next attempt's.

use std::time::Duration;

use axum::http::StatusCode;
use dx_agents::{AskError, NodeId};

use super::Reading;
use super::tail::Tail;
use crate::api::waiting::is_stopping;
use crate::api::{Api, Failure};
use crate::client::{AttemptView, TaskView};
use crate::end::TaskState;
use crate::id::TaskId;
use crate::processor::{LogPart, MAX_LOG_PART, Piece, ReadLog, Stream};

/// How long a runner may take for a part that it has.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a runner may wait for more, before it is asked whether it lives.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait before a runner that was silent is asked again, and before a job that changes
/// all the time is looked at again. A guess.
const PAUSE: Duration = Duration::from_millis(200);

/// What was found in a log.
#[derive(Debug)]
pub enum Found {
    /// What was printed.
    Pieces {
        /// By which attempt.
        attempt: u32,
        /// In the order in which it was read.
        pieces: Vec<Piece>,
        /// Where to go on.
        next: u64,
    },
    /// The rest of an attempt's log cannot be had.
    Missing {
        /// Which attempt's.
        attempt: u32,
        /// Why.
        why: Failure,
    },
    /// Nothing follows.
    End {
        /// The attempt that was read last, if there was one.
        attempt: Option<u32>,
        /// How the task stands.
        state: TaskState,
        /// Bytes that were printed and are not kept.
        dropped: u64,
    },
}

/// Where reading is.
pub struct Reader {
    api: Api,
    task: TaskId,
    stream: Option<Stream>,
    is_following: bool,
    /// Whether to go on with later attempts.
    is_across: bool,
    /// What was read already.
    ready: Vec<Found>,
    at: At,
}

enum At {
    /// In the log of an attempt.
    In {
        attempt: u32,
        node: NodeId,
        from: u64,
    },
    /// Before an attempt of at least this number.
    Before {
        attempt: u32,
        dropped: u64,
    },
    Over,
}

impl Reader {
    /// Begins to read. What cannot be read at all is refused here.
    pub async fn open(
        api: Api,
        task: TaskId,
        reading: &Reading,
        is_across: bool,
    ) -> Result<Self, Failure> {
        let view = api.task(task).await?;
        let attempt = match reading.attempt {
            Some(number) => Some(find(&view, number).ok_or_else(|| no_attempt(&view, number))?),
            None => view.attempts.last(),
        };
        let (stream, is_following) = (reading.stream, reading.follow);
        let mut reader =
            Self { api, task, stream, is_following, is_across, ready: Vec::new(), at: At::Over };
        let Some(attempt) = attempt else {
            if is_following && !view.state.is_ended() {
                reader.at = At::Before { attempt: 1, dropped: 0 };
                return Ok(reader);
            }
            let text = format!("task {task} has not run, and printed nothing");
            return Err(Failure::new(StatusCode::NOT_FOUND, "no_log", text)
                .hint("with `follow=true` the answer waits for it"));
        };
        let (number, node) = (attempt.record.number, attempt.record.node);
        reader.at = At::In { attempt: number, node, from: reading.from.unwrap_or(0) };
        match reading.tail {
            Some(lines) => reader.skip_to_tail(lines).await?,
            None => reader.read(false).await?,
        }
        Ok(reader)
    }

    /// What comes next; `None` after the end.
    pub async fn next(&mut self) -> Option<Result<Found, Failure>> {
        loop {
            if !self.ready.is_empty() {
                return Some(Ok(self.ready.remove(0)));
            }
            let gone_on = match self.at {
                At::In { .. } => self.read(self.is_following).await,
                At::Before { attempt, dropped } => self.await_attempt(attempt, dropped).await,
                At::Over => return None,
            };
            if let Err(failure) = gone_on {
                self.at = At::Over;
                return Some(Err(failure));
            }
        }
    }

    /// Reads the next part of an attempt's log.
    async fn read(&mut self, wait: bool) -> Result<(), Failure> {
        let At::In { attempt, node, from } = self.at else { return Ok(()) };
        match self.part(attempt, node, from, wait).await {
            Ok(part) => self.take(attempt, node, from, part).await,
            Err(AskError::Timeout) if wait => Ok(()),
            Err(why) => self.unreachable(attempt, node, why).await,
        }
    }

    async fn part(
        &self,
        attempt: u32,
        node: NodeId,
        from: u64,
        wait: bool,
    ) -> Result<LogPart, AskError> {
        let attempt = self.task.attempt(attempt);
        let max = MAX_LOG_PART as u32;
        let read = ReadLog { ticket: 0, attempt, from, max, wait };
        if !wait {
            return self.api.read_log(node, read, ANSWER).await;
        }
        let waited = tokio::select! {
            waited = self.api.read_log(node, read, PATIENCE) => waited,
            () = self.api.stopping() => return Err(AskError::Timeout),
        };
        match waited {
            // Nothing was printed, or the runner is silent.
            Err(AskError::Timeout) => {
                self.api.read_log(node, ReadLog { wait: false, ..read }, ANSWER).await
            }
            waited => waited,
        }
    }

    async fn take(
        &mut self,
        attempt: u32,
        node: NodeId,
        from: u64,
        part: LogPart,
    ) -> Result<(), Failure> {
        if self.api.is_stopping() {
            return Err(is_stopping());
        }
        if !part.is_known {
            return self.unknown(attempt, node).await;
        }
        let LogPart { pieces, next, is_end, dropped, .. } = part;
        let is_all = is_end || next == from && pieces.is_empty() && !self.is_following;
        let pieces: Vec<Piece> = pieces.into_iter().filter(|piece| self.wants(piece)).collect();
        self.at = At::In { attempt, node, from: next };
        if !pieces.is_empty() {
            self.ready.push(Found::Pieces { attempt, pieces, next });
        }
        if is_all {
            self.end_attempt(attempt, dropped).await?;
        }
        Ok(())
    }

    fn wants(&self, piece: &Piece) -> bool {
        self.stream.is_none_or(|stream| stream == piece.stream)
    }

    /// The log of an attempt is read.
    async fn end_attempt(&mut self, attempt: u32, dropped: u64) -> Result<(), Failure> {
        if self.is_following && self.is_across {
            self.at = At::Before { attempt: attempt + 1, dropped };
            return Ok(());
        }
        let state = self.api.task(self.task).await?.state;
        self.ready.push(Found::End { attempt: Some(attempt), state, dropped });
        self.at = At::Over;
        Ok(())
    }

    /// The runner has no such log: not yet, or no more.
    async fn unknown(&mut self, attempt: u32, node: NodeId) -> Result<(), Failure> {
        let view = self.api.task(self.task).await?;
        let record = find(&view, attempt).map(|it| &it.record);
        // Of what prints nothing there is no log, and that is no fault.
        if record.is_some_and(|it| it.finish.as_ref().is_some_and(|finish| finish.printed == 0)) {
            return self.end_attempt(attempt, 0).await;
        }
        if record.is_none_or(|it| it.end.is_some()) {
            let (attempt_id, node) = (self.task.attempt(attempt), self.api.name(node));
            let text = format!("node {node} has no log of attempt {attempt_id}");
            let why = Failure::new(StatusCode::NOT_FOUND, "no_log", text)
                .hint("it never started, or its log was removed");
            return self.miss(attempt, why);
        }
        if self.is_following {
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        }
        self.end_attempt(attempt, 0).await
    }

    /// The runner is silent: worth waiting for as long as the attempt may run.
    async fn unreachable(
        &mut self,
        attempt: u32,
        node: NodeId,
        why: AskError,
    ) -> Result<(), Failure> {
        let failure = self.api.silent(node, "runner", why);
        let view = self.api.task(self.task).await?;
        let has_ended = find(&view, attempt).is_none_or(|it| it.record.end.is_some());
        if has_ended || !self.is_following {
            return self.miss(attempt, failure);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Goes on without the rest of an attempt's log, where something may follow it.
    fn miss(&mut self, attempt: u32, why: Failure) -> Result<(), Failure> {
        if !(self.is_following && self.is_across) {
            return Err(why);
        }
        self.ready.push(Found::Missing { attempt, why });
        self.at = At::Before { attempt: attempt + 1, dropped: 0 };
        Ok(())
    }

    /// Waits for an attempt, or for the end of the task.
    async fn await_attempt(&mut self, least: u32, dropped: u64) -> Result<(), Failure> {
        let version = self.api.job(self.task.job).await?.version;
        let view = self.api.task(self.task).await?;
        let next = view.attempts.iter().find(|attempt| attempt.record.number >= least);
        if let Some(AttemptView { record, .. }) = next {
            self.at = At::In { attempt: record.number, node: record.node, from: 0 };
            return Ok(());
        }
        if view.state.is_ended() {
            let attempt = view.attempts.last().map(|attempt| attempt.record.number);
            self.ready.push(Found::End { attempt, state: view.state, dropped });
            self.at = At::Over;
            return Ok(());
        }
        self.api.watch(Some(self.task.job), version, Duration::MAX).await?;
        // Of a job with many tasks, most changes are not this one's.
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Reads all that is there, and keeps the last lines of it.
    async fn skip_to_tail(&mut self, lines: u32) -> Result<(), Failure> {
        let mut tail = Tail::new(lines as usize);
        loop {
            let At::In { attempt, node, from } = self.at else { return Ok(()) };
            let part = self.part(attempt, node, from, false).await;
            let part = part.map_err(|why| self.api.silent(node, "runner", why))?;
            let is_last = !part.is_known || part.is_end || part.pieces.is_empty();
            if !is_last {
                let wanted = part.pieces.into_iter().filter(|piece| self.wants(piece));
                wanted.for_each(|piece| tail.push(piece));
                self.at = At::In { attempt, node, from: part.next };
                continue;
            }
            let wanted = part.pieces.iter().filter(|piece| self.wants(piece)).cloned();
            wanted.for_each(|piece| tail.push(piece));
            let next = part.next;
            self.take(attempt, node, from, LogPart { pieces: Vec::new(), ..part }).await?;
            let pieces = tail.into_pieces();
            if !pieces.is_empty() {
                self.ready.insert(0, Found::Pieces { attempt, pieces, next });
            }
            return Ok(());
        }
    }
}

fn find(view: &TaskView, number: u32) -> Option<&AttemptView> {
    view.attempts.iter().find(|attempt| attempt.record.number == number)
}

fn no_attempt(view: &TaskView, number: u32) -> Failure {
    let task = view.job.task(view.index);
    let text = format!("task {task} has no attempt {number}, or it is not remembered any more");
    let failure = Failure::new(StatusCode::NOT_FOUND, "no_such_attempt", text);
    match (view.attempts.first(), view.attempts.last()) {
        (Some(first), Some(last)) => {
            let (first, last) = (first.record.number, last.record.number);
            failure.hint(format!("it has {first} to {last}"))
        }
        _ => failure.hint("it has not run yet"),
    }
}
