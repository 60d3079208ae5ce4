//! The smallest rings, searched systematically: three members, two messages, one of them crashes
//! and restarts.

use dx_agents::AgentId;
use dx_sim::Choices;
use dx_sim::explore::{Bounds, Completeness, Outcome, Search, Switches, explore};

#[path = "small/world.rs"]
mod world;

use super::models::{Make, confirmed, lcr};
use super::recorder::flow;
use world::{MEMBERS, World};

/// What is searched: where, and how much of it.
#[derive(Clone, Copy, Debug)]
struct Scope {
    /// From the first message on, or from the founding of the ring.
    is_founded: bool,
    /// Who broadcasts.
    origins: [AgentId; 2],
    /// Steps with a choice.
    steps: u64,
    /// How often a message is passed by.
    delays: u64,
    /// How often something goes wrong.
    faults: u64,
}

fn run(scope: &Scope, model: Make, choices: &mut Choices) -> Result<(), String> {
    let mut world = World::new(model);
    if scope.is_founded {
        world.settle()?;
    }
    scope.origins.iter().for_each(|id| world.broadcast(*id));
    for _ in 0..scope.steps {
        world.step(choices);
        world.check()?;
    }
    world.settle()
}

fn search(scope: &Scope, model: Make) -> Search {
    let bounds = Bounds {
        switches: Switches::Delays(scope.delays),
        events: scope.faults,
        runs: u64::MAX,
        ..Bounds::default()
    };
    let search = explore(&bounds, |choices| match run(scope, model, choices) {
        Ok(()) => Outcome::Fine,
        Err(what) => Outcome::Violated(what),
    });
    search.expect("cores depend on nothing but what they are told")
}

/// All pairs of origins, before and after the founding of the ring.
fn scopes(steps: u64, delays: u64, faults: u64) -> impl Iterator<Item = Scope> {
    let to = |one: AgentId| MEMBERS.into_iter().filter(move |other| *other >= one);
    let pairs = MEMBERS.into_iter().flat_map(move |one| to(one).map(move |other| [one, other]));
    let all = pairs.flat_map(|origins| [true, false].map(|is_founded| (origins, is_founded)));
    all.map(move |(origins, is_founded)| Scope { is_founded, origins, steps, delays, faults })
}

/// How far it goes: steps, delays and faults. `DX_RING_SEARCH=15,0,2` takes a minute of a release
/// build.
fn extent() -> [u64; 3] {
    let Ok(text) = std::env::var("DX_RING_SEARCH") else { return [15, 0, 1] };
    let numbers: Vec<u64> = text.split(',').map(|it| it.trim().parse().unwrap()).collect();
    numbers.try_into().expect("DX_RING_SEARCH is steps,delays,faults")
}

/// Searches all of them.
fn search_all(model: Make) {
    let [steps, delays, faults] = extent();
    let mut runs = 0;
    for scope in scopes(steps, delays, faults) {
        let search = search(&scope, model);
        if let Some(found) = &search.found {
            panic!("{scope:?}, run {}: {}\n{}", runs + search.runs, found.what, found.tape);
        }
        let is_bounded = matches!(search.completeness, Completeness::WithinBounds { .. });
        assert!(is_bounded, "{scope:?}: {search}");
        runs += search.runs;
    }
    println!("{runs} runs, all of so many steps, delays and faults: {steps}, {delays}, {faults}");
}

#[test]
fn no_small_ring_disagrees_stands_still_or_gives_up() {
    search_all(flow);
}

#[test]
fn no_small_ring_by_lcr_disagrees_stands_still_or_gives_up() {
    search_all(lcr);
}

#[test]
fn no_small_ring_by_confirmed_disagrees_stands_still_or_gives_up() {
    search_all(confirmed);
}

/// The search would see it: a canary.
#[test]
fn a_ring_that_stands_still_is_noticed() {
    let mut world = World::new(flow);
    world.settle().unwrap();
    world.cut_off_for_good(MEMBERS[1]);
    world.broadcast(MEMBERS[0]);
    let wrong = world.settle().unwrap_err();
    assert!(wrong.starts_with("it does not go on"), "{wrong}");
}
