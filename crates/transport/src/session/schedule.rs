//! Which lane sends next: control strictly first, the others by deficit round robin
//! (Shreedhar and Varghese, SIGCOMM 1995) in quanta of whole frames.

use crate::lane::{Lane, LaneConfig};
use crate::limits::MAX_FRAME;

#[derive(Debug)]
pub(crate) struct Schedule {
    quanta: Vec<usize>,
    deficits: Vec<usize>,
    /// The lane whose turn it is, among those after control.
    turn: usize,
}

impl Schedule {
    pub(crate) fn new(lanes: &[LaneConfig]) -> Self {
        let quanta: Vec<_> =
            lanes.iter().map(|lane| usize::from(lane.weight) * MAX_FRAME).collect();
        let deficits = quanta.clone();
        Self { quanta, deficits, turn: 1 }
    }

    /// The lane that sends the next frame, of those for which `can_send` says yes.
    pub(crate) fn next(&mut self, mut can_send: impl FnMut(Lane) -> bool) -> Option<Lane> {
        if can_send(Lane::CONTROL) {
            return Some(Lane::CONTROL);
        }
        // One round gives every lane a chance; a second one finds lanes whose deficit was used up.
        for _ in 0..2 * self.quanta.len() {
            if self.turn >= self.quanta.len() {
                self.turn = 1;
            }
            if self.turn >= self.quanta.len() {
                return None;
            }
            let lane = Lane(self.turn as u8);
            if self.deficits[self.turn] > 0 && can_send(lane) {
                return Some(lane);
            }
            self.deficits[self.turn] = self.quanta[self.turn];
            self.turn += 1;
        }
        None
    }

    /// `lane` sent a frame of `bytes`.
    pub(crate) fn charge(&mut self, lane: Lane, bytes: usize) {
        let deficit = &mut self.deficits[lane.index()];
        *deficit = deficit.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(weights: &[u8]) -> Vec<LaneConfig> {
        weights.iter().map(|weight| LaneConfig::new("test", *weight)).collect()
    }

    #[test]
    fn control_goes_before_everything() {
        let mut schedule = Schedule::new(&lanes(&[1, 1, 1]));
        for _ in 0..100 {
            assert_eq!(schedule.next(|_| true), Some(Lane::CONTROL));
            schedule.charge(Lane::CONTROL, MAX_FRAME);
        }
    }

    #[test]
    fn busy_lanes_share_by_weight() {
        let mut schedule = Schedule::new(&lanes(&[1, 3, 1]));
        let mut sent = [0; 3];
        for _ in 0..400 {
            let lane = schedule.next(|lane| lane != Lane::CONTROL).unwrap();
            schedule.charge(lane, MAX_FRAME);
            sent[lane.index()] += 1;
        }
        assert_eq!(sent, [0, 300, 100]);
    }

    #[test]
    fn an_idle_lane_saves_nothing_up() {
        let mut schedule = Schedule::new(&lanes(&[1, 1, 1]));
        for _ in 0..100 {
            assert_eq!(schedule.next(|lane| lane == Lane(2)), Some(Lane(2)));
            schedule.charge(Lane(2), MAX_FRAME);
        }
        let mut sent = [0; 3];
        for _ in 0..10 {
            let lane = schedule.next(|lane| lane != Lane::CONTROL).unwrap();
            schedule.charge(lane, MAX_FRAME);
            sent[lane.index()] += 1;
        }
        assert!(sent[1] <= 6 && sent[2] >= 4, "{sent:?}");
    }

    #[test]
    fn a_single_lane_is_control() {
        let mut schedule = Schedule::new(&lanes(&[1]));
        assert_eq!(schedule.next(|_| false), None);
        assert_eq!(schedule.next(|_| true), Some(Lane::CONTROL));
    }
}
