//! A limited port, measured by what comes through.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Instant;

use dx_lab::{Host, Lab, or_skip};

use crate::sockets::tcp;

const BITS_PER_SECOND: u32 = 20_000_000;
/// A second's worth, far more than burst and buffers hold.
const BYTES: u32 = 2_500_000;
/// A busy machine may make the slow side of a measurement slower, never faster.
const ATTEMPTS: usize = 4;

/// Bits per second that `a` gets through to `b`.
fn measure(a: &Host, b: &Host) -> f64 {
    let (mut client, mut server) = tcp(a, b);
    let started = Instant::now();
    let sender = thread::spawn(move || client.write_all(&vec![0; BYTES as usize]).unwrap());
    let mut sink = vec![0; BYTES as usize];
    server.read_exact(&mut sink).unwrap();
    sender.join().unwrap();
    f64::from(BYTES) * 8.0 / started.elapsed().as_secs_f64()
}

#[test]
fn a_limited_host_sends_and_receives_at_its_rate_until_the_limit_ends() {
    let Some(lab) = or_skip(Lab::new("rate")) else { return };
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    if or_skip(a.set_rate(BITS_PER_SECOND.into())).is_none() {
        return;
    }
    for (from, to) in [(&a, &b), (&b, &a)] {
        let limit = f64::from(BITS_PER_SECOND);
        let rates: Vec<f64> = (0..ATTEMPTS).map(|_| measure(from, to)).collect();
        assert!(rates.iter().all(|rate| *rate < 2.0 * limit), "too fast: {rates:?}");
        assert!(rates.iter().any(|rate| *rate > limit / 2.0), "too slow: {rates:?}");
    }
    a.remove_rate().unwrap();
    a.remove_rate().unwrap();
    let fastest = (0..ATTEMPTS).map(|_| measure(&a, &b)).fold(0.0, f64::max);
    assert!(fastest > 2.0 * f64::from(BITS_PER_SECOND), "still limited: {fastest}");
}
