//! Sockets on hosts, and the first rule: two hosts can talk.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use dx_lab::{Host, Lab, or_skip};

/// How long a test waits for what must come; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A datagram socket on `host` that gives up after [`PATIENCE`].
pub fn udp(host: &Host) -> UdpSocket {
    let socket = host.enter(|| UdpSocket::bind((host.address(), 0))).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The next datagram, as text.
pub fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).expect("a datagram arrives");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// A connection from `a` to `b`, both ends, that gives up after [`PATIENCE`].
pub fn tcp(a: &Host, b: &Host) -> (TcpStream, TcpStream) {
    let server = b.enter(|| TcpListener::bind((b.address(), 0))).unwrap();
    let address = server.local_addr().unwrap();
    let client = a.enter(|| TcpStream::connect_timeout(&address, PATIENCE)).unwrap();
    let (accepted, _) = server.accept().unwrap();
    for end in [&client, &accepted] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
        end.set_nodelay(true).unwrap();
    }
    (client, accepted)
}

/// Whether a socket has nothing to read now.
pub fn is_empty(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let result = stream.read(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn two_hosts_talk_over_tcp_and_udp_in_both_families() {
    let Some(lab) = or_skip(Lab::new("talk")) else { return };
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    for address in [b.address(), b.address_v6()] {
        let server = b.enter(|| TcpListener::bind((address, 7001))).unwrap();
        let echo = thread::spawn(move || {
            let (mut stream, peer) = server.accept().unwrap();
            let mut word = [0; 4];
            stream.read_exact(&mut word).unwrap();
            stream.write_all(&word).unwrap();
            peer.ip()
        });
        let mut client = a.enter(|| TcpStream::connect((address, 7001))).unwrap();
        client.write_all(b"ping").unwrap();
        let mut word = [0; 4];
        client.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"ping");
        assert!([a.address(), a.address_v6()].contains(&echo.join().unwrap()));
    }
    let (from, to) = (udp(&a), udp(&b));
    from.send_to(b"ping", to.local_addr().unwrap()).unwrap();
    assert_eq!(receive(&to), "ping");
}

#[test]
fn a_tokio_runtime_built_on_a_host_stays_there() {
    let Some(lab) = or_skip(Lab::new("tokio")) else { return };
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    let server = b.enter(|| TcpListener::bind((b.address(), 0))).unwrap();
    let target = server.local_addr().unwrap();
    let source = a.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(target).await.unwrap();
            stream.local_addr().unwrap().ip()
        })
    });
    assert_eq!(source, a.address());
}

#[test]
fn labs_in_one_process_do_not_meet() {
    let Some(one) = or_skip(Lab::new("one")) else { return };
    let Some(other) = or_skip(Lab::new("other")) else { return };
    let (a, b) = (one.host("a").unwrap(), other.host("b").unwrap());
    assert_eq!(a.address(), b.address());
    let _one = a.enter(|| TcpListener::bind((a.address(), 7001))).unwrap();
    let _other = b.enter(|| TcpListener::bind((b.address(), 7001))).unwrap();
    let stranger = one.cut(&a, &b).unwrap_err();
    assert_eq!(stranger.to_string(), "host b belongs to another lab");
}

#[test]
fn a_panic_inside_a_host_goes_on_outside() {
    let Some(lab) = or_skip(Lab::new("panic")) else { return };
    let a = lab.host("a").unwrap();
    let outcome = thread::spawn(move || a.enter(|| panic!("inside"))).join();
    assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"inside"));
}

#[test]
fn each_host_has_its_own_congestion_control() {
    let Some(lab) = or_skip(Lab::new("congestion")) else { return };
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    let chosen = |host: &Host| {
        host.enter(|| fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap())
    };
    let default = chosen(&b);
    // The only one that every kernel has and lets everybody choose.
    a.set_congestion_control("reno").unwrap();
    assert_eq!([chosen(&a), chosen(&b)], ["reno\n", &default]);
    let error = a.set_congestion_control("nonsense").unwrap_err();
    assert!(error.to_string().contains("tcp_congestion_control to nonsense"), "{error}");
}
