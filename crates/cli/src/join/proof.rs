//! Proving that one holds the token's secret, to one peer over one connection.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::hex;

/// What is known only to the two ends of one TLS connection. (Its name at IANA would be
/// `EXPORTER-Channel-Binding`, RFC 9266; with a label of our own it is for this use alone.)
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-dx-join-1";

/// Bytes of it.
pub const EXPORTER: usize = 32;

/// Who proves it: the proof of one side is none of the other's.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// The machine of the cluster.
    Caller,
    /// The node that waits.
    Waiting,
}

/// The proof of `side`, in hexadecimal digits.
pub fn prove(side: Side, secret: &[u8; 16], exporter: &[u8; EXPORTER]) -> String {
    hex::encode(&mac(side, secret, exporter).finalize().into_bytes())
}

/// Whether `proof` is that of `side`. It takes the same time for all wrong ones.
pub fn is_proven(side: Side, secret: &[u8; 16], exporter: &[u8; EXPORTER], proof: &str) -> bool {
    hex::decode(proof).is_some_and(|proof| mac(side, secret, exporter).verify_slice(&proof).is_ok())
}

fn mac(side: Side, secret: &[u8; 16], exporter: &[u8; EXPORTER]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(match side {
        Side::Caller => b"dx join caller\0",
        Side::Waiting => b"dx join waiting",
    });
    mac.update(exporter);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_counts_for_its_side_its_secret_and_its_connection_only() {
        let (secret, exporter) = ([1; 16], [2; EXPORTER]);
        let proof = prove(Side::Caller, &secret, &exporter);
        assert!(is_proven(Side::Caller, &secret, &exporter, &proof));
        assert!(!is_proven(Side::Waiting, &secret, &exporter, &proof));
        assert!(!is_proven(Side::Caller, &[3; 16], &exporter, &proof));
        assert!(!is_proven(Side::Caller, &secret, &[3; EXPORTER], &proof));
        for wrong in ["", "00", &proof[2..], &format!("{proof}00"), "xyz"] {
            assert!(!is_proven(Side::Caller, &secret, &exporter, wrong), "{wrong}");
        }
    }
}
