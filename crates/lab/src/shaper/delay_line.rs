//! Which packets are lost and when the others leave: no I/O, no clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::detour::HEADER_BYTES;
use super::{Shape, Traffic};
use crate::cables::Direction;

/// The bytes under way in one direction: 2 Gbit/s times 64 ms.
const LINE_BYTES: usize = 16 << 20;
/// Makes the jitter of a seed independent of its losses, so that adding jitter
/// does not choose other victims; any odd number would do.
const JITTER_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// The lines of all directions, and the packets under way in them.
#[derive(Debug, Default)]
pub(crate) struct DelayLines {
    lines: BTreeMap<Direction, DelayLine>,
    under_way: BinaryHeap<Reverse<Held>>,
    seen: u64,
}

#[derive(Debug)]
struct DelayLine {
    shape: Shape,
    losses: Rng,
    jitter: Rng,
    /// When the last packet leaves; none may leave before it.
    last_due: Option<Instant>,
    bytes: usize,
    traffic: Traffic,
}

/// A packet under way, ordered by when it leaves, then by when it came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: Instant,
    serial: u64,
    direction: Direction,
    frame: Vec<u8>,
}

impl DelayLines {
    /// Shapes a direction anew. What is under way stays so; traffic counts on.
    pub(crate) fn set(&mut self, direction: Direction, shape: Shape) {
        let line = self.lines.entry(direction).or_insert_with(|| DelayLine::new(direction, shape));
        *line = DelayLine {
            last_due: line.last_due,
            bytes: line.bytes,
            traffic: line.traffic,
            ..DelayLine::new(direction, shape)
        };
    }

    pub(crate) fn traffic(&self, direction: Direction) -> Traffic {
        self.lines.get(&direction).map(|line| line.traffic).unwrap_or_default()
    }

    /// How many frames came in, whatever became of them.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes a frame in, or loses it. A frame of no shaped direction is
    /// dropped: the router sends none.
    pub(crate) fn admit(&mut self, now: Instant, frame: &[u8]) {
        self.seen += 1;
        let Some(direction) = frame.get(HEADER_BYTES..).and_then(direction) else { return };
        let Some(line) = self.lines.get_mut(&direction) else { return };
        let Some(due) = line.admit(now, frame.len()) else { return };
        let held = Held { due, serial: self.seen, direction, frame: frame.to_vec() };
        self.under_way.push(Reverse(held));
    }

    /// When [`DelayLines::release`] has something to give.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(held)| held.due)
    }

    /// The next frame that has to leave by now; its fate is to be
    /// [counted](Self::count).
    pub(crate) fn release(&mut self, now: Instant) -> Option<(Direction, Vec<u8>)> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse(held) = self.under_way.pop()?;
        if let Some(line) = self.lines.get_mut(&held.direction) {
            line.bytes -= held.frame.len();
        }
        Some((held.direction, held.frame))
    }

    /// Counts a frame that was released as delivered or, failing that, as dropped.
    pub(crate) fn count(&mut self, direction: Direction, delivered: bool) {
        if let Some(DelayLine { traffic, .. }) = self.lines.get_mut(&direction) {
            let counter = if delivered { &mut traffic.delivered } else { &mut traffic.overflowed };
            *counter += 1;
        }
    }
}

impl DelayLine {
    fn new(direction: Direction, shape: Shape) -> Self {
        let way = (u64::from(direction.from) << 16) | u64::from(direction.to);
        let seed = shape.seed ^ (way << 32);
        Self {
            shape,
            losses: Rng::with_seed(seed),
            jitter: Rng::with_seed(seed ^ JITTER_SEED),
            last_due: None,
            bytes: 0,
            traffic: Traffic::default(),
        }
    }

    /// When the packet leaves; `None` if it does not.
    fn admit(&mut self, now: Instant, length: usize) -> Option<Instant> {
        if self.losses.f64() < self.shape.loss {
            self.traffic.lost += 1;
            return None;
        }
        if self.bytes + length > LINE_BYTES {
            self.traffic.overflowed += 1;
            return None;
        }
        let due = (now + self.delay()).max(self.last_due.unwrap_or(now));
        self.last_due = Some(due);
        self.bytes += length;
        Some(due)
    }

    fn delay(&mut self) -> Duration {
        let stretch = self.shape.jitter.mul_f64(2.0 * self.jitter.f64());
        (self.shape.delay + stretch).saturating_sub(self.shape.jitter)
    }
}

