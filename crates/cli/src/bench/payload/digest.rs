//! The checksum: fast enough to check every message of a benchmark, strong enough to notice.

use super::HEADER;

/// Bodies up to here are checked in full.
pub const WHOLE_BODY: usize = 4 * 1024;

/// Of larger bodies, one word in this many bytes is checked, beside head and tail.
pub const STRIDE: usize = 1024;

/// Head and tail of a larger body that are checked in full.
const EDGE: usize = 256;

/// Odd constants without structure: the fraction of the golden ratio and of square roots.
pub const SEEDS: [u64; 4] =
    [0x9E37_79B9_7F4A_7C15, 0x6A09_E667_F3BC_C909, 0xBB67_AE85_84CA_A73B, 0x3C6E_F372_FE94_F82B];

/// Multiplies and folds: every bit of the result depends on every bit of both.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The checksum of a message from its parts.
pub fn checksum(sequence: u32, length: usize, digest: u64) -> u32 {
    let numbers = u64::from(sequence) << 32 ^ length as u64;
    let folded = fold(numbers ^ SEEDS[0], digest ^ SEEDS[1]);
    (folded >> 32) as u32
}

/// What the checksum takes of a body.
pub fn digest(body: &[u8]) -> u64 {
    if body.len() <= WHOLE_BODY - HEADER { digest_whole(body) } else { digest_sampled(body) }
}

/// Nothing waits for the multiplication before it, so that the processor works on several at once:
/// four chains over whole blocks, and what is left in pairs that only meet at the end.
fn digest_whole(body: &[u8]) -> u64 {
    let (blocks, rest) = body.as_chunks::<64>();
    let mut chains = SEEDS;
    for block in blocks {
        for (chain, pair) in chains.iter_mut().zip(block.as_chunks::<16>().0) {
            *chain = fold_pair(pair, *chain, SEEDS[1]);
        }
    }
    let (pairs, tail) = rest.as_chunks::<16>();
    for (chain, pair) in chains.iter_mut().zip(pairs) {
        *chain ^= fold_pair(pair, SEEDS[2], *chain);
    }
    let mut last = [0; 16];
    last[..tail.len()].copy_from_slice(tail);
    let [a, b, c, d] = chains;
    fold(a ^ SEEDS[3], b) ^ fold(c ^ SEEDS[0], d) ^ fold_pair(&last, SEEDS[1], SEEDS[2])
}

fn fold_pair(pair: &[u8; 16], a: u64, b: u64) -> u64 {
    let (words, _) = pair.as_chunks::<8>();
    fold(u64::from_le_bytes(words[0]) ^ a, u64::from_le_bytes(words[1]) ^ b)
}

fn digest_sampled(body: &[u8]) -> u64 {
    let edges = fold(digest_whole(&body[..EDGE]), digest_whole(&body[body.len() - EDGE..]));
    body.chunks_exact(STRIDE).fold(edges, |all, chunk| {
        let word = chunk.first_chunk::<8>().expect("a stride is longer than a word");
        fold(all ^ u64::from_le_bytes(*word), SEEDS[3])
    })
}
