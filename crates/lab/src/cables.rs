//! Cuts, isolation and the way to the shaper: a firewall in the router.

mod set;

use std::fmt::Write as _;

use crate::LabError;
use crate::namespace::Namespace;
use crate::shaper::{MARK, NEAR};
use crate::tool::Tool;
use set::{Element as _, Set};

/// One way between two hosts, by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Direction {
    pub(crate) from: u16,
    pub(crate) to: u16,
}

impl Direction {
    pub(crate) fn reversed(self) -> Self {
        Self { from: self.to, to: self.from }
    }

    pub(crate) fn both(self) -> [Self; 2] {
        [self, self.reversed()]
    }
}

/// What is cut, isolated and shaped now, as the kernel has it.
#[derive(Debug)]
pub(crate) struct Cables {
    cut: Set<Direction>,
    shaped: Set<Direction>,
    isolated: Set<u16>,
}

impl Cables {
    /// Loads the rules and the empty sets that they read.
    pub(crate) fn install(router: &Namespace) -> Result<Self, LabError> {
        Tool::Nft.run(router, &rules())?;
        let (cut, shaped) = (Set::new("cut"), Set::new("shaped"));
        Ok(Self { cut, shaped, isolated: Set::new("isolated") })
    }

    pub(crate) fn cut(&mut self, router: &Namespace, ways: &[Direction]) -> Result<(), LabError> {
        self.cut.add(router, ways)
    }

    pub(crate) fn heal(&mut self, router: &Namespace, ways: &[Direction]) -> Result<(), LabError> {
        self.cut.remove(router, ways)
    }

    pub(crate) fn isolate(&mut self, router: &Namespace, host: u16) -> Result<(), LabError> {
        self.isolated.add(router, &[host])
    }

    pub(crate) fn rejoin(&mut self, router: &Namespace, host: u16) -> Result<(), LabError> {
        self.isolated.remove(router, &[host])
    }

    pub(crate) fn heal_all(&mut self, router: &Namespace) -> Result<(), LabError> {
        self.cut.clear(router)?;
        self.isolated.clear(router)
    }

    /// Sends these ways through the shaper.
    pub(crate) fn steer(&mut self, router: &Namespace, ways: &[Direction]) -> Result<(), LabError> {
        self.shaped.add(router, ways)
    }

    /// Sends these ways past the shaper again.
    pub(crate) fn unsteer(
        &mut self,
        router: &Namespace,
        ways: &[Direction],
    ) -> Result<(), LabError> {
        self.shaped.remove(router, ways)
    }

    /// The packets that the present cut has swallowed in a direction.
    pub(crate) fn dropped(&self, router: &Namespace, way: Direction) -> Result<u64, LabError> {
        if !self.cut.contains(way) {
            return Ok(0);
        }
        let table = Tool::Nft.run(router, "list table inet lab\n")?;
        Ok(way.in_families().iter().filter_map(|pair| counter(&table, pair)).sum())
    }
}

/// The whole firewall. A packet that comes out of the shaper passes a second
/// time: it is not steered again, but a cut made meanwhile still stops it.
fn rules() -> String {
    let mut text = String::from("table inet lab {\n");
    for (family, ip) in [(4, "ip"), (6, "ip6")] {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "set cut{family} {{ type ipv{family}_addr . ipv{family}_addr; counter; }}
             set shaped{family} {{ type ipv{family}_addr . ipv{family}_addr; }}
             set isolated{family} {{ type ipv{family}_addr; }}
             chain steer{family} {{
                 type filter hook prerouting priority mangle; policy accept;
                 iifname \"{NEAR}\" accept
                 {ip} saddr . {ip} daddr @shaped{family} meta mark set {MARK}
             }}
             chain cables{family} {{
                 type filter hook forward priority filter; policy accept;
                 {ip} saddr . {ip} daddr @cut{family} drop
                 {ip} saddr @isolated{family} drop
                 {ip} daddr @isolated{family} drop
             }}\n"
        );
    }
    text + "}\n"
}

/// The packets counted beside an element in a listing such as
/// `10.77.0.2 . 10.77.0.3 counter packets 3 bytes 180, ...`.
fn counter(listing: &str, element: &str) -> Option<u64> {
    let start = format!(" {element} counter packets ");
    listing.split_once(&start)?.1.split(' ').next()?.parse().ok()
}
