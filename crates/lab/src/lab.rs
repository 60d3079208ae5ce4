//! The lab: a router and its hosts.

use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cables::{Cables, Direction};
use crate::namespace::Namespace;
use crate::shaper::{Shape, Shaper, Traffic};
use crate::{Host, LabError, Unavailable, host, stragglers};

/// Hosts on one router.
///
/// Dropping it, in a panic too, kills every process left on its hosts and
/// stops the shaper; the namespaces go when the last [`Host`] and the last
/// socket in them are gone.
#[derive(Debug)]
pub struct Lab {
    name: String,
    router: Arc<Router>,
    hosts: Mutex<Vec<Host>>,
}

/// The namespace in the middle.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) namespace: Namespace,
    pub(crate) cables: Mutex<Cables>,
    /// Started with the first shaped pair, as it needs more of the machine
    /// than the rest.
    shaper: Mutex<Option<Shaper>>,
}

/// Locks even after a test's thread has panicked inside: each change under
/// these locks leaves a state that can be cleaned up.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernel settings that make a router of a namespace.
const ROUTER_SETTINGS: [(&str, &str); 4] = [
    ("/proc/sys/net/ipv4/ip_forward", "1"),
    ("/proc/sys/net/ipv6/conf/all/forwarding", "1"),
    // Shaped packets come back through another interface than their way home.
    ("/proc/sys/net/ipv4/conf/all/rp_filter", "0"),
    ("/proc/sys/net/ipv4/conf/default/rp_filter", "0"),
];

impl Lab {
    /// Creates a lab without hosts; `name` appears in thread names only.
    ///
    /// First it kills what a lab whose process was killed has left running.
    ///
    /// # Errors
    /// [`LabError::Unavailable`] if the machine has no network namespaces for
    /// this user, or lacks `ip` or `nft`.
    pub fn new(name: &str) -> Result<Self, LabError> {
        stragglers::sweep();
        let namespace =
            Namespace::new(format!("{name}/router")).map_err(Unavailable::NoNetworkNamespaces)?;
        for (setting, value) in ROUTER_SETTINGS {
            namespace.set(setting, value)?;
        }
        let cables = Mutex::new(Cables::install(&namespace)?);
        let router = Arc::new(Router { namespace, cables, shaper: Mutex::default() });
        Ok(Self { name: name.to_owned(), router, hosts: Mutex::default() })
    }

    /// Adds a host and connects it to the router.
    ///
    /// # Errors
    /// [`LabError::Full`] beyond 250 hosts, else what the machine refuses.
    pub fn host(&self, name: &str) -> Result<Host, LabError> {
        let mut hosts = lock(&self.hosts);
        let index = host::index(hosts.len())?;
        let host = Host::connect(&self.name, name, index, Arc::clone(&self.router))?;
        hosts.push(host.clone());
        Ok(host)
    }

    /// Cuts the cable between two hosts: packets vanish, nobody is told.
    ///
    /// # Errors
    /// What `nft` refuses; hosts of different labs.
    pub fn cut(&self, a: &Host, b: &Host) -> Result<(), LabError> {
        let ways = self.direction(a, b)?.both();
        lock(&self.router.cables).cut(&self.router.namespace, &ways)
    }

    /// Cuts only what `from` sends to `to`; the way back stays open.
    ///
    /// # Errors
    /// What `nft` refuses; hosts of different labs.
    pub fn cut_one_way(&self, from: &Host, to: &Host) -> Result<(), LabError> {
        let way = self.direction(from, to)?;
        lock(&self.router.cables).cut(&self.router.namespace, &[way])
    }

