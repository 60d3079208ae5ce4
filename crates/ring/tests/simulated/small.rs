//! The smallest rings, searched systematically: three members, two messages, one of them crashes
//! and restarts.

use dx_agents::AgentId;
use dx_sim::Choices;
use dx_sim::explore::{Bounds, Completeness, Outcome, Search, Switches, explore};

#[path = "small/world.rs"]
mod world;

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

fn run(scope: &Scope, choices: &mut Choices) -> Result<(), String> {
    let mut world = World::new();
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

fn search(scope: &Scope) -> Search {
    let bounds = Bounds {
        switches: Switches::Delays(scope.delays),
        events: scope.faults,
        runs: u64::MAX,
        ..Bounds::default()
    };
    let search = explore(&bounds, |choices| match run(scope, choices) {
        Ok(()) => Outcome::Fine,
        Err(what) => Outcome::Violated(what),
    });
    search.expect("cores depend on nothing but what they are told")
}

/// All pairs of origins, from the founding or from a view that works.
fn scopes(steps: u64, delays: u64, faults: u64) -> impl Iterator<Item = Scope> {
    let pairs = MEMBERS.into_iter().flat_map(|one| MEMBERS.map(|other| [one, other]));
    let all = pairs.flat_map(|origins| [true, false].map(|is_founded| (origins, is_founded)));
    all.map(move |(origins, is_founded)| Scope { is_founded, origins, steps, delays, faults })
}

#[test]
fn measure() {
    let get = |name: &str| -> u64 { std::env::var(name).unwrap().parse().unwrap() };
    let mut runs = 0;
    for scope in scopes(get("STEPS"), get("DELAYS"), get("FAULTS")) {
        #[allow(clippy::disallowed_methods)]
        let start = std::time::Instant::now();
        let search = search(&scope);
        println!("{scope:?}: {search} in {:?}", start.elapsed());
        if let Some(found) = &search.found { println!("{}", found.tape); }
        runs += search.runs;
        assert_eq!(search.found, None);
    }
    println!("{runs}");
}
