//! Tells the [`Story`] what happens, if one is kept. Each of these is called where it happens.

use std::fmt::Write;

use bytes::Bytes;
use dx_agents::event::Event;
use dx_agents::id::ReplyTo;
use dx_agents::journal::Entry;
use dx_agents::message::{Body, Encoded};
use dx_agents::{AgentId, AskError, NodeId, TimerKey};

use super::deliver::Post;
use super::{CLIENTS, Seat, Sim};
use crate::mailbox::Letter;
use crate::network::Frame;
use crate::resident::Resident;
use crate::story::{Harm, MAX_TEXT, Sent, Story};

/// Bytes of an entry that are shown if they are no text.
const MAX_BYTES: usize = 16;

impl Sim {
    /// From now on a [`Story`] is kept: what happens, with content. It changes nothing in the run.
    pub fn keep_story(&mut self) {
        let directory = std::sync::Arc::clone(&self.directory);
        let story = self.trace.keep_story();
        for spec in directory.agents() {
            story.is_of_kind(spec.id, &spec.kind);
        }
    }

    /// What happened since [`keep_story`](Self::keep_story).
    #[must_use]
    pub fn story(&self) -> Option<&Story> {
        self.trace.story()
    }

    /// A message sets out.
    #[inline]
    pub(crate) fn tell_sent(&mut self, post: &Post, hash: u64) {
        if self.trace.story().is_some() {
            let Post { from, to, ref body, .. } = *post;
            let sent = self.letter(from, to, body);
            self.told(|story, _| story.sends(sent, hash));
        }
    }

    /// An answer sets out.
    #[inline]
    pub(crate) fn tell_answered(
        &mut self,
        from: AgentId,
        to: ReplyTo,
        answer: &Result<Body, AskError>,
    ) {
        if self.trace.story().is_some() {
            let ReplyTo { agent, ask } = to;
            let sent = match answer {
                Ok(body) => self.letter(from, agent, body),
                Err(why) => {
                    let (name, text) = (String::new(), format!("no answer: {why}"));
                    let at = self.now;
                    let (after, is_read, is_over) = (None, true, false);
                    Sent { at, from, to: agent, name, text, is_read, after, is_over }
                }
            };
            self.told(|story, _| story.answers(sent, ask));
        }
    }

    /// What is on its way, as it is told.
    fn letter(&self, from: AgentId, to: AgentId, body: &Body) -> Sent {
        let (name, text) = match body {
            Body::Typed(message) => {
                let text = with_body(message.text(MAX_TEXT), &message.any_body());
                (message.name().to_owned(), Some(text))
            }
            Body::Wire(wire) => {
                // Its type is gone. Who sent it mostly knows it too, should the receiver be down.
                let text =
                    [to, from].into_iter().find_map(|agent| match self.places.get(&agent)?.seat {
                        Seat::Agent(slot) => text_of(self.resident(slot)?, &wire.encoded),
                        Seat::Port(_) => None,
                    });
                (String::new(), text)
            }
        };
        let is_read = text.is_some();
        let text = text.unwrap_or_else(|| format!("a message of {} bytes", body.weight()));
        Sent { at: self.now, from, to, name, text, is_read, after: None, is_over: false }
    }

    /// A message reaches a client.
    #[inline]
    pub(crate) fn tell_heard(&mut self, by: AgentId, from: AgentId, hash: u64) {
        self.told(|story, now| story.hears(now, (from, by, hash), || None));
    }

    /// An agent handles a message, which it can read.
    #[inline]
    pub(crate) fn tell_read(&mut self, slot: u32, letter: &Letter) {
        let Some(story) = self.trace.story_mut() else { return };
        let Some(resident) = self.agents[slot as usize].as_deref() else { return };
        let read = || match &letter.envelope.body {
            Body::Wire(wire) => text_of(resident, &wire.encoded),
            Body::Typed(_) => None,
        };
        let (from, by) = (letter.envelope.from, resident.cell.id());
        story.hears(self.now, (from, by, letter.hash), read);
    }

    /// Another event is handled.
    #[inline]
    pub(crate) fn tell_step(&mut self, by: AgentId, event: &Event) {
        self.told(|story, now| match event {
            Event::Reply(ask, _) if story.is_answered(now, by, *ask) => {}
            // The agent does nothing. What had to wait for it says itself when it was sent, and a
            // crash says how much it came before.
            Event::Durable { .. } => {}
            event => story.steps(now, by, words(event)),
        });
    }

    /// An agent does something that is no event of its own.
    #[inline]
    pub(crate) fn tell_deed(&mut self, by: AgentId, text: &str) {
        self.told(|story, now| story.steps(now, by, text));
    }

    /// A message will not be handled.
    #[inline]
    pub(crate) fn tell_lost(&mut self, from: AgentId, to: AgentId, hash: u64, why: &str) {
        self.told(|story, now| story.loses(now, from, to, hash, why.to_owned()));
    }

    /// What was on its way will not come.
    #[inline]
    pub(crate) fn tell_frame_lost(&mut self, frame: &Frame) {
        self.told(|story, now| match frame {
            Frame::Letter(letter) => {
                let why = "lost with the session".to_owned();
                story.loses(now, letter.from, letter.to, letter.hash, why);
            }
            Frame::Datagram(letter) => {
                story.loses(now, letter.from, letter.to, letter.hash, "lost".to_owned());
            }
            Frame::Answer { to, .. } => {
                let why = "lost with the session".to_owned();
                story.loses_answer(now, to.agent, to.ask, why);
            }
            _ => {}
        });
    }

