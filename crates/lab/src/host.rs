//! A host: a namespace of its own with one cable to the router.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::lab::{Router, addresses, lock};
use crate::namespace::Namespace;
use crate::process::{Process, ProcessError};
use crate::tool::Tool;
use crate::{LabError, Unavailable};

/// Hosts in one lab: all that fit into the last byte of the address beside the
/// router, with room to spare.
const MAX_HOSTS: u16 = 250;
/// The first host's index; 1 is the router.
const FIRST: u16 = 2;
/// The router's address on every port.
const ROUTER: &str = "10.77.0.1";
/// Its hardware address on every port.
const ROUTER_MAC: &str = "02:00:00:00:00:01";
/// How often a new cable is tried before it is given up: for 20 s, since the
/// kernel puts the work off by up to a second and a busy machine by more.
const PROBES: u32 = 2_000;
/// How long each try waits for its packet.
const PROBE_INTERVAL: Duration = Duration::from_millis(10);
/// How long a packet waits for its turn at a limited port before it is
/// dropped; a usual size of a router's buffer.
const RATE_QUEUE_MS: u32 = 50;
/// The least burst of a limited port: two packets of full length. Longer ones,
/// which segmentation offload makes, are split by the token bucket.
const MIN_BURST_BYTES: u64 = 3_028;
/// A limited port may send this fraction of a second's bytes at once, which
/// covers kernels whose timers tick at 250 Hz.
const BURSTS_PER_SECOND: u64 = 250;

/// A machine of the lab. Cloning it gives another handle to the same machine.
#[derive(Clone, Debug)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    index: u16,
    namespace: Namespace,
    router: Arc<Router>,
    limited: Mutex<bool>,
}

/// The index of the host that is created after `count` others.
pub(crate) fn index(count: usize) -> Result<u16, LabError> {
    u16::try_from(count)
        .ok()
        .filter(|count| *count < MAX_HOSTS)
        .map(|count| FIRST + count)
        .ok_or(LabError::Full(MAX_HOSTS))
}

impl Host {
    pub(crate) fn connect(
        lab: &str,
        name: &str,
        index: u16,
        router: Arc<Router>,
    ) -> Result<Self, LabError> {
        let namespace =
            Namespace::new(format!("{lab}/{name}")).map_err(Unavailable::NoNetworkNamespaces)?;
        Tool::Ip.run(&router.namespace, &router_side(index, namespace.tid()))?;
        Tool::Ip.run(&namespace, &host_side(index))?;
        await_cable(&router.namespace, &namespace, addresses(index)[0])
            .map_err(LabError::step("get a packet through a new cable"))?;
        let name = name.to_owned();
        let inner = Inner { name, index, namespace, router, limited: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The name given at creation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The host's IPv4 address, `10.77.x.y`.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        addresses(self.inner.index)[0]
    }

    /// The host's IPv6 address, `fd77::x`.
    #[must_use]
    pub fn address_v6(&self) -> IpAddr {
        addresses(self.inner.index)[1]
    }

    /// Runs `work` on a new thread inside the host, and waits for it.
    ///
    /// Sockets that it opens, threads and processes that it starts, runtimes
    /// that it builds stay on this host for good, whichever thread uses them.
    /// A panic of `work` goes on in the caller. Programs are better started with
    /// [`Host::spawn`]: what `work` starts dies with the lab too, but is not
    /// found again if this whole process is killed.
    ///
    /// # Panics
    /// With `work`, and if the system has no thread to spare.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.inner.namespace.enter(work)
    }

