//! Whether a token still counts: once, and for so long. Pure: time is an argument.

use std::time::Instant;

use super::message::Refusal;

/// The life of a token.
#[derive(Debug)]
pub struct Gate {
    expires: Instant,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Nobody has shown it.
    Closed,
    /// Somebody has, and is being listened to.
    Taken,
    /// It was used.
    Used,
}

impl Gate {
    /// For a token that counts until `expires`.
    pub fn new(expires: Instant) -> Self {
        Self { expires, state: State::Closed }
    }

    /// Somebody has proven that they hold the token.
    pub fn take(&mut self, now: Instant) -> Result<(), Refusal> {
        match self.state {
            State::Used => Err(Refusal::Used),
            State::Taken => Err(Refusal::Busy),
            State::Closed if now >= self.expires => Err(Refusal::Expired),
            State::Closed => {
                self.state = State::Taken;
                Ok(())
            }
        }
    }

    /// Whoever held it has done nothing with it.
    pub fn give_back(&mut self) {
        if self.state == State::Taken {
            self.state = State::Closed;
        }
    }

    /// It was used, and never counts again.
    pub fn close(&mut self) {
        self.state = State::Used;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_counts_once_and_for_one_at_a_time() {
        let now = Instant::now();
        let mut gate = Gate::new(now + Duration::from_secs(1));
        assert_eq!(gate.take(now), Ok(()));
        assert_eq!(gate.take(now), Err(Refusal::Busy));
        gate.give_back();
        assert_eq!(gate.take(now), Ok(()));
        gate.close();
        gate.give_back();
        assert_eq!(gate.take(now), Err(Refusal::Used));
    }

    #[test]
    fn a_token_counts_until_it_expires() {
        let now = Instant::now();
        let mut gate = Gate::new(now + Duration::from_secs(1));
        assert_eq!(gate.take(now + Duration::from_secs(1)), Err(Refusal::Expired));
        assert_eq!(gate.take(now + Duration::from_millis(999)), Ok(()));
    }
}
