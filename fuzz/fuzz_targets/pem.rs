//! Certificates and keys in PEM form: arbitrary texts, and good ones with changes.
#![no_main]

use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use dx_fuzz::assert_printable;
use dx_transport::id::NodeId;
use dx_transport::identity::NodeIdentity;
use libfuzzer_sys::fuzz_target;

const CERTIFICATE: &str = include_str!("../fixtures/node.pem");
const KEY: &str = include_str!("../fixtures/node.key");
const AUTHORITY: &str = include_str!("../fixtures/ca.pem");

#[derive(Arbitrary, Debug)]
struct Input {
    certificate: Text,
    key: Text,
    authority: Text,
    time: u64,
    node: u32,
}

#[derive(Arbitrary, Debug)]
enum Text {
    Good,
    Changed(Vec<(u16, Change)>),
    Any(String),
    /// One of the other two.
    Swapped(bool),
}

#[derive(Arbitrary, Debug)]
enum Change {
    Put(u8),
    Insert(String),
    Remove(u8),
    Repeat,
}

fuzz_target!(|input: Input| {
    let texts = [CERTIFICATE, KEY, AUTHORITY];
    let [certificate, key, authority] =
        [(0, input.certificate), (1, input.key), (2, input.authority)].map(|(index, text)| {
            text.text(texts[index], [texts[(index + 1) % 3], texts[(index + 2) % 3]])
        });
    match NodeIdentity::from_pem(certificate, key, authority) {
        Err(error) => assert_printable(&error.to_string()),
        Ok(identity) => {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(input.time >> 8);
            if let Err(error) = identity.check(NodeId(input.node), time) {
                assert_printable(&error.to_string());
            }
        }
    }
});

impl Text {
    fn text(self, good: &str, others: [&str; 2]) -> String {
        match self {
            Self::Good => good.to_owned(),
            Self::Any(text) => text,
            Self::Swapped(which) => others[usize::from(which)].to_owned(),
            Self::Changed(changes) => {
                let mut bytes = good.as_bytes().to_vec();
                changes.into_iter().take(8).for_each(|(at, change)| change.apply(&mut bytes, at));
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>, at: u16) {
        let at = usize::from(at) % (bytes.len() + 1);
        match self {
            Self::Put(byte) => bytes.iter_mut().skip(at).take(1).for_each(|place| *place = byte),
            Self::Insert(text) => drop(bytes.splice(at..at, text.into_bytes())),
            Self::Remove(count) => drop(bytes.drain(at..bytes.len().min(at + usize::from(count)))),
            Self::Repeat => bytes.extend_from_within(at..),
        }
        bytes.truncate(1 << 16);
    }
}
