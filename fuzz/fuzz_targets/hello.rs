//! HELLO: what is decoded encodes, and the encoding is the shortest one.
#![no_main]

use dx_fuzz::assert_printable;
use dx_transport::codec;
use dx_transport::hello::Hello;
use dx_transport::limits::MAX_HANDSHAKE;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let hello: Hello = match codec::decode(bytes) {
        Ok(hello) => hello,
        Err(error) => return assert_printable(&error.to_string()),
    };
    let encoded = codec::encode(&hello, bytes.len()).expect("it was encoded in so many bytes");
    let again: Hello = codec::decode(&encoded).expect("what is encoded can be decoded");
    assert_eq!(again, hello);
    assert_eq!(codec::encode(&again, MAX_HANDSHAKE.max(bytes.len())).unwrap(), encoded);
});
