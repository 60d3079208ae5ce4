//! Two actors of the loop in which near's nodes are tested, and a delay on what one sends the
//! other. What is passed on is a closure in a heap by virtual time.

use std::sync::Arc;

use anyhow::ensure;
use near_async::messaging::{Actor, CanSend, Handler, LateBoundSender};
use near_async::test_loop::TestLoopV2;
use near_async::test_loop::sender::TestLoopSender;
use near_async::time::Duration;

const DELAY: Duration = Duration::microseconds(100);

/// The ball, with the number of passes so far.
#[derive(Debug)]
struct Ball(u64);

/// Passes the ball on until there were enough passes.
struct Player {
    other: Arc<LateBoundSender<TestLoopSender<Player>>>,
    passes: u64,
    seen: u64,
}

impl Actor for Player {}

impl Handler<Ball> for Player {
    fn handle(&mut self, Ball(passes): Ball) {
        self.seen = passes;
        if passes < self.passes {
            self.other.send(Ball(passes + 1));
        }
    }
}

pub fn play(passes: u64) -> anyhow::Result<()> {
    let mut test_loop = TestLoopV2::new();
    let (one, two) = (LateBoundSender::new(), LateBoundSender::new());
    let player = |other: &Arc<_>| Player { other: Arc::clone(other), passes, seen: 0 };
    let first = test_loop.data.register_actor("one", player(&two), None).with_delay(DELAY);
    let second = test_loop.data.register_actor("two", player(&one), None).with_delay(DELAY);
    one.bind(first.clone());
    two.bind(second.clone());
    first.send(Ball(1));
    let passes_in_time = u32::try_from(passes)?;
    test_loop.run_for(DELAY * passes_in_time);
    let seen = |player: &TestLoopSender<Player>| test_loop.data.get(&player.actor_handle()).seen;
    ensure!(seen(&first).max(seen(&second)) == passes, "the ball was not passed often enough");
    Ok(())
}
