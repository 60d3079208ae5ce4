//! How much of what: of a task's needs, of a node's capacity, of what is in use there.

use std::collections::BTreeMap;

use crate::job::{Cpus, Resources, Size};

/// Amounts of resources. What has no entry in `custom` is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amounts {
    /// Processors, in thousandths.
    pub cpus: u64,
    /// Bytes.
    pub memory: u64,
    /// Whole ones.
    pub gpus: u64,
    /// By name.
    pub custom: BTreeMap<String, u64>,
}

impl Amounts {
    /// Whether `need` fits beside this, in `capacity`.
    #[must_use]
    pub fn leaves_room_for(&self, need: &Self, capacity: &Self) -> bool {
        self.lack(need, capacity).is_none()
    }

    /// What of `need` does not fit beside this in `capacity`, by name.
    #[must_use]
    pub fn lack(&self, need: &Self, capacity: &Self) -> Option<String> {
        let misses = |need: u64, used: u64, all: u64| need > 0 && used.saturating_add(need) > all;
        if misses(need.cpus, self.cpus, capacity.cpus) {
            return Some("cpus".to_owned());
        }
        if misses(need.memory, self.memory, capacity.memory) {
            return Some("memory".to_owned());
        }
        if misses(need.gpus, self.gpus, capacity.gpus) {
            return Some("gpus".to_owned());
        }
        let amount = |of: &BTreeMap<String, u64>, name: &str| of.get(name).copied().unwrap_or(0);
        let custom = need.custom.iter().find(|(name, need)| {
            misses(**need, amount(&self.custom, name), amount(&capacity.custom, name))
        });
        custom.map(|(name, _)| name.clone())
    }

    /// How much there is of what [`lack`](Self::lack) names: to be compared, and for people.
    #[must_use]
    pub fn of(&self, name: &str) -> (u64, String) {
        let amount = match name {
            "cpus" => self.cpus,
            "memory" => self.memory,
            "gpus" => self.gpus,
            name => self.custom.get(name).copied().unwrap_or(0),
        };
        let text = match name {
            "cpus" => Resources::from(self).cpus.to_string(),
            "memory" => Size(amount).to_string(),
            _ => amount.to_string(),
        };
        (amount, text)
    }

    /// Adds `more`, as far as there are numbers for it.
    pub fn add(&mut self, more: &Self) {
        self.cpus = self.cpus.saturating_add(more.cpus);
        self.memory = self.memory.saturating_add(more.memory);
        self.gpus = self.gpus.saturating_add(more.gpus);
        for (name, amount) in &more.custom {
            let sum = self.custom.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }

    /// Takes `less` away, which was added before.
    pub fn sub(&mut self, less: &Self) {
        self.cpus = self.cpus.saturating_sub(less.cpus);
        self.memory = self.memory.saturating_sub(less.memory);
        self.gpus = self.gpus.saturating_sub(less.gpus);
        for (name, amount) in &less.custom {
            let left = self.custom.get(name).map_or(0, |left| left.saturating_sub(*amount));
            if left == 0 {
                self.custom.remove(name);
            } else {
                self.custom.insert(name.clone(), left);
            }
        }
    }

    /// What of it somebody gives up who waits for others: a process that sleeps still has its memory,
    /// and what is custom may be anything.
    #[must_use]
    pub fn given_up(&self) -> Self {
        Self { cpus: self.cpus, gpus: self.gpus, ..Self::default() }
    }

    /// The largest share that this is of any resource of `capacity`, in millionths.
    #[must_use]
    pub fn share(&self, capacity: &Self) -> u64 {
        let part = |used: u64, all: u64| match all {
            0 => 0,
            _ => (u128::from(used) * 1_000_000 / u128::from(all)) as u64,
        };
        let custom = self
            .custom
            .iter()
            .map(|(name, used)| part(*used, capacity.custom.get(name).copied().unwrap_or(0)));
        let fixed = [
            part(self.cpus, capacity.cpus),
            part(self.memory, capacity.memory),
            part(self.gpus, capacity.gpus),
        ];
        fixed.into_iter().chain(custom).max().unwrap_or(0)
    }
}

impl From<&Resources> for Amounts {
    fn from(it: &Resources) -> Self {
        Self {
            cpus: u64::from(it.cpus.0),
            memory: it.memory.0,
            gpus: u64::from(it.gpus),
            custom: it
                .custom
                .iter()
                .filter(|(_, n)| **n > 0)
                .map(|(k, n)| (k.clone(), *n))
                .collect(),
        }
    }
}

impl From<&Amounts> for Resources {
    fn from(it: &Amounts) -> Self {
        Self {
            cpus: Cpus(u32::try_from(it.cpus).unwrap_or(u32::MAX)),
            memory: Size(it.memory),
            gpus: u32::try_from(it.gpus).unwrap_or(u32::MAX),
            custom: it.custom.clone(),
        }
    }
}
