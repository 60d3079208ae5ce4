//! Rows in few bytes: what is as in a row before is named by a byte, times are differences, and
//! numbers have as many bytes as they need. Snapshots have them so, too: another encoding is another
//! version of these.

use dx_transport::codec;
use serde::{Deserialize, Serialize};

use super::Row;
use crate::core::event::Doom;
use crate::core::packed::Packed;
use crate::end::TaskState;

/// What most rows of a job have in common.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Common {
    number: u32,
    node: u32,
    shim: u64,
    code: i32,
    command: u16,
    end: u8,
    bits: u8,
    state: TaskState,
    doom: Option<Doom>,
    doom_now: bool,
    hold: bool,
    counted: u16,
    faults: u16,
}

/// Bytes of a [`Common`] at most.
const MAX_COMMON: usize = 128;

/// What is named by a byte: the last so many that were not the same.
#[derive(Default)]
struct Known {
    list: Vec<Common>,
    next: usize,
}

const MAX_KNOWN: usize = 64;

impl Known {
    fn place_of(&self, common: &Common) -> Option<u8> {
        self.list.iter().position(|it| it == common).map(|at| at as u8)
    }

    fn learn(&mut self, common: Common) {
        if self.list.len() < MAX_KNOWN {
            self.list.push(common);
        } else {
            self.list[self.next] = common;
            self.next = (self.next + 1) % MAX_KNOWN;
        }
    }
}

/// Rows with their ranks, ascending, as bytes.
pub fn encode(rows: impl Iterator<Item = (u32, Row)>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut rank_before, mut time_before) = (0, 0);
    let mut known = Known::default();
    for (rank, row) in rows {
        let it = &row.last;
        number(&mut out, u64::from(rank - rank_before));
        let common = common(&row);
        if let Some(place) = known.place_of(&common) {
            out.push(place);
        } else {
            let bytes = codec::encode(&common, MAX_COMMON).expect("it is that short");
            out.push((MAX_KNOWN + bytes.len()) as u8);
            out.extend_from_slice(&bytes);
            known.learn(common);
        }
        signed(&mut out, it.assigned.wrapping_sub(time_before).cast_signed());
        for time in [it.started, it.ended] {
            signed(&mut out, time.wrapping_sub(it.assigned).cast_signed());
        }
        // Memory comes in pages: their low bits are zeros.
        for amount in [it.ran, it.cpu, it.max_rss.rotate_right(10), it.printed] {
            number(&mut out, amount);
        }
        number(&mut out, it.printed.wrapping_sub(it.kept));
        (rank_before, time_before) = (rank, it.assigned);
    }
    out
}

/// Rows with their ranks again.
pub fn decode(bytes: &[u8]) -> Result<Vec<(u32, Row)>, String> {
    let mut rest = bytes;
    let mut rows = Vec::new();
    let (mut rank, mut time) = (0_u32, 0_u64);
    let mut known = Known::default();
    while !rest.is_empty() {
        let gap = u32::try_from(take(&mut rest)?).map_err(|error| error.to_string())?;
        rank = rank.checked_add(gap).ok_or("a rank is too high")?;
        let common = take_common(&mut rest, &mut known)?;
        time = time.wrapping_add(take_signed(&mut rest)?.cast_unsigned());
        let mut row = row(&common);
        row.last.assigned = time;
        row.last.started = time.wrapping_add(take_signed(&mut rest)?.cast_unsigned());
        row.last.ended = time.wrapping_add(take_signed(&mut rest)?.cast_unsigned());
        row.last.ran = take(&mut rest)?;
        row.last.cpu = take(&mut rest)?;
        row.last.max_rss = take(&mut rest)?.rotate_left(10);
        row.last.printed = take(&mut rest)?;
        row.last.kept = row.last.printed.wrapping_sub(take(&mut rest)?);
        rows.push((rank, row));
    }
    Ok(rows)
}

fn common(row: &Row) -> Common {
    let Row { last, state, doom, doom_now, hold, counted, faults } = *row;
    let Packed { number, node, shim, code, command, end, bits, .. } = last;
    Common {
        number,
        node,
        shim,
        code,
        command,
        end,
        bits,
        state,
        doom,
        doom_now,
        hold,
        counted,
        faults,
    }
}

fn row(it: &Common) -> Row {
    let Common { number, node, shim, code, command, end, bits, .. } = *it;
    let last = Packed { number, node, shim, code, command, end, bits, ..Packed::default() };
    let Common { state, doom, doom_now, hold, counted, faults, .. } = *it;
    Row { last, state, doom, doom_now, hold, counted, faults }
}

fn take_common(rest: &mut &[u8], known: &mut Known) -> Result<Common, String> {
    let (&first, after) = rest.split_first().ok_or("it ends within a row")?;
    let Some(len) = usize::from(first).checked_sub(MAX_KNOWN) else {
        *rest = after;
        let common = known.list.get(usize::from(first)).copied();
        return common.ok_or_else(|| format!("there is no {first}th kind of row yet"));
    };
    let (bytes, after) = after.split_at_checked(len).ok_or("it ends within a row")?;
    *rest = after;
    let common = codec::decode(bytes).map_err(|error| error.to_string())?;
    known.learn(common);
    Ok(common)
}

/// Seven bits in a byte, the low ones first.
fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or("it ends within a number")?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number has too many bytes".to_owned())
}

/// Small numbers of either sign are short.
fn signed(out: &mut Vec<u8>, value: i64) {
    number(out, (value << 1 ^ value >> 63).cast_unsigned());
}

fn take_signed(rest: &mut &[u8]) -> Result<i64, String> {
    let value = take(rest)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use dx_agents::NodeId;

    use super::*;

    fn rows(count: u32) -> Vec<(u32, Row)> {
        let row = |rank: u32| {
            let at = 1_700_000_000_000 + u64::from(rank) / 7;
            let mut row = Row::new(Packed::new(1, NodeId(rank % 3), 1_690_000_000_000, at));
            (row.last.started, row.last.ended) = (at + 3, at + 20);
            (row.last.ran, row.last.cpu) = (17_123_456 + u64::from(rank), 1_234_567);
            (row.last.max_rss, row.last.printed) = (3 << 20, u64::from(rank % 500));
            row.last.kept = row.last.printed;
            (rank, row)
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn rows_are_the_same_after_their_encoding() {
        let mut all = rows(200);
        all[3].1.last.kept = u64::MAX;
        all[5].1.last.started = 0;
        all[7].1.last.ended = u64::MAX;
        all[9].1.doom = Some(Doom::Deadline);
        for (rank, row) in &mut all[20..120] {
            row.last.code = (*rank % 70).cast_signed();
        }
        all.remove(150);
        let bytes = encode(all.iter().copied());
        assert_eq!(decode(&bytes).unwrap(), all);
        let cut = |len: usize| decode(&bytes[..len]);
        assert!(
            (0..bytes.len())
                .all(|len| cut(len).is_ok_and(|rows| rows.len() < all.len()) || cut(len).is_err())
        );
    }

    #[test]
    fn a_row_takes_some_twenty_bytes() {
        let all = rows(10_000);
        let bytes = encode(all.into_iter()).len();
        assert!(bytes < 300_000, "{bytes}");
    }
}
