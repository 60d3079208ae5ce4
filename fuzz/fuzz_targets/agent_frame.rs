//! What nodes say to each other about agents: what is read is written the same.
#![no_main]

use dx_agents::mesh::wire::{Frame, VERSION};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // Most inputs are of no version: the rest of them is worth a look, too.
    if let Some((first, rest)) = bytes.split_first() {
        let mut bytes = vec![VERSION << 4 | first & 0xf];
        bytes.extend_from_slice(rest);
        check(&bytes);
    }
});

fn check(bytes: &[u8]) {
    if let Ok(frame) = Frame::read(bytes) {
        let mut written = Vec::new();
        frame.write(&mut written);
        assert_eq!(written, bytes);
    }
}
