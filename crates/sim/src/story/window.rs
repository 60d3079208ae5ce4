//! The newest of many things, by numbers that stay.

/// Things that are kept at least; up to twice as many are. A story that is longer is not read from
/// its beginning: what explains a failure is near its end.
const KEPT: usize = 1 << 19;

/// See the module.
#[derive(Debug)]
pub struct Window<T> {
    first: usize,
    things: Vec<T>,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self { first: 0, things: Vec::new() }
    }
}

impl<T> Window<T> {
    /// Adds one: its number.
    pub fn push(&mut self, thing: T) -> usize {
        if self.things.len() >= 2 * KEPT {
            self.things.drain(..KEPT);
            self.first += KEPT;
        }
        self.things.push(thing);
        self.end() - 1
    }

    /// The one of this number, if it is kept.
    pub fn get(&self, number: usize) -> Option<&T> {
        self.things.get(number.checked_sub(self.first)?)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.things.get_mut(number.checked_sub(self.first)?)
    }

    /// Those that are kept, with their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, &T)> {
        self.things.iter().enumerate().map(|(at, thing)| (self.first + at, thing))
    }

    /// The number of the next one.
    pub fn end(&self) -> usize {
        self.first + self.things.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_when_the_oldest_are_dropped() {
        let mut window = Window::default();
        let numbers: Vec<usize> = (0..=2 * KEPT).map(|thing| window.push(thing)).collect();
        assert_eq!(numbers.last(), Some(&(2 * KEPT)));
        assert_eq!(window.get(2 * KEPT), Some(&(2 * KEPT)));
        assert_eq!(window.get(KEPT), Some(&KEPT));
        assert_eq!(window.get(KEPT - 1), None, "it was dropped");
        assert_eq!(window.iter().next(), Some((KEPT, &KEPT)));
    }
}
