//! A set of the router's firewall, and what it holds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Direction;
use crate::LabError;
use crate::lab::addresses;
use crate::namespace::Namespace;
use crate::tool::Tool;

/// What a set may hold, written once per family of addresses.
pub(super) trait Element: Copy + Ord {
    /// The element with IPv4 and with IPv6 addresses.
    fn in_families(self) -> [String; 2];
}

impl Element for Direction {
    fn in_families(self) -> [String; 2] {
        let [from4, from6] = addresses(self.from);
        let [to4, to6] = addresses(self.to);
        [format!("{from4} . {to4}"), format!("{from6} . {to6}")]
    }
}

/// A host, by its index.
impl Element for u16 {
    fn in_families(self) -> [String; 2] {
        addresses(self).map(|address| address.to_string())
    }
}

/// A pair of nftables sets, `NAME4` and `NAME6`.
///
/// The kernel refuses to delete what a set does not hold, so this remembers.
#[derive(Debug)]
pub(super) struct Set<T> {
    name: &'static str,
    members: BTreeSet<T>,
}

impl<T: Element> Set<T> {
    /// The empty set, which the firewall's rules declare.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, members: BTreeSet::new() }
    }

    pub(super) fn contains(&self, element: T) -> bool {
        self.members.contains(&element)
    }

    /// Adds what is missing, all at the same moment.
    pub(super) fn add(&mut self, router: &Namespace, wanted: &[T]) -> Result<(), LabError> {
        let new: BTreeSet<T> =
            wanted.iter().copied().filter(|element| !self.contains(*element)).collect();
        self.change(router, "add", &new)?;
        self.members.extend(new);
        Ok(())
    }

    /// Removes what is there, all at the same moment.
    pub(super) fn remove(&mut self, router: &Namespace, unwanted: &[T]) -> Result<(), LabError> {
        let old: BTreeSet<T> =
            unwanted.iter().copied().filter(|element| self.contains(*element)).collect();
        self.change(router, "delete", &old)?;
        self.members.retain(|element| !old.contains(element));
        Ok(())
    }

    /// Removes everything.
    pub(super) fn clear(&mut self, router: &Namespace) -> Result<(), LabError> {
        let all: Vec<T> = self.members.iter().copied().collect();
        self.remove(router, &all)
    }

    /// One script is one transaction: the kernel does all of it or nothing.
    fn change(
        &self,
        router: &Namespace,
        verb: &str,
        elements: &BTreeSet<T>,
    ) -> Result<(), LabError> {
        if elements.is_empty() {
            return Ok(());
        }
        let mut script = String::new();
        for [v4, v6] in elements.iter().map(|element| element.in_families()) {
            for (family, element) in [(4, v4), (6, v6)] {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    script,
                    "{verb} element inet lab {}{family} {{ {element} }}",
                    self.name
                );
            }
        }
        Tool::Nft.run(router, &script).map(drop)
    }
}
