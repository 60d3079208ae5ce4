//! One channel's receiving buffers: where the next bytes go, and what has arrived unparsed.
//!
//! Small frames are parsed where they arrive, in the *staging* buffer, which is handed to the
//! application whole. The body of a fragment is read straight into the message it belongs to;
//! and because a large message is a run of such fragments, one vectored read covers several:
//!
//! ```text
//! message:  [ rest of this body ]     [ next body ]     [ next body ]
//! staging:                       [hdr]             [hdr]             [ a little more ]
//! ```
//!
//! The same holds where a read ends between two fragments: the next one begins with a header.
//! Where a guessed header turns out to be another frame's, what follows it is copied back into
//! the staging buffer and parsed from there.

use std::io::IoSliceMut;
use std::sync::Arc;

use crate::buffer::{Buffer, BufferPool, SMALLEST};
use crate::frame::{HEADER, Header, Kind};
use crate::lane::Lane;
use crate::limits::MAX_FRAME;
use crate::session::incoming::Incoming;

/// Slots of one vectored read: up to [`RUN`] bodies and headers, and the staging buffer.
const MAX_SLOTS: usize = 2 * RUN + 2;
/// Bodies that one read may fill.
const RUN: usize = 8;
/// The staging buffer grows up to this while reads fill it.
const LARGEST_STAGING: usize = 512 * 1024;
/// What a read may take beyond a run of fragments: it is likely to be copied.
const BEYOND_RUN: usize = 4 * 1024;

pub(crate) struct Reader {
    staging: Option<Buffer>,
    start: usize,
    end: usize,
    /// Size of the next staging buffer.
    size: usize,
    pub(crate) body: Body,
    /// The lane of a message of which more fragments are likely to come next.
    pub(crate) expects: Option<Lane>,
    /// Lengths of the bodies that the next read expects after the current one.
    run: Vec<usize>,
    pub(crate) run_lane: Lane,
    /// How many bodies to expect: fewer when frames of other lanes come between, more when not.
    guess: usize,
}

/// A frame's body that is being received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Body {
    /// None: a header is next.
    #[default]
    None,
    /// `left` of `len` bytes go to the lane's assembly.
    Fragment { lane: Lane, len: usize, left: usize },
    /// `left` bytes were received before, or mean nothing to this version.
    Skip { left: usize },
}

/// What a vectored read brought after the current body was complete.
pub(crate) enum Landed {
    /// All of it is in the staging buffer.
    Staged,
    /// It begins with this header, which is the expected one; its body is in place.
    Expected { header: Header, body: usize },
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            staging: None,
            start: 0,
            end: 0,
            size: SMALLEST,
            body: Body::None,
            expects: None,
            run: Vec::new(),
            run_lane: Lane::CONTROL,
            guess: RUN,
        }
    }
}

