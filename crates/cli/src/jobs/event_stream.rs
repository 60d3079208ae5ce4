//! Server-sent events, as a browser reads them: bytes in, events out.

/// The longest event, in bytes: a piece of a log is far below a quarter of it, as text or base64.
const MAX_EVENT: usize = 4 << 20;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Where to go on after it, if it says so.
    pub id: Option<String>,
    /// What it is; empty for a plain message.
    pub name: String,
    /// What it says.
    pub data: String,
}

/// An event, or what could be one, is longer than is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {MAX_EVENT} bytes")]
pub struct TooLong;

/// Takes events out of bytes as they come, however they are cut.
#[derive(Debug, Default)]
pub struct EventStream {
    /// What has come of a line that has not ended.
    line: Vec<u8>,
    /// What has come of an event that has not ended.
    event: Event,
    has_data: bool,
}

impl EventStream {
    /// The events that end with `bytes`.
    ///
    /// # Errors
    /// If one is too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.line.len() + self.event.data.len() + part.len() > MAX_EVENT {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                events.extend(self.line(line.trim_end_matches(['\n', '\r'])));
            }
        }
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            // A comment, which says that somebody is there, or something of a later version.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ": still here\n\nid: 7\nevent: piece\ndata: {\"a\":1}\n\n\
        data:one\ndata: two\nretry: 5\r\n\r\nevent: nothing\n\nevent: end\ndata\n\n";

    fn event(id: Option<&str>, name: &str, data: &str) -> Event {
        Event { id: id.map(str::to_owned), name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_the_same_however_their_bytes_are_cut() {
        let all = [
            event(Some("7"), "piece", "{\"a\":1}"),
            event(None, "", "one\ntwo"),
            event(None, "end", ""),
        ];
        for size in 1..=TEXT.len() {
            let mut stream = EventStream::default();
            let parts = TEXT.as_bytes().chunks(size);
            let events: Vec<_> = parts.flat_map(|part| stream.push(part).unwrap()).collect();
            assert_eq!(events, all, "cut after each {size} bytes");
        }
    }

    #[test]
    fn an_event_without_end_is_not_kept_without_bound() {
        let mut stream = EventStream::default();
        assert_eq!(stream.push(&vec![b'x'; MAX_EVENT]), Ok(vec![]));
        assert_eq!(stream.push(b"x"), Err(TooLong));
        let mut stream = EventStream::default();
        let line = [&b"data:"[..], &vec![b'x'; MAX_EVENT / 2], b"\n"].concat();
        assert_eq!(stream.push(&line), Ok(vec![]));
        assert_eq!(stream.push(&line), Err(TooLong));
    }
}
