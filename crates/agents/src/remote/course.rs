//! What agents are told of the course of the sessions with one node: the end of each, once.

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

    /// The next one begins.
    pub fn begin(&mut self) {
        self.is_over = false;
    }
}