    /// Starts a program on this host. It dies with the lab at the latest, and
    /// by the kernel's hand if this process is killed.
    ///
    /// # Errors
    /// [`ProcessError::Spawn`] if it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Result<Process, ProcessError> {
        Process::spawn(&self.inner.namespace, command)
    }

    /// Cuts the host off from all others, silently.
    ///
    /// # Errors
    /// What `nft` refuses.
    pub fn isolate(&self) -> Result<(), LabError> {
        let router = &self.inner.router;
        lock(&router.cables).isolate(&router.namespace, self.inner.index)
    }

    /// Undoes [`Host::isolate`], but no cut; no error if it was not isolated.
    ///
    /// # Errors
    /// What `nft` refuses.
    pub fn rejoin(&self) -> Result<(), LabError> {
        let router = &self.inner.router;
        lock(&router.cables).rejoin(&router.namespace, self.inner.index)
    }

    /// Limits what the host sends and what it receives, each to this many bits
    /// per second; packets queue for 50 ms, then they are dropped.
    ///
    /// # Errors
    /// [`Unavailable`] without `tc` or the kernel's token bucket (`sch_tbf`).
    pub fn set_rate(&self, bits_per_second: u64) -> Result<(), LabError> {
        let burst = (bits_per_second / 8 / BURSTS_PER_SECOND).max(MIN_BURST_BYTES);
        let limit =
            format!("tbf rate {bits_per_second}bit burst {burst} latency {RATE_QUEUE_MS}ms");
        *lock(&self.inner.limited) = true;
        self.queue_discipline(&format!("replace dev {{}} root {limit}"))
    }

    /// Ends the limit of [`Host::set_rate`]; no error if there is none.
    ///
    /// # Errors
    /// What `tc` refuses.
    pub fn remove_rate(&self) -> Result<(), LabError> {
        let mut limited = lock(&self.inner.limited);
        if *limited {
            self.queue_discipline("del dev {} root")?;
            *limited = false;
        }
        Ok(())
    }

    /// Chooses how TCP connections opened or accepted on this host from now on
    /// react to loss: `cubic` and `reno` take it for congestion, `bbr` hardly
    /// does. Machines differ in their default, so comparisons under loss should
    /// choose.
    ///
    /// # Errors
    /// [`Unavailable::Setting`] if the kernel does not have it.
    pub fn set_congestion_control(&self, name: &str) -> Result<(), LabError> {
        Ok(self.inner.namespace.set("/proc/sys/net/ipv4/tcp_congestion_control", name)?)
    }

    /// Changes both ends of the cable; `{}` in the change stands for the end.
    fn queue_discipline(&self, change: &str) -> Result<(), LabError> {
        let at = |device: &str| format!("qdisc {}\n", change.replace("{}", device));
        Tool::Tc.run(&self.inner.namespace, &at("eth0"))?;
        Tool::Tc.run(&self.inner.router.namespace, &at(&port(self.inner.index)))?;
        Ok(())
    }

    pub(crate) fn index(&self) -> u16 {
        self.inner.index
    }

    pub(crate) fn is_on(&self, router: &Arc<Router>) -> bool {
        Arc::ptr_eq(&self.inner.router, router)
    }

    /// The kernel's number of the host's namespace.
    pub(crate) fn namespace_id(&self) -> Option<u64> {
        self.inner.namespace.id().ok()
    }
}

/// A host's hardware address, from the range that anybody may use.
fn mac(index: u16) -> String {
    let [high, low] = index.to_be_bytes();
    format!("02:00:00:00:{high:02x}:{low:02x}")
}

/// The router's end of a host's cable.
fn port(index: u16) -> String {
    format!("h{index}")
}

/// Sends packets to the host until one arrives. The kernel activates the end of
/// a cable that came up first some time after the other, and loses silently
/// what is sent before.
fn await_cable(router: &Namespace, host: &Namespace, address: IpAddr) -> io::Result<()> {
    let sender = router.enter(|| UdpSocket::bind((ROUTER, 0)))?;
    let receiver = host.enter(|| UdpSocket::bind((address, 0)))?;
    receiver.set_read_timeout(Some(PROBE_INTERVAL))?;
    let target = receiver.local_addr()?;
    for _ in 0..PROBES {
        // Lost or refused, the next one follows.
        let _ = sender.send_to(&[], target);
        if receiver.recv(&mut []).is_ok() {
            return Ok(());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Lays the cable and tells the router the way to the host. All ports share
/// the router's addresses, as each serves a network of one host. Neighbours
/// are told, not asked for, so that no first packet waits for an answer.
fn router_side(index: u16, tid: i32) -> String {
    let port = port(index);
    let [v4, v6] = addresses(index);
    let mac = mac(index);
    format!(
        "link add {port} address {ROUTER_MAC} type veth peer name eth0 address {mac} netns {tid}\n\
         link set {port} addrgenmode none\n\
         addr add {ROUTER}/32 dev {port}\n\
         addr add fe80::1/64 dev {port} nodad\n\
         link set {port} up\n\
         route add {v4}/32 dev {port}\n\
         route add {v6}/128 dev {port}\n\
         neigh add {v4} lladdr {mac} dev {port}\n\
         neigh add {v6} lladdr {mac} dev {port}\n"
    )
}

/// Gives the host its addresses, usable at once, and the router as its way out.
fn host_side(index: u16) -> String {
    let [v4, v6] = addresses(index);
    format!(
        "link set lo up\n\
         link set eth0 addrgenmode none\n\
         addr add {v4}/32 dev eth0\n\
         addr add {v6}/128 dev eth0 nodad\n\
         link set eth0 up\n\
         route add {ROUTER}/32 dev eth0\n\
         route add default via {ROUTER} dev eth0\n\
         route add ::/0 via fe80::1 dev eth0\n\
         neigh add {ROUTER} lladdr {ROUTER_MAC} dev eth0\n\
         neigh add fe80::1 lladdr {ROUTER_MAC} dev eth0\n"
    )
}