/// The hosts of an IP packet, by the last two bytes of its addresses.
fn direction(packet: &[u8]) -> Option<Direction> {
    let (from, to) = match packet.first()? >> 4 {
        4 => (14..16, 18..20),
        6 => (22..24, 38..40),
        _ => return None,
    };
    Some(Direction { from: index(packet.get(from)?), to: index(packet.get(to)?) })
}

fn index(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |index, byte| (index << 8) | u16::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: Direction = Direction { from: 2, to: 3 };

    /// A frame between two hosts, told apart by its last byte.
    fn frame(way: Direction, tag: u8) -> Vec<u8> {
        let mut packet = vec![0; 21];
        packet[0] = 0x45;
        packet[14..16].copy_from_slice(&way.from.to_be_bytes());
        packet[18..20].copy_from_slice(&way.to.to_be_bytes());
        packet[20] = tag;
        [vec![0; HEADER_BYTES], packet].concat()
    }

    fn shaped(shape: Shape) -> DelayLines {
        let mut lines = DelayLines::default();
        lines.set(THERE, shape);
        lines
    }

    /// The tags of all frames that leave by `now`, in order.
    fn leaving(lines: &mut DelayLines, now: Instant) -> Vec<u8> {
        std::iter::from_fn(|| lines.release(now)).map(|(_, frame)| frame[frame.len() - 1]).collect()
    }

    fn survivors(seed: u64, jitter: Duration) -> Vec<u8> {
        let now = Instant::now();
        let mut lines = shaped(Shape { loss: 0.5, seed, jitter, ..Shape::default() });
        (0..200).for_each(|tag| lines.admit(now, &frame(THERE, tag)));
        leaving(&mut lines, now + 2 * jitter)
    }

    #[test]
    fn a_packet_leaves_after_its_delay_and_not_before() {
        let (now, delay) = (Instant::now(), Duration::from_millis(20));
        let mut lines = shaped(Shape { delay, ..Shape::default() });
        lines.admit(now, &frame(THERE, 1));
        assert_eq!(lines.next_due(), Some(now + delay));
        assert_eq!(lines.release(now + Duration::from_millis(19)), None);
        assert_eq!(lines.release(now + delay), Some((THERE, frame(THERE, 1))));
        assert_eq!(lines.next_due(), None);
    }

    #[test]
    fn a_seed_chooses_its_victims_whatever_the_jitter() {
        let few = survivors(1, Duration::ZERO);
        assert_eq!(few, survivors(1, Duration::from_millis(9)));
        assert_ne!(few, survivors(2, Duration::ZERO));
        assert!((60..140).contains(&few.len()), "{} of 200 survived", few.len());
    }

    #[test]
    fn jitter_never_reorders() {
        let now = Instant::now();
        let jitter = Duration::from_millis(50);
        let mut lines = shaped(Shape { delay: jitter, jitter, ..Shape::default() });
        (0..100).for_each(|tag| lines.admit(now, &frame(THERE, tag)));
        assert_eq!(leaving(&mut lines, now + 2 * jitter), (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn a_full_line_drops_and_counts_until_there_is_room_again() {
        let (now, delay) = (Instant::now(), Duration::from_secs(1));
        let mut lines = shaped(Shape { delay, ..Shape::default() });
        let mut long = frame(THERE, 0);
        long.resize(LINE_BYTES, 0);
        lines.admit(now, &long);
        lines.admit(now, &frame(THERE, 1));
        assert_eq!(lines.traffic(THERE), Traffic { overflowed: 1, ..Traffic::default() });
        assert_eq!(leaving(&mut lines, now + delay), [0]);
        lines.admit(now, &frame(THERE, 2));
        assert_eq!(leaving(&mut lines, now + delay), [2]);
        assert_eq!(lines.seen(), 3);
    }

    #[test]
    fn both_families_share_a_line_and_anything_else_is_dropped() {
        let mut v6 = vec![0; 40];
        v6[0] = 0x60;
        (v6[23], v6[39]) = (2, 3);
        assert_eq!(direction(&v6), Some(THERE));
        assert_eq!(direction(&frame(THERE, 0)[HEADER_BYTES..]), Some(THERE));
        assert_eq!(direction(&[0x45; 15]), None);
        let mut lines = shaped(Shape::default());
        lines.admit(Instant::now(), &frame(THERE.reversed(), 0));
        lines.admit(Instant::now(), &[0; 3]);
        assert_eq!(lines.next_due(), None);
    }
}
