//! Two actors of a model, on an ordered network, tried breadth first by one thread: depth first
//! it carries the whole way so far along. There is one order only, so each state is a pass; each is
//! hashed and kept, as a checker must.

use std::borrow::Cow;

use anyhow::ensure;
use stateright::actor::{Actor, ActorModel, Id, Network, Out};
use stateright::{Checker, Expectation, Model};

struct Player {
    other: Id,
    serves: bool,
    passes: u64,
}

impl Actor for Player {
    type Msg = u64;
    type Timer = ();
    type State = u64;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> u64 {
        if self.serves {
            out.send(self.other, 1);
        }
        0
    }

    fn on_msg(&self, _: Id, state: &mut Cow<u64>, from: Id, ball: u64, out: &mut Out<Self>) {
        *state.to_mut() = ball;
        if ball < self.passes {
            out.send(from, ball + 1);
        }
    }
}

pub fn play(passes: u64) -> anyhow::Result<()> {
    let player = |other: usize, serves| Player { other: Id::from(other), serves, passes };
    let model = ActorModel::new((), ())
        .actor(player(1, true))
        .actor(player(0, false))
        .init_network(Network::new_ordered([]))
        .property(Expectation::Always, "true", |_, _| true);
    let checker = model.checker().threads(1).spawn_bfs().join();
    let states = checker.unique_state_count() as u64;
    ensure!(states >= passes, "{states} states of {passes} passes");
    Ok(())
}
