//! Headers, varints and the bodies of batches: what is decoded encodes to the same again.
#![no_main]

use dx_transport::frame::{
    HEADER, Header, holds_messages, next_message, read_varint, varint_len, write_varint,
};
use dx_transport::limits::MAX_FRAME;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(head) = bytes.first_chunk::<HEADER>() {
        header(head);
    }
    varint(bytes);
    batch(bytes);
});

fn header(bytes: &[u8; HEADER]) {
    if let Ok(header) = Header::decode(bytes) {
        assert_eq!(header.encode(), *bytes);
        assert!(header.len as usize <= MAX_FRAME);
    }
}

fn varint(bytes: &[u8]) {
    let mut rest = bytes;
    let Some(len) = read_varint(&mut rest) else { return };
    let mut shortest = [0; 3];
    let used = write_varint(len, &mut shortest);
    assert!(used == varint_len(len) && used <= bytes.len() - rest.len());
    assert_eq!(read_varint(&mut &shortest[..used]), Some(len));
}

/// The body is exactly as many messages as there are, and no other number of them.
fn batch(body: &[u8]) {
    let mut rest = body;
    let mut count = 0;
    let mut longest = 0;
    let mut is_whole = body.is_empty();
    while let Some(message) = next_message(&mut rest) {
        count += 1;
        assert!(message.len() < body.len());
        longest = longest.max(message.len());
        is_whole = rest.is_empty();
        if is_whole {
            break;
        }
    }
    assert_eq!(holds_messages(body, count, longest), is_whole);
    assert!(longest == 0 || !holds_messages(body, count, longest - 1));
    assert!(!holds_messages(body, count + 1, longest));
    assert!(count == 0 || !holds_messages(body, count - 1, longest));
}
