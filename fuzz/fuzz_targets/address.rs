//! Addresses and cluster names: what is accepted is shown as it was written.
#![no_main]

use dx_fuzz::assert_printable;
use dx_transport::address::{Address, MAX_ADDRESS};
use dx_transport::id::ClusterId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Address>() {
        Ok(address) => {
            assert_eq!(address.to_string(), text);
            assert!(text.len() <= MAX_ADDRESS);
            assert_eq!(Address::new(address.transport(), address.endpoint()), Ok(address));
        }
        Err(error) => assert_printable(&error.to_string()),
    }
    match text.parse::<ClusterId>() {
        Ok(cluster) => assert_eq!(cluster.as_str(), text),
        Err(error) => assert_printable(&error.to_string()),
    }
});
