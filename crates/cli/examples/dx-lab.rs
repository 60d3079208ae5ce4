//! The program `dx` with the network laboratory plugged in, for the benches that need one:
//!
//!     cargo run --release -p dx --example dx-lab -- bench --scenario shaped
//!
//! It takes the rights of root over a network namespace: run it as root, or under `unshare -Urn`.

use std::process::ExitCode;
use std::sync::Arc;

use dx::bench::end::End;
use dx::bench::laboratory::{Hosts, Job, Laboratory, Network, Site};
use dx_lab::{Host, Lab, Shape};

fn main() -> ExitCode {
    dx::Program::new().laboratory(Laboratory { hosts, sites }).run()
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

fn sites(count: usize, bits_per_second: u64) -> anyhow::Result<Vec<Site>> {
    let lab = Arc::new(Lab::new("ring")?);
    let site = |number| {
        let host = lab.host(&format!("h{number}"))?;
        host.set_rate(bits_per_second)?;
        let (address, lab) = (host.address(), Arc::clone(&lab));
        let enter = Box::new(move |job: Job<'_>| {
            // The network is there for as long as one of its hosts.
            let _lab = &lab;
            host.enter(job);
        });
        anyhow::Ok(Site { address, enter })
    };
    (1..=count).map(site).collect()
}

/// Sets the first congestion control that this machine has, and names it.
fn choose(hosts: &[&Host], names: &[&str]) -> String {
    let set = |name: &&&str| hosts.iter().all(|host| host.set_congestion_control(name).is_ok());
    names.iter().find(set).map_or("default", |name| *name).to_owned()
}
