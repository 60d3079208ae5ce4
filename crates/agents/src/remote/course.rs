//! What agents are told of the course of the sessions with one node: the end of each, once.

use dx_transport::session::Direction;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    has_met: bool,
    is_over: bool,
}

impl Course {
    /// There is a link. Whether a session that is not the first begins with it: then the one before
    /// [is over](Self::over), and this one is to [begin](Self::begin).
    #[must_use]
    pub fn up(&mut self, resumed: bool) -> bool {
        std::mem::replace(&mut self.has_met, true) && !resumed
    }

    /// The session is over. Whether that is yet to be told.
    #[must_use]
    pub fn over(&mut self) -> bool {
        !std::mem::replace(&mut self.is_over, true)
    }

    /// Messages were lost. Whether the session's end is yet to be told.
    ///
    /// What a receiver missed it learns with the next session, when the end of the one they were of
    /// is told already: to take that for the end of the next one would hide the real one.
    #[must_use]
    pub fn lost(&mut self, by: Direction) -> bool {
        by == Direction::Sent && self.over()
    }

    /// The next one begins.
    pub fn begin(&mut self) {
        self.is_over = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_each_session_is_told_once_whatever_says_so_first() {
        let mut course = Course::default();
        assert!(!course.up(false), "the first session follows none");
        for _ in 0..3 {
            assert!(course.lost(Direction::Sent));
            assert!(!course.over());
            assert!(course.up(false));
            assert!(!course.over());
            course.begin();
        }
    }

    #[test]
    fn a_session_that_goes_on_is_not_over() {
        let mut course = Course::default();
        assert!(!course.up(false));
        assert!(!course.up(true));
        assert!(course.over());
    }

    #[test]
    fn what_a_receiver_missed_of_the_session_before_does_not_end_this_one() {
        let mut course = Course::default();
        assert!(!course.up(false) && course.up(false) && course.over());
        course.begin();
        assert!(!course.lost(Direction::Received));
        assert!(course.over(), "the end of this session is not hidden");
    }
}