    /// An agent is gone with its node, and what waited for it.
    pub(crate) fn tell_emptied(&mut self, resident: &mut Resident) {
        if self.trace.story().is_some() {
            let to = resident.cell.id();
            for letter in resident.mailbox.discard().0 {
                self.tell_lost(letter.envelope.from, to, letter.hash, "lost with the node");
            }
        }
    }

    /// An agent hands an entry to the journal.
    #[inline]
    pub(crate) fn tell_persisted(&mut self, by: AgentId, entry: &Entry<Bytes>) {
        self.told(|story, _| match entry {
            Entry::Record(record) => story.writes(by, shown(record)),
            Entry::Snapshot(state) => story.writes(by, format!("a snapshot, {}", shown(state))),
            Entry::Forget => {}
        });
    }

    /// Something is done to nodes.
    #[inline]
    pub(crate) fn tell_fault(&mut self, nodes: &[NodeId], text: impl FnOnce() -> String) {
        self.told(|story, now| story.harms(now, nodes, Harm::Fault, text()));
    }

    /// Something is done to nodes that is good for them.
    #[inline]
    pub(crate) fn tell_mended(&mut self, nodes: &[NodeId], text: impl FnOnce() -> String) {
        self.told(|story, now| story.harms(now, nodes, Harm::Mended, text()));
    }

    /// The nodes at these places.
    #[inline]
    pub(crate) fn at<const N: usize>(&self, places: [u32; N]) -> [NodeId; N] {
        places.map(|place| self.nodes[place as usize].id)
    }

    /// A node goes down: `point` says where in its work, `unsynced` how many entries were not safe.
    pub(crate) fn tell_crash(&mut self, node: NodeId, point: &str, unsynced: usize) {
        let lost = match unsynced {
            0 => String::new(),
            1 => ": an entry was not synced yet".to_owned(),
            count => format!(": {count} entries were not synced yet"),
        };
        let text = || format!("{node} crashes{point}{lost}");
        self.told(|story, now| story.harms(now, &[node], Harm::Crash, text()));
    }

    #[inline]
    pub(crate) fn told(&mut self, tell: impl FnOnce(&mut Story, u64)) {
        if let Some(story) = self.trace.story_mut() {
            tell(story, self.now);
        }
    }
}

/// A message as text, if it is one that the agent takes.
fn text_of(resident: &Resident, encoded: &Encoded) -> Option<String> {
    Some(with_body(resident.cell.text_of(encoded, MAX_TEXT)?, &encoded.body))
}

fn with_body(text: String, body: &[u8]) -> String {
    if body.is_empty() { text } else { format!("{text} with {}", shown(body)) }
}

/// A node as it is called in what is told: those of clients have large numbers, which say nothing.
pub(crate) fn called(node: NodeId) -> String {
    match node.0.checked_sub(CLIENTS) {
        Some(client) => format!("port {}", client + 1),
        None => node.to_string(),
    }
}

fn words(event: &Event) -> String {
    match event {
        Event::Start(recovered) => match (recovered.snapshot.is_some(), recovered.records.len()) {
            (false, 0) => "starts".to_owned(),
            (false, 1) => "starts, with 1 record".to_owned(),
            (false, records) => format!("starts, with {records} records"),
            (true, 0) => "starts, with a snapshot".to_owned(),
            (true, records) => format!("starts, with a snapshot and {records} records"),
        },
        Event::Message(_) => "a message".to_owned(),
        Event::Timer { key: TimerKey(key), .. } => format!("timer {key}"),
        Event::Deadline(ask) => format!("question {}: no answer in time", ask.0),
        Event::Done(job, _) => format!("work {} is done", job.0),
        Event::Reply(ask, Ok(_)) => format!("question {} is answered", ask.0),
        Event::Reply(ask, Err(why)) => format!("question {}: {why}", ask.0),
        Event::Down(who, why) => format!("hears that {who} is down: {why}"),
        Event::Refused(refusal) => {
            format!("a message to {} comes back: {}", refusal.to, refusal.why)
        }
        Event::Writable(to) => format!("hears that {to} has room"),
        Event::Durable { entries } => format!("entries on the disk: {entries}"),
        Event::SnapshotWanted => "is asked for a snapshot".to_owned(),
        Event::Stopping { .. } => "hears that the node stops".to_owned(),
    }
}

/// Bytes as text: as they are, if it is text; else its first bytes.
fn shown(entry: &[u8]) -> String {
    match std::str::from_utf8(entry) {
        Ok(text) if !text.chars().any(char::is_control) => {
            let (cut, more) = (text.chars().take(MAX_TEXT).collect::<String>(), text.len());
            if cut.len() < more { format!("{cut}...") } else { cut }
        }
        _ => {
            let mut hex = String::new();
            for byte in entry.iter().take(MAX_BYTES) {
                let _ = write!(hex, "{byte:02x}");
            }
            let more = if entry.len() > MAX_BYTES { "..." } else { "" };
            format!("0x{hex}{more} ({} bytes)", entry.len())
        }
    }
}
