//! The program `dx` with the network laboratory plugged in, for the benches that need one:
//!
//!     cargo run --release -p dx --example dx-lab -- bench --scenario shaped
//!
//! It takes the rights of root over a network namespace: run it as root, or under `unshare -Urn`.

use std::process::ExitCode;

use dx::bench::end::End;
use dx::bench::laboratory::{Hosts, Network};
use dx_lab::{Host, Lab, Shape};

fn main() -> ExitCode {
    dx::Program::new().laboratory(hosts).run()
}

fn hosts(network: Network) -> anyhow::Result<Hosts> {
    let lab = Lab::new("bench")?;
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    // As quinn does: with any other, the comparison would be one of congestion controls.
    let congestion_control = choose(&[&a, &b], &["cubic", "reno"]);
    let shape = Shape { delay: network.delay, loss: network.loss, ..Shape::default() };
    lab.shape(&a, &b, shape)?;
    let ends = (
        a.enter(|| End::start_at("bench-a", a.address()))?,
        b.enter(|| End::start_at("bench-b", b.address()))?,
    );
    Ok(Hosts { ends, congestion_control, network: Box::new((lab, a, b)) })
}

/// Sets the first congestion control that this machine has, and names it.
fn choose(hosts: &[&Host], names: &[&str]) -> String {
    let set = |name: &&&str| hosts.iter().all(|host| host.set_congestion_control(name).is_ok());
    names.iter().find(set).map_or("default", |name| *name).to_owned()
}
