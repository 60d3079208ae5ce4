//! Measures the simulator of dx and others side by side: one ball between two players on two
//! nodes, in turns, in one table.

mod dx;
mod near;
mod stateright;
mod turmoil;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;

/// A simulator: lets a ball be passed so often, and checks that it was.
type Play = fn(passes: u64) -> anyhow::Result<()>;

const PLAYERS: [(&str, &str, Play); 4] = [
    ("dx-sim", "virtual time, sessions, delays drawn, hashed trace", dx::play),
    ("turmoil 0.7.2", "virtual time in ticks of 1 ms, TCP on tokio", turmoil::play),
    ("near-async 0.38.0", "virtual time, a fixed delay", near::play),
    ("stateright 0.31.0", "no time: one step of an actor and its state, hashed", stateright::play),
];

/// Passes of the first attempt; then as many as fill the time.
const FIRST: u64 = 1000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let (mut time, mut rounds) = (Duration::from_secs(1), 3);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => (time, rounds) = (Duration::from_millis(100), 1),
            "--rounds" => {
                rounds = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(0);
                ensure!(rounds > 0, "--rounds wants a number from 1");
            }
            other => anyhow::bail!("there is no {other}: there are --quick and --rounds N"),
        }
    }
    let mut figures = [const { Vec::new() }; PLAYERS.len()];
    // In turns, so that what else the machine does meets all alike.
    for _ in 0..rounds {
        for (figures, (_, _, play)) in figures.iter_mut().zip(PLAYERS) {
            figures.push(passes_per_second(time, play)?);
        }
    }
    println!("one ball between two players on two nodes, one core; median of {rounds}\n");
    println!("{:<18}  {:>12}  what a pass takes part in", "", "passes/s");
    for (figures, (name, what, _)) in figures.iter_mut().zip(PLAYERS) {
        figures.sort_by(f64::total_cmp);
        println!("{name:<18}  {:>12.0}  {what}", figures[figures.len() / 2]);
    }
    Ok(())
}

fn passes_per_second(time: Duration, play: Play) -> anyhow::Result<f64> {
    let mut passes = FIRST;
    loop {
        let began = Instant::now();
        play(passes)?;
        let took = began.elapsed();
        if took >= time / 2 {
            return Ok(passes as f64 / took.as_secs_f64());
        }
        passes *= 2;
    }
}
