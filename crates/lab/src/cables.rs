//! Cuts, isolation and the way to the shaper: nftables sets in the router.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::LabError;
use crate::lab::addresses;
use crate::namespace::Namespace;
use crate::shaper::{MARK, NEAR};
use crate::tool::Tool;

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
}

/// What is cut, isolated and shaped now, as the kernel has it.
///
/// The kernel refuses to delete what a set does not hold, so this remembers.
#[derive(Debug, Default)]
pub(crate) struct Cables {
    cut: BTreeSet<Direction>,
    isolated: BTreeSet<u16>,
    shaped: BTreeSet<Direction>,
}

impl Cables {
    /// Loads the empty sets and the rules that read them.
    pub(crate) fn install(router: &Namespace) -> Result<Self, LabError> {
        Tool::Nft.run(router, &rules())?;
        Ok(Self::default())
    }

    pub(crate) fn cut(&mut self, router: &Namespace, way: Direction) -> Result<(), LabError> {
        if !self.cut.contains(&way) {
            Tool::Nft.run(router, &pair("add", "cut", way))?;
            self.cut.insert(way);
        }
        Ok(())
    }

    pub(crate) fn heal(&mut self, router: &Namespace, way: Direction) -> Result<(), LabError> {
        if self.cut.contains(&way) {
            Tool::Nft.run(router, &pair("delete", "cut", way))?;
            self.cut.remove(&way);
        }
        Ok(())
    }

    /// The packets that the present cut has swallowed in a direction.
    pub(crate) fn dropped(&self, router: &Namespace, way: Direction) -> Result<u64, LabError> {
        if !self.cut.contains(&way) {
            return Ok(0);
        }
        let table = Tool::Nft.run(router, "list table inet lab\n")?;
        let [from4, from6] = addresses(way.from);
        let [to4, to6] = addresses(way.to);
        let pairs = [format!("{from4} . {to4}"), format!("{from6} . {to6}")];
        Ok(pairs.iter().filter_map(|pair| counter(&table, pair)).sum())
    }

    pub(crate) fn isolate(&mut self, router: &Namespace, host: u16) -> Result<(), LabError> {
        if !self.isolated.contains(&host) {
            Tool::Nft.run(router, &single("add", "isolated", host))?;
            self.isolated.insert(host);
        }
        Ok(())
    }

    pub(crate) fn rejoin(&mut self, router: &Namespace, host: u16) -> Result<(), LabError> {
        if self.isolated.contains(&host) {
            Tool::Nft.run(router, &single("delete", "isolated", host))?;
            self.isolated.remove(&host);
        }
        Ok(())
    }

    pub(crate) fn heal_all(&mut self, router: &Namespace) -> Result<(), LabError> {
        let flush = "flush set inet lab cut4\nflush set inet lab cut6\n\
                     flush set inet lab isolated4\nflush set inet lab isolated6\n";
        Tool::Nft.run(router, flush)?;
        self.cut.clear();
        self.isolated.clear();
        Ok(())
    }

    pub(crate) fn steer(&mut self, router: &Namespace, way: Direction) -> Result<(), LabError> {
        if !self.shaped.contains(&way) {
            Tool::Nft.run(router, &pair("add", "shaped", way))?;
            self.shaped.insert(way);
        }
        Ok(())
    }

    pub(crate) fn unsteer(&mut self, router: &Namespace, way: Direction) -> Result<(), LabError> {
        if self.shaped.contains(&way) {
            Tool::Nft.run(router, &pair("delete", "shaped", way))?;
            self.shaped.remove(&way);
        }
        Ok(())
    }
}

/// The whole rule set. A packet that comes out of the shaper passes a second
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

/// Adds or deletes a pair of addresses, in both families.
fn pair(verb: &str, set: &str, way: Direction) -> String {
    let [from4, from6] = addresses(way.from);
    let [to4, to6] = addresses(way.to);
    format!(
        "{verb} element inet lab {set}4 {{ {from4} . {to4} }}\n\
         {verb} element inet lab {set}6 {{ {from6} . {to6} }}\n"
    )
}

/// Adds or deletes a host's addresses, in both families.
fn single(verb: &str, set: &str, host: u16) -> String {
    let [v4, v6] = addresses(host);
    format!(
        "{verb} element inet lab {set}4 {{ {v4} }}\n\
         {verb} element inet lab {set}6 {{ {v6} }}\n"
    )
}

/// The packets counted beside an element in a listing such as
/// `10.77.0.2 . 10.77.0.3 counter packets 3 bytes 180, ...`.
fn counter(listing: &str, element: &str) -> Option<u64> {
    let start = format!("{element} counter packets ");
    listing.split_once(&start)?.1.split(' ').next()?.parse().ok()
}