impl Reader {
    /// Lets `read` fill the slots.
    pub(crate) fn with_slots<R>(
        &mut self,
        lanes: &mut [Incoming],
        pool: &Arc<BufferPool>,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
    ) -> R {
        let staging = self.staging.get_or_insert_with(|| pool.take(self.size.max(SMALLEST)));
        let (lane, done, left) = match (self.body, self.expects) {
            (Body::Fragment { lane, len, left }, _) => (lane, len - left, left),
            (Body::None, Some(lane)) if self.start == self.end => (lane, 0, 0),
            _ => {
                self.run.clear();
                return read(&mut [IoSliceMut::new(&mut staging.bytes()[self.end..])]);
            }
        };
        let mut rest = &mut lanes[lane.index()].assembly_rest()[done..];
        let mut free = &mut staging.bytes()[self.end..];
        let mut slots: [IoSliceMut<'_>; MAX_SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let mut count = 0;
        let mut put = |slot| {
            slots[count] = IoSliceMut::new(slot);
            count += 1;
        };
        self.run.clear();
        self.run_lane = lane;
        if left > 0 {
            let (body, after) = rest.split_at_mut(left);
            put(body);
            rest = after;
        }
        while !rest.is_empty() && self.run.len() < self.guess.max(1) {
            let (header, after) = free.split_at_mut(HEADER);
            put(header);
            free = after;
            let (body, after) = rest.split_at_mut(rest.len().min(MAX_FRAME));
            self.run.push(body.len());
            put(body);
            rest = after;
        }
        let beyond = free.len().min(BEYOND_RUN);
        put(&mut free[..beyond]);
        read(&mut slots[..count])
    }

    /// Counts `count` bytes that a read put into the staging buffer.
    pub(crate) fn stage(&mut self, count: usize) {
        self.end += count;
        let len = self.staging.as_ref().map_or(0, Buffer::len);
        assert!(self.end <= len, "the link read more than there was room for");
        if self.end == len {
            self.size = (len * 2).min(LARGEST_STAGING);
        } else if count < len / 16 {
            self.size = (len / 2).max(SMALLEST);
        }
    }

    /// Whether the slots of the last read were those of a run of fragments.
    pub(crate) fn is_run(&self) -> bool {
        matches!(self.body, Body::Fragment { .. }) || !self.run.is_empty()
    }

    /// Counts bytes into the current body; returns those that are beyond it.
    pub(crate) fn fill_body(&mut self, count: usize) -> usize {
        let Body::Fragment { left, .. } = &mut self.body else { return count };
        let taken = count.min(*left);
        *left -= taken;
        count - taken
    }

    /// Looks at the `count` bytes that came where the `index`th header of the run and what is
    /// after it were expected.
    pub(crate) fn land(
        &mut self,
        index: usize,
        count: usize,
        lanes: &mut [Incoming],
        pool: &Arc<BufferPool>,
    ) -> Landed {
        let Some(&expected) = self.run.get(index) else {
            self.stage(count);
            return Landed::Staged;
        };
        self.end += count.min(HEADER);
        let Some(body) = count.checked_sub(HEADER) else { return Landed::Staged };
        if let Some(header) = self.peek_header()
            && header.kind == Kind::Fragment
            && header.lane == self.run_lane.0
            && header.len as usize == expected
            && header.flags == 0
        {
            self.start = self.end;
            self.guess = (self.guess + 1).min(RUN);
            return Landed::Expected { header, body };
        }
        self.guess /= 2;
        self.gather(index, body, lanes[self.run_lane.index()].assembly_rest(), pool);
        Landed::Staged
    }

    /// Moves `count` bytes that landed behind a header that was not the expected one into the
    /// staging buffer, behind that header.
    fn gather(
        &mut self,
        index: usize,
        mut count: usize,
        mut assembly: &[u8],
        pool: &Arc<BufferPool>,
    ) {
        let staging = self.staging.as_mut().expect("the header lies in it").bytes();
        let mut headers = &staging[self.end..];
        let mut moved = Vec::with_capacity(count);
        let mut take = |from: &mut &[u8], len: usize| {
            let (taken, rest) = from.split_at(len.min(count));
            moved.extend_from_slice(taken);
            count -= taken.len();
            *from = rest;
        };
        let bodies = &self.run[index..];
        for (number, body) in bodies.iter().enumerate() {
            take(&mut assembly, *body);
            let is_last = number + 1 == bodies.len();
            take(&mut headers, if is_last { BEYOND_RUN } else { HEADER });
        }
        self.put_back(&moved, pool);
    }

    /// Appends `bytes` to what is staged.
    fn put_back(&mut self, bytes: &[u8], pool: &Arc<BufferPool>) {
        self.reserve(bytes.len(), pool);
        let staging = self.staging.as_mut().expect("reserve made it").bytes();
        staging[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// What has arrived and is not parsed.
    pub(crate) fn staged(&self) -> &[u8] {
        let Some(staging) = &self.staging else { return &[] };
        &staging.as_ref()[self.start..self.end]
    }

    /// What was parsed at `range`.
    pub(crate) fn parsed(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.staging.as_ref().map_or(&[], |staging| &staging.as_ref()[range])
    }

    /// Bytes that the staging buffer can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.staging.as_ref().map_or(0, Buffer::len)
    }

    /// The position of the first unparsed byte in the staging buffer.
    pub(crate) fn position(&self) -> usize {
        self.start
    }

    /// Counts `count` bytes as parsed.
    pub(crate) fn advance(&mut self, count: usize) {
        self.start += count;
    }

    fn peek_header(&self) -> Option<Header> {
        let bytes = self.staged().first_chunk()?;
        Header::decode(bytes).ok()
    }

    /// Makes room for a frame of `need` bytes (header included) that begins where parsing
    /// stopped, and for at least one header more. Called when all whole frames are parsed and
    /// nothing refers to positions in the staging buffer.
    pub(crate) fn make_room(&mut self, need: usize, pool: &Arc<BufferPool>) {
        let Some(staging) = &mut self.staging else { return };
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let len = staging.len();
        if self.start > 0 && (self.start + need > len || len - self.end < len / 2) {
            staging.bytes().copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let missing = (self.start + need).saturating_sub(self.end).max(RUN * HEADER);
        self.reserve(missing, pool);
    }

    fn reserve(&mut self, count: usize, pool: &Arc<BufferPool>) {
        let len = self.staging.as_ref().map_or(0, Buffer::len);
        if len - self.end >= count {
            return;
        }
        let staged = self.end - self.start;
        self.replace_staging(pool.take((staged + count).max(self.size)));
    }

    /// Takes the staging buffer away for the application; what is unparsed moves to a new one.
    pub(crate) fn hand_over(&mut self, pool: &Arc<BufferPool>) -> Buffer {
        let staged = self.end - self.start;
        let next = pool.take((staged + HEADER * RUN).max(self.size));
        self.replace_staging(next).expect("there is something to hand over")
    }

    fn replace_staging(&mut self, mut next: Buffer) -> Option<Buffer> {
        let staged = self.end - self.start;
        next.bytes()[..staged].copy_from_slice(self.staged());
        (self.start, self.end) = (0, staged);
        self.staging.replace(next)
    }

    /// Returns idle memory.
    pub(crate) fn shrink(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.size = SMALLEST;
            self.staging = None;
        }
    }
}
