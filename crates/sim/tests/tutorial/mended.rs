use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Instant, TimerKey};

use crate::lock::{Holder, LEASE, LOCK, Say};

/// A client that counts its lease from before the lock did.
#[derive(Default)]
pub struct Careful {
    number: u32,
    asked: Instant,
    until: Instant,
}

impl Agent for Careful {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        self.timer(TimerKey(0), cx);
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        self.number += 1;
        self.asked = cx.now();
        cx.send(LOCK, Say::Acquire(self.number));
        let pause = 30 + cx.rng().below(60);
        cx.set_timer(key, Duration::from_millis(pause));
    }

    fn message(&mut self, _: AgentId, say: Say, cx: &mut Context) {
        if let Say::Granted(number) = say
            && number == self.number
        {
            self.until = self.asked + LEASE;
            cx.cancel(TimerKey(0));
        }
    }
}

impl Holder for Careful {
    fn holds(&self, now: Instant) -> bool {
        now < self.until
    }

    fn had_it(&self) -> bool {
        self.until > Instant::default()
    }
}
