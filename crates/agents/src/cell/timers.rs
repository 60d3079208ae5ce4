//! Which setting of each timer counts.

use crate::id::TimerKey;

/// The timers that are set, each with its generation. Agents have few: a short list is faster and
/// smaller than a map.
#[derive(Default)]
pub struct Timers {
    set: Vec<(TimerKey, u64)>,
    generation: u64,
}

impl Timers {
    /// Sets a timer: its generation, and the one that it replaces.
    pub fn set(&mut self, key: TimerKey) -> (u64, Option<u64>) {
        let replaced = self.cancel(key);
        self.generation += 1;
        self.set.push((key, self.generation));
        (self.generation, replaced)
    }

    /// Cancels a timer: the generation that was set.
    pub fn cancel(&mut self, key: TimerKey) -> Option<u64> {
        let at = self.set.iter().position(|(set, _)| *set == key)?;
        Some(self.set.swap_remove(at).1)
    }

    /// Whether this setting counts still; if so it has fired.
    pub fn take(&mut self, key: TimerKey, generation: u64) -> bool {
        let at = self.set.iter().position(|set| *set == (key, generation));
        at.map(|at| self.set.swap_remove(at)).is_some()
    }

    /// Whether this setting still counts.
    pub fn has(&self, key: TimerKey, generation: u64) -> bool {
        self.set.contains(&(key, generation))
    }

    /// Cancels all.
    pub fn clear(&mut self) -> Vec<(TimerKey, u64)> {
        std::mem::take(&mut self.set)
    }
}
