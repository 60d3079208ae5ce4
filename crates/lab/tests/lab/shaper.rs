//! Delay and loss through user space.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use dx_lab::{Host, Lab, Shape, or_skip};

use crate::sockets::{PATIENCE, receive, tcp, udp};

const DATAGRAMS: u64 = 1_000;
/// Datagrams that a receiving socket holds for certain.
const WINDOW: u64 = 100;

/// Two hosts with a shape between them, if the machine can.
fn shaped(name: &str, shape: Shape) -> Option<(Lab, Host, Host)> {
    let lab = or_skip(Lab::new(name))?;
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    or_skip(lab.shape(&a, &b, shape))?;
    Some((lab, a, b))
}

#[test]
fn a_round_trip_takes_at_least_twice_the_delay() {
    let delay = Duration::from_millis(20);
    let shape = Shape { delay, ..Shape::default() };
    let Some((lab, a, b)) = shaped("delay", shape) else { return };
    let (at_a, at_b) = (udp(&a), udp(&b));
    let started = Instant::now();
    at_a.send_to(b"ping", at_b.local_addr().unwrap()).unwrap();
    assert_eq!(receive(&at_b), "ping");
    assert!(started.elapsed() >= delay);
    at_b.send_to(b"pong", at_a.local_addr().unwrap()).unwrap();
    assert_eq!(receive(&at_a), "pong");
    assert!(started.elapsed() >= 2 * delay);
    assert_eq!((lab.traffic(&a, &b).delivered, lab.traffic(&b, &a).delivered), (1, 1));
}

/// Sends numbered datagrams through a fresh lossy lab; the numbers that arrive.
fn arrivals(seed: u64) -> Option<BTreeSet<u64>> {
    let (lab, a, b) = shaped("loss", Shape { loss: 0.1, seed, ..Shape::default() })?;
    let (at_a, at_b) = (udp(&a), udp(&b));
    let target = at_b.local_addr().unwrap();
    let mut arrived = BTreeSet::new();
    for number in 0..DATAGRAMS {
        at_a.send_to(number.to_string().as_bytes(), target).unwrap();
        if (number + 1) % WINDOW == 0 {
            let delivered = await_passage(&lab, &a, &b, number + 1);
            let missing = delivered - arrived.len() as u64;
            arrived.extend((0..missing).map(|_| receive(&at_b).parse::<u64>().unwrap()));
        }
    }
    // The kernel sends a word of its own now and then, which counts until it is read.
    let deadline = Instant::now() + PATIENCE;
    while lab.unseen().unwrap() > 0 {
        assert!(Instant::now() < deadline, "the shaper missed {} packets", lab.unseen().unwrap());
    }
    Some(arrived)
}

/// Waits until the shaper has dealt with so many packets; how many it delivered.
fn await_passage(lab: &Lab, a: &Host, b: &Host, packets: u64) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let traffic = lab.traffic(a, b);
        if traffic.delivered + traffic.lost == packets {
            return traffic.delivered;
        }
        assert!(Instant::now() < deadline, "{traffic:?}");
        thread::yield_now();
    }
}

#[test]
fn loss_takes_its_fraction_and_a_seed_repeats_its_victims() {
    let Some(first) = arrivals(7) else { return };
    assert!((850..950).contains(&first.len()), "{} of {DATAGRAMS} arrived", first.len());
    assert_eq!(arrivals(7).unwrap(), first);
    assert_ne!(arrivals(8).unwrap(), first);
}

#[test]
fn tcp_survives_loss_and_every_packet_of_it_is_exposed() {
    let bytes = 1_000_000;
    let shape = Shape { delay: Duration::from_millis(2), loss: 0.02, seed: 1, ..Shape::default() };
    let Some((lab, a, b)) = shaped("tcp loss", shape) else { return };
    let (mut client, mut server) = tcp(&a, &b);
    let data: Vec<u8> = (0..bytes).map(|at: usize| at.to_le_bytes()[0]).collect();
    let sent = data.clone();
    let sender = thread::spawn(move || client.write_all(&sent).unwrap());
    let mut received = vec![0; bytes];
    server.read_exact(&mut received).unwrap();
    sender.join().unwrap();
    assert!(received == data, "the bytes differ");
    let traffic = lab.traffic(&a, &b);
    // No packet is longer than 1500 bytes: segmentation offload is undone.
    assert!(traffic.delivered >= bytes as u64 / 1500, "{traffic:?}");
    assert!(traffic.lost > 0, "{traffic:?}");
}

#[test]
fn a_cut_stops_what_the_shaper_still_holds() {
    let shape = Shape { delay: Duration::from_millis(300), ..Shape::default() };
    let Some((lab, a, b)) = shaped("cut in flight", shape) else { return };
    let (at_a, at_b) = (udp(&a), udp(&b));
    let target = at_b.local_addr().unwrap();
    at_a.send_to(b"in flight", target).unwrap();
    lab.cut(&a, &b).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while lab.dropped(&a, &b).unwrap() == 0 {
        assert!(Instant::now() < deadline, "the packet in flight was not cut");
    }
    lab.heal_all().unwrap();
    at_a.send_to(b"after", target).unwrap();
    assert_eq!(receive(&at_b), "after");
}

#[test]
fn shaping_all_reaches_every_pair() {
    let Some(lab) = or_skip(Lab::new("all pairs")) else { return };
    let hosts = ["a", "b", "c"].map(|name| lab.host(name).unwrap());
    let delay = Duration::from_millis(1);
    if or_skip(lab.shape_all(Shape { delay, ..Shape::default() })).is_none() {
        return;
    }
    let pairs = hosts.iter().flat_map(|from| hosts.iter().map(move |to| (from, to)));
    for (from, to) in pairs.filter(|(from, to)| from.name() != to.name()) {
        let (sender, receiver) = (udp(from), udp(to));
        sender.send_to(b"shaped", receiver.local_addr().unwrap()).unwrap();
        assert_eq!(receive(&receiver), "shaped");
        assert_eq!(await_passage(&lab, from, to, 1), 1);
    }
}

#[test]
fn an_impossible_loss_is_refused() {
    let Some(lab) = or_skip(Lab::new("impossible")) else { return };
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    let refused = lab.shape(&a, &b, Shape { loss: 1.5, ..Shape::default() }).unwrap_err();
    assert_eq!(refused.to_string(), "loss is a fraction from 0 to 1, not 1.5");
}