    /// Cuts every cable between the two sides at the same moment; within each
    /// side all stays as it is.
    ///
    /// # Errors
    /// What `nft` refuses; hosts of different labs.
    pub fn partition(&self, side: &[&Host], other: &[&Host]) -> Result<(), LabError> {
        let mut ways = Vec::new();
        for (a, b) in side.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
            ways.extend(self.direction(a, b)?.both());
        }
        lock(&self.router.cables).cut(&self.router.namespace, &ways)
    }

    /// How many packets from `from` to `to` the present cut has swallowed: the
    /// proof that something was sent and did not arrive. Zero without a cut;
    /// [`Host::isolate`] does not count.
    ///
    /// # Errors
    /// What `nft` refuses; hosts of different labs.
    pub fn dropped(&self, from: &Host, to: &Host) -> Result<u64, LabError> {
        let direction = self.direction(from, to)?;
        lock(&self.router.cables).dropped(&self.router.namespace, direction)
    }

    /// Undoes the cuts between two hosts, both ways; no error if there are none.
    ///
    /// # Errors
    /// What `nft` refuses; hosts of different labs.
    pub fn heal(&self, a: &Host, b: &Host) -> Result<(), LabError> {
        let ways = self.direction(a, b)?.both();
        lock(&self.router.cables).heal(&self.router.namespace, &ways)
    }

    /// Undoes all cuts and isolations.
    ///
    /// # Errors
    /// What `nft` refuses.
    pub fn heal_all(&self) -> Result<(), LabError> {
        lock(&self.router.cables).heal_all(&self.router.namespace)
    }

    /// Delays and loses packets between two hosts, each way by itself; replaces
    /// an earlier shape.
    ///
    /// # Errors
    /// [`Unavailable::NoPacketSocket`] where user space may not handle packets;
    /// [`LabError::Loss`] for a loss outside 0 to 1.
    pub fn shape(&self, a: &Host, b: &Host, shape: Shape) -> Result<(), LabError> {
        self.shape_ways(&self.direction(a, b)?.both(), shape)
    }

    /// Delays and loses only what `from` sends to `to`.
    ///
    /// # Errors
    /// As [`Lab::shape`].
    pub fn shape_one_way(&self, from: &Host, to: &Host, shape: Shape) -> Result<(), LabError> {
        self.shape_ways(&[self.direction(from, to)?], shape)
    }

    /// Delays and loses packets between all hosts that the lab has now.
    ///
    /// # Errors
    /// As [`Lab::shape`].
    pub fn shape_all(&self, shape: Shape) -> Result<(), LabError> {
        let indices: Vec<u16> = lock(&self.hosts).iter().map(Host::index).collect();
        let pairs = indices.iter().flat_map(|from| indices.iter().map(move |to| (*from, *to)));
        let ways: Vec<Direction> = pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| Direction { from, to })
            .collect();
        self.shape_ways(&ways, shape)
    }

    fn shape_ways(&self, ways: &[Direction], shape: Shape) -> Result<(), LabError> {
        shape.check()?;
        self.with_shaper(|shaper| ways.iter().for_each(|way| shaper.set(*way, shape)))?;
        lock(&self.router.cables).steer(&self.router.namespace, ways)
    }

    /// Ends delay and loss between two hosts; packets under way still arrive.
    ///
    /// # Errors
    /// What `nft` refuses; hosts of different labs.
    pub fn unshape(&self, a: &Host, b: &Host) -> Result<(), LabError> {
        let ways = self.direction(a, b)?.both();
        lock(&self.router.cables).unsteer(&self.router.namespace, &ways)
    }

    /// What the shaper did to the packets that `from` sent to `to`; all zero
    /// if that direction was never shaped.
    #[must_use]
    pub fn traffic(&self, from: &Host, to: &Host) -> Traffic {
        let shaper = lock(&self.router.shaper);
        let way = self.direction(from, to).ok();
        shaper.as_ref().zip(way).map(|(shaper, way)| shaper.traffic(way)).unwrap_or_default()
    }

    /// How many packets were sent to the shaper that it has not seen: they wait
    /// for it, or the kernel has dropped them because it could not keep up.
    /// Zero at rest proves that nothing was lost unasked.
    ///
    /// # Errors
    /// If the kernel's counters cannot be read.
    pub fn unseen(&self) -> Result<u64, LabError> {
        let shaper = lock(&self.router.shaper);
        let unseen = shaper.as_ref().map(|shaper| shaper.unseen(&self.router.namespace));
        unseen.unwrap_or(Ok(0)).map_err(LabError::step("count the shaper's packets"))
    }

    fn with_shaper(&self, change: impl FnOnce(&Shaper)) -> Result<(), LabError> {
        let mut slot = lock(&self.router.shaper);
        let shaper = match slot.take() {
            Some(shaper) => shaper,
            None => Shaper::start(&self.router.namespace)?,
        };
        change(&shaper);
        *slot = Some(shaper);
        Ok(())
    }

    fn direction(&self, from: &Host, to: &Host) -> Result<Direction, LabError> {
        for host in [from, to] {
            if !host.is_on(&self.router) {
                return Err(LabError::Stranger(host.name().to_owned()));
            }
        }
        Ok(Direction { from: from.index(), to: to.index() })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let hosts = mem::take(&mut *lock(&self.hosts));
        let namespaces: Vec<u64> = hosts.iter().filter_map(Host::namespace_id).collect();
        // The hosts live on meanwhile, so their numbers cannot be given to others.
        stragglers::clear(&namespaces);
        *lock(&self.router.shaper) = None;
    }
}

/// The address of host `index` in each family.
pub(crate) fn addresses(index: u16) -> [IpAddr; 2] {
    let [high, low] = index.to_be_bytes();
    [IpAddr::from([10, 77, high, low]), IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, index])]
}
