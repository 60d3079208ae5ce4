//! The last lines of a log.

use std::collections::VecDeque;

use crate::processor::Piece;

/// The most bytes that are kept while the end of a log is looked for: lines that are longer are cut
/// at their front. Hundred times what a screen shows; a guess.
const MAX_BYTES: usize = 4 << 20;

/// The last lines of what is pushed.
#[derive(Debug)]
pub struct Tail {
    lines: usize,
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// Ends of lines in `pieces`.
    ends: usize,
}

impl Tail {
    pub fn new(lines: usize) -> Self {
        Self { lines, pieces: VecDeque::new(), bytes: 0, ends: 0 }
    }

    /// Pieces come in their order.
    pub fn push(&mut self, piece: Piece) {
        if piece.bytes.is_empty() {
            return;
        }
        self.bytes += piece.bytes.len();
        self.ends += ends(&piece);
        self.pieces.push_back(piece);
        // A line more than wanted: the last one may have no end yet.
        while let Some(first) = self.pieces.front() {
            let is_spare = self.ends - ends(first) > self.lines || self.bytes > MAX_BYTES;
            if !is_spare {
                break;
            }
            self.bytes -= first.bytes.len();
            self.ends -= ends(first);
            self.pieces.pop_front();
        }
    }

    /// The last lines; one without an end counts, too.
    pub fn into_pieces(self) -> Vec<Piece> {
        let is_ended = self.pieces.back().is_none_or(|last| last.bytes.ends_with(b"\n"));
        let wanted = self.lines - usize::from(!is_ended && self.lines > 0);
        let mut spare = if self.lines == 0 { usize::MAX } else { self.ends.saturating_sub(wanted) };
        let mut kept = Vec::new();
        for mut piece in self.pieces {
            while spare > 0 {
                let Some(at) = piece.bytes.iter().position(|byte| *byte == b'\n') else { break };
                piece.bytes = piece.bytes.slice(at + 1..);
                spare -= 1;
            }
            if spare == 0 && !piece.bytes.is_empty() {
                kept.push(piece);
            }
        }
        kept
    }
}

fn ends(piece: &Piece) -> usize {
    piece.bytes.split(|byte| *byte == b'\n').count() - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::processor::Stream;

    fn tail(text: &str, at: &[usize], lines: usize) -> String {
        let mut tail = Tail::new(lines);
        let mut rest = text;
        for at in at {
            let (piece, later) = rest.split_at((*at).min(rest.len()));
            let bytes = bytes::Bytes::copy_from_slice(piece.as_bytes());
            tail.push(Piece { stream: Stream::Stdout, at: 0, bytes });
            rest = later;
        }
        let bytes = bytes::Bytes::copy_from_slice(rest.as_bytes());
        tail.push(Piece { stream: Stream::Stdout, at: 0, bytes });
        let pieces = tail.into_pieces();
        pieces.iter().map(|piece| String::from_utf8_lossy(&piece.bytes).into_owned()).collect()
    }

    proptest! {
        #[test]
        fn the_last_lines_are_the_last_lines_however_they_came(
            text in "[ab\n]{0,40}",
            at in proptest::collection::vec(0_usize..6, 0..8),
            lines in 0_usize..6,
        ) {
            let all: Vec<&str> = text.split_inclusive('\n').collect();
            let wanted = all[all.len().saturating_sub(lines)..].concat();
            prop_assert_eq!(tail(&text, &at, lines), wanted);
        }
    }
}
