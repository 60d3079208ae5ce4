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
    /// By how many each is in use: by several only where that was so before this runner began, and one
    /// of them waits.
    gpus: Numbers,
    custom: BTreeMap<String, u64>,
    /// What those get before anything begins who have lent their slots, and want them back.
    wanted_cpus: u64,
    wanted_gpus: Numbers,
    /// What is lent still: taken last.
    lent_gpus: Numbers,
}

/// How many use, or want, each number.
type Numbers = BTreeMap<u32, usize>;

fn add(to: &mut Numbers, gpus: &[u32]) {
    for number in gpus {
        *to.entry(*number).or_default() += 1;
    }
}

fn sub(from: &mut Numbers, gpus: &[u32]) {
    for number in gpus {
        if let Some(count) = from.get_mut(number) {
            *count -= 1;
            if *count == 0 {
                from.remove(number);
            }
        }
    }
}

/// What is kept for those who want their slots back, and are before another.
#[derive(Default)]
pub struct Kept {
    cpus: u64,
    gpus: BTreeSet<u32>,
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

    /// Whether more is in use than there is.
    pub fn is_overfull(&self) -> bool {
        let Resources { cpus, memory, custom, .. } = &self.capacity;
        let is_over = |(name, used): (&String, &u64)| used > custom.get(name).unwrap_or(&0);
        self.cpus > cpus.0.into() || self.memory > memory.0 || self.custom.iter().any(is_over)
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
        let cpus = self.cpus + self.wanted_cpus + u64::from(need.cpus.0);
        let fits = (need.cpus.0 == 0 || cpus <= u64::from(self.capacity.cpus.0))
            && self.memory.saturating_add(need.memory.0) <= self.capacity.memory.0
            && need.custom.iter().all(has);
        let is_free = |number: &u32| {
            !self.gpus.contains_key(number) && !self.wanted_gpus.contains_key(number)
        };
        let mut free: Vec<u32> = match need.gpus {
            0 => Vec::new(),
            _ => (0..self.capacity.gpus).filter(is_free).collect(),
        };
        free.sort_by_key(|number| self.lent_gpus.contains_key(number));
        let gpus: Vec<u32> = free.into_iter().take(need.gpus as usize).collect();
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
            && fits(need.cpus.0.into(), first.cpus.0.into(), self.cpus_taken(), cpus.0.into())
            && fits(need.memory.0, first.memory.0, self.memory, memory.0)
            && fits(need.gpus.into(), first.gpus.into(), self.gpus_taken(), u64::from(*gpus));
        if has_room { self.take(need) } else { None }
    }

    fn cpus_taken(&self) -> u64 {
        self.cpus + self.wanted_cpus
    }

    fn gpus_taken(&self) -> u64 {
        let wanted = self.wanted_gpus.keys().filter(|number| !self.gpus.contains_key(number));
        (self.gpus.len() + wanted.count()) as u64
    }

    /// Somebody who has it waits: his processors and gpus are for others.
    pub fn lend(&mut self, need: &Resources, gpus: &[u32]) {
        self.cpus = self.cpus.saturating_sub(u64::from(need.cpus.0));
        sub(&mut self.gpus, gpus);
        add(&mut self.lent_gpus, gpus);
    }

    /// He is to have them again, before anything begins.
    pub fn want(&mut self, need: &Resources, gpus: &[u32]) {
        self.wanted_cpus += u64::from(need.cpus.0);
        sub(&mut self.lent_gpus, gpus);
        add(&mut self.wanted_gpus, gpus);
    }

    /// He has them again, if they are free beside what is kept for those before him; else they are kept
    /// for him. If nobody has a processor, he does however few there are now.
    pub fn take_back(&mut self, need: &Resources, gpus: &[u32], kept: &mut Kept) -> bool {
        let cpus = u64::from(need.cpus.0);
        let is_alone = self.cpus == 0 && kept.cpus == 0;
        let all = u64::from(self.capacity.cpus.0);
        let has_cpus = cpus == 0 || is_alone || self.cpus + kept.cpus + cpus <= all;
        let is_taken = |it: &u32| self.gpus.contains_key(it) || kept.gpus.contains(it);
        if !has_cpus || gpus.iter().any(is_taken) {
            kept.cpus += cpus;
            kept.gpus.extend(gpus);
            return false;
        }
        self.forget_wanted(need, gpus);
        self.cpus += cpus;
        add(&mut self.gpus, gpus);
        true
    }

    /// Nobody wants them any more.
    pub fn forget_wanted(&mut self, need: &Resources, gpus: &[u32]) {
        self.wanted_cpus = self.wanted_cpus.saturating_sub(u64::from(need.cpus.0));
        sub(&mut self.wanted_gpus, gpus);
    }

    /// Nobody who has lent them comes back.
    pub fn forget_lent(&mut self, gpus: &[u32]) {
        sub(&mut self.lent_gpus, gpus);
    }

    /// Takes what is in use already.
    pub fn occupy(&mut self, need: &Resources, gpus: &[u32]) {
        self.cpus += u64::from(need.cpus.0);
        self.memory = self.memory.saturating_add(need.memory.0);
        add(&mut self.gpus, gpus);
        for (name, count) in &need.custom {
            let used = self.custom.entry(name.clone()).or_default();
            *used = used.saturating_add(*count);
        }
    }

    /// Gives it back.
    pub fn free(&mut self, need: &Resources, gpus: &[u32]) {
        self.cpus = self.cpus.saturating_sub(u64::from(need.cpus.0));
        self.memory = self.memory.saturating_sub(need.memory.0);
        sub(&mut self.gpus, gpus);
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
