//! Cut, healed, isolated. Nothing here waits for time to pass: a cut counts
//! what it swallows, and after healing only what was sent later arrives.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use dx_lab::{Host, Lab, or_skip};

use crate::sockets::{PATIENCE, is_empty, receive, tcp, udp};

/// Waits until the cut has swallowed a packet.
fn await_drop(lab: &Lab, from: &Host, to: &Host) {
    let deadline = Instant::now() + PATIENCE;
    while lab.dropped(from, to).unwrap() == 0 {
        assert!(Instant::now() < deadline, "the cut swallowed nothing");
    }
}

#[test]
fn a_cut_stalls_a_tcp_connection_and_healing_lets_it_go_on() {
    let Some(lab) = or_skip(Lab::new("cut")) else { return };
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    let (mut client, mut server) = tcp(&a, &b);

    lab.cut(&a, &b).unwrap();
    client.write_all(b"late").unwrap();
    await_drop(&lab, &a, &b);
    assert!(is_empty(&server), "data passed a cut cable");

    lab.heal(&a, &b).unwrap();
    let mut word = [0; 4];
    server.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"late");
}

#[test]
fn a_one_way_cut_leaves_the_way_back_open() {
    let Some(lab) = or_skip(Lab::new("one way")) else { return };
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    let (at_a, at_b) = (udp(&a), udp(&b));
    let (to_a, to_b) = (at_a.local_addr().unwrap(), at_b.local_addr().unwrap());

    lab.cut_one_way(&a, &b).unwrap();
    at_a.send_to(b"swallowed", to_b).unwrap();
    at_b.send_to(b"passes", to_a).unwrap();
    assert_eq!(receive(&at_a), "passes");
    await_drop(&lab, &a, &b);
    assert_eq!(lab.dropped(&b, &a).unwrap(), 0);

    lab.heal(&a, &b).unwrap();
    at_a.send_to(b"after", to_b).unwrap();
    assert_eq!(receive(&at_b), "after");
}

#[test]
fn an_isolated_host_meets_nobody_while_the_others_meet() {
    let Some(lab) = or_skip(Lab::new("isolate")) else { return };
    let hosts = ["a", "b", "c"].map(|name| lab.host(name).unwrap());
    let [at_a, at_b, at_c] = hosts.each_ref().map(udp);
    let [to_a, to_b, _] = [&at_a, &at_b, &at_c].map(|socket| socket.local_addr().unwrap());

    hosts[0].isolate().unwrap();
    at_a.send_to(b"out", to_b).unwrap();
    at_b.send_to(b"in", to_a).unwrap();
    at_c.send_to(b"others", to_b).unwrap();
    assert_eq!(receive(&at_b), "others");

    hosts[0].rejoin().unwrap();
    at_a.send_to(b"back", to_b).unwrap();
    at_c.send_to(b"back", to_a).unwrap();
    assert_eq!([receive(&at_b), receive(&at_a)], ["back", "back"]);
}

#[test]
fn a_partition_cuts_across_and_not_within() {
    let Some(lab) = or_skip(Lab::new("partition")) else { return };
    let hosts = ["a", "b", "c"].map(|name| lab.host(name).unwrap());
    let [a, b, c] = &hosts;
    let [at_a, at_b, at_c] = hosts.each_ref().map(udp);
    lab.partition(&[a, b], &[c]).unwrap();
    for (socket, host) in [(&at_a, a), (&at_b, b)] {
        socket.send_to(b"across", at_c.local_addr().unwrap()).unwrap();
        await_drop(&lab, host, c);
        at_c.send_to(b"across", socket.local_addr().unwrap()).unwrap();
        await_drop(&lab, c, host);
    }
    at_a.send_to(b"within", at_b.local_addr().unwrap()).unwrap();
    assert_eq!(receive(&at_b), "within");
}

#[test]
fn healing_all_undoes_every_cut_and_is_harmless_without_one() {
    let Some(lab) = or_skip(Lab::new("heal all")) else { return };
    let hosts = ["a", "b", "c"].map(|name| lab.host(name).unwrap());
    let [a, b, c] = &hosts;
    lab.heal_all().unwrap();
    lab.heal(a, b).unwrap();
    lab.cut(a, b).unwrap();
    lab.cut(a, b).unwrap();
    lab.cut_one_way(c, a).unwrap();
    b.isolate().unwrap();
    lab.heal_all().unwrap();
    b.rejoin().unwrap();
    for (from, to) in [(a, b), (b, a), (c, a)] {
        let (sender, receiver) = (udp(from), udp(to));
        sender.send_to(b"open", receiver.local_addr().unwrap()).unwrap();
        assert_eq!(receive(&receiver), "open");
    }
}
