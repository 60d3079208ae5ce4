//! What a node has, and what of it is in use.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::Resources;

/// See the module. More may be in use than there is: what ran before the node was told to offer
/// less goes on.
#[derive(Default)]
pub struct Room {
    capacity: Resources,
    cpus: u64,
    memory: u64,
    gpus: BTreeSet<u32>,
    custom: BTreeMap<String, u64>,
}

impl Room {
    /// From now on there is so much.
    pub fn resize(&mut self, capacity: Resources) {
        self.capacity = capacity;
    }

    /// What there is.
    pub fn capacity(&self) -> &Resources {
        &self.capacity
    }

    /// Nothing is in use any more.
    pub fn clear(&mut self) {
        *self = Self { capacity: std::mem::take(&mut self.capacity), ..Self::default() };
    }

    /// Whether `need` would fit if nothing else were there.
    pub fn could_fit(&self, need: &Resources) -> bool {
        let Resources { cpus, memory, gpus, custom } = &self.capacity;
        let has = |(name, count): (&String, &u64)| count <= custom.get(name).unwrap_or(&0);
        need.cpus <= *cpus
            && need.memory <= *memory
            && need.gpus <= *gpus
            && need.custom.iter().all(has)
    }

    /// Takes `need`, if it fits: the numbers of its GPUs.
    pub fn take(&mut self, need: &Resources) -> Option<Vec<u32>> {
        let has = |(name, count): (&String, &u64)| {
            let used = self.custom.get(name).unwrap_or(&0);
            count.saturating_add(*used) <= *self.capacity.custom.get(name).unwrap_or(&0)
        };
        let fits = self.cpus + u64::from(need.cpus.0) <= u64::from(self.capacity.cpus.0)
            && self.memory.saturating_add(need.memory.0) <= self.capacity.memory.0
            && need.custom.iter().all(has);
        let free = (0..self.capacity.gpus).filter(|number| !self.gpus.contains(number));
        let gpus: Vec<u32> = free.take(need.gpus as usize).collect();
        if !fits || gpus.len() < need.gpus as usize {
            return None;
        }
        self.occupy(need, &gpus);
        Some(gpus)
    }

    /// Takes `need`, if that leaves `first` the room that it waits for. What `need` has none of does
    /// not matter to it.
    pub fn take_beside(&mut self, need: &Resources, first: &Resources) -> Option<Vec<u32>> {
        let fits = |need: u64, first: u64, used: u64, all: u64| {
            need == 0 || used.saturating_add(first).saturating_add(need) <= all
        };
        let amount = |of: &BTreeMap<String, u64>, name: &str| of.get(name).copied().unwrap_or(0);
        let Resources { cpus, memory, gpus, custom } = &self.capacity;
        let has_custom = need.custom.iter().all(|(name, need)| {
            let first = amount(&first.custom, name);
            fits(*need, first, amount(&self.custom, name), amount(custom, name))
        });
        let has_room = has_custom
            && fits(need.cpus.0.into(), first.cpus.0.into(), self.cpus, cpus.0.into())
            && fits(need.memory.0, first.memory.0, self.memory, memory.0)
            && fits(need.gpus.into(), first.gpus.into(), self.gpus.len() as u64, u64::from(*gpus));
        if has_room { self.take(need) } else { None }
    }

    /// Takes what is in use already.
    pub fn occupy(&mut self, need: &Resources, gpus: &[u32]) {
        self.cpus += u64::from(need.cpus.0);
        self.memory = self.memory.saturating_add(need.memory.0);
        self.gpus.extend(gpus);
        for (name, count) in &need.custom {
            let used = self.custom.entry(name.clone()).or_default();
            *used = used.saturating_add(*count);
        }
    }

    /// Gives it back.
    pub fn free(&mut self, need: &Resources, gpus: &[u32]) {
        self.cpus = self.cpus.saturating_sub(u64::from(need.cpus.0));
        self.memory = self.memory.saturating_sub(need.memory.0);
        for number in gpus {
            self.gpus.remove(number);
        }
        for (name, count) in &need.custom {
            if let Some(used) = self.custom.get_mut(name) {
                *used = used.saturating_sub(*count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Cpus, Size};

    fn of(cpus: u32, memory: u64, gpus: u32, licences: u64) -> Resources {
        let custom = BTreeMap::from([("licence".to_owned(), licences)]);
        Resources { cpus: Cpus(cpus), memory: Size(memory), gpus, custom }
    }

    fn room() -> Room {
        let mut room = Room::default();
        room.resize(of(4000, 100, 3, 2));
        room
    }

    #[test]
    fn each_resource_bounds_what_fits() {
        for small in [of(1500, 0, 0, 0), of(0, 40, 0, 0), of(0, 0, 2, 0), of(0, 0, 0, 1)] {
            let mut room = room();
            let mut taken = 0;
            while room.take(&small).is_some() {
                taken += 1;
            }
            assert_eq!(taken, if small.gpus > 0 { 1 } else { 2 }, "{small:?}");
        }
    }

    #[test]
    fn a_gpu_is_given_to_one_at_a_time() {
        let mut room = room();
        let one = of(0, 0, 1, 0);
        assert_eq!(room.take(&one), Some(vec![0]));
        room.occupy(&one, &[2]);
        assert_eq!(room.take(&one), Some(vec![1]));
        assert_eq!(room.take(&one), None);
        room.free(&one, &[0]);
        assert_eq!(room.take(&one), Some(vec![0]));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut room = room();
        let all = of(4000, 100, 3, 2);
        let gpus = room.take(&all).unwrap();
        assert_eq!(room.take(&of(1, 0, 0, 0)), None);
        room.free(&all, &gpus);
        assert_eq!(room.take(&all), Some(gpus));
    }

    #[test]
    fn what_a_node_does_not_have_fits_never() {
        let mut need = of(0, 0, 0, 0);
        need.custom.insert("tape".to_owned(), 1);
        assert!(!room().could_fit(&need));
        assert_eq!(room().take(&need), None);
        assert!(room().could_fit(&of(4000, 100, 3, 2)));
        assert!(!room().could_fit(&of(4001, 0, 0, 0)));
    }
}
