//! Configuration: what is read, what wins, what is refused, and how that is said.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "config/cluster.rs"]
mod cluster;
#[path = "config/command.rs"]
mod command;
#[path = "config/errors.rs"]
mod errors;
#[path = "config/hostile.rs"]
mod hostile;
#[path = "config/kinds.rs"]
mod kinds;
#[path = "config/layers.rs"]
mod layers;
#[path = "config/seed.rs"]
mod seed;
#[path = "config/shipped.rs"]
mod shipped;
#[path = "config/wire.rs"]
mod wire;

use dx::config::{Cluster, Layer, Loaded, Report, Source, load};

/// A cluster file of this name and text.
fn file(name: &str, text: &str) -> Source {
    Source::new(Layer::File, name, text)
}

/// What a `DX_*` variable says.
fn variable(name: &str, value: &str) -> Source {
    Source::new(Layer::Environment, name, format!("{name}={value}"))
}

/// What a `--set` says.
fn set(text: &str) -> Source {
    Source::new(Layer::Set, "--set", text)
}

fn read(sources: Vec<Source>) -> Result<Loaded, Report> {
    load(sources, &dx::kinds::kinds())
}

/// The cluster of one TOML file that is right.
fn cluster(text: &str) -> Cluster {
    read(vec![file("test.toml", text)]).unwrap_or_else(|report| panic!("{report}")).cluster
}

/// The messages about sources that are wrong.
fn messages(sources: Vec<Source>) -> Vec<String> {
    let report = read(sources).expect_err("nothing was found to be wrong");
    report.problems.into_iter().map(|problem| problem.message).collect()
}
