//! The plainest framing: four bytes of length before every message.

/// Bytes of the length.
const LENGTH: usize = 4;

/// As many whole frames with messages of `size` bytes as fit into `limit` bytes, at least one.
#[must_use]
pub fn encode(size: usize, limit: usize) -> Vec<u8> {
    let length = u32::try_from(size).expect("messages in frames are small").to_le_bytes();
    let frame: Vec<u8> = length.into_iter().chain(std::iter::repeat_n(7, size)).collect();
    frame.repeat((limit / frame.len()).max(1))
}

/// Parses lengths and counts frames. An incomplete frame moves to the front of the buffer and
/// waits there for its rest.
#[derive(Debug, Default)]
pub struct FrameCounter {
    kept: usize,
}

impl FrameCounter {
    /// Bytes at the front of the buffer that wait for their rest: read behind them.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Counts the complete frames in the first `filled` bytes of `buffer`, and keeps the rest.
    pub fn count(&mut self, buffer: &mut [u8], filled: usize) -> u64 {
        let (mut at, mut frames) = (0, 0);
        while let Some(end) = frame_end(&buffer[at..filled]) {
            at += end;
            frames += 1;
        }
        buffer.copy_within(at..filled, 0);
        self.kept = filled - at;
        frames
    }
}

fn frame_end(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let length = u32::from_le_bytes(*length) as usize;
    (length <= rest.len()).then_some(LENGTH + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_counted_once_wherever_reads_end() {
        let stream = encode(13, 17 * 20);
        for step in 1..stream.len() {
            let mut counter = FrameCounter::default();
            let mut buffer = vec![0; stream.len()];
            let mut frames = 0;
            for read in stream.chunks(step) {
                let kept = counter.kept();
                buffer[kept..kept + read.len()].copy_from_slice(read);
                frames += counter.count(&mut buffer, kept + read.len());
            }
            assert_eq!((frames, counter.kept()), (20, 0), "reads of {step} bytes");
        }
    }
}
