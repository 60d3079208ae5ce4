//! Pieces of a log as bytes, and as events.

use std::time::{Duration, UNIX_EPOCH};

use axum::response::sse::Event;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::reader::Found;
use crate::api::Failure;
use crate::processor::{Piece, Stream};

/// The times in front of lines.
#[derive(Debug, Default)]
pub struct Stamps {
    /// Whether standard output, and standard error, are inside a line.
    inside: [bool; 2],
}

impl Stamps {
    fn stamp(&mut self, piece: &Piece, to: &mut BytesMut) {
        let at = UNIX_EPOCH + Duration::from_millis(piece.at);
        let at = humantime::format_rfc3339_millis(at).to_string();
        let inside = &mut self.inside[usize::from(piece.stream == Stream::Stderr)];
        for line in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
            if !*inside {
                to.extend_from_slice(at.as_bytes());
                to.extend_from_slice(b" ");
            }
            to.extend_from_slice(line);
            *inside = !line.ends_with(b"\n");
        }
    }
}

/// The pieces as they were printed, with times if they are wanted.
pub fn bytes(mut pieces: Vec<Piece>, stamps: Option<&mut Stamps>) -> Bytes {
    if let (None, [piece]) = (&stamps, pieces.as_mut_slice()) {
        return std::mem::take(&mut piece.bytes);
    }
    let mut all = BytesMut::new();
    match stamps {
        Some(stamps) => pieces.iter().for_each(|piece| stamps.stamp(piece, &mut all)),
        None => pieces.iter().for_each(|piece| all.extend_from_slice(&piece.bytes)),
    }
    all.freeze()
}

/// What was found as events.
pub fn event(found: Found) -> Vec<Event> {
    match found {
        Found::Pieces { attempt, pieces, next } => {
            let mut events: Vec<Event> =
                pieces.iter().map(|piece| named("piece", &piece_json(attempt, piece))).collect();
            // Who comes back has had all of them, or none.
            if let Some(last) = events.pop() {
                events.push(last.id(format!("{attempt}.{next}")));
            }
            events
        }
        Found::Missing { attempt, why } => {
            vec![named("missing", &json!({ "attempt": attempt, "why": why }))]
        }
        Found::End { attempt, state, dropped } => {
            let end = json!({ "attempt": attempt, "state": state, "dropped": dropped });
            vec![named("end", &end)]
        }
    }
}

/// The stream breaks off.
pub fn failure(why: &Failure) -> Event {
    named("failure", &json!(why))
}

fn named(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

fn piece_json(attempt: u32, piece: &Piece) -> Value {
    let mut json = json!({ "attempt": attempt, "stream": piece.stream, "at": piece.at });
    match str::from_utf8(&piece.bytes) {
        Ok(text) => json["text"] = text.into(),
        Err(_) => json["base64"] = BASE64_STANDARD.encode(&piece.bytes).into(),
    }
    json
}
