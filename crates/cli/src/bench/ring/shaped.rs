//! Hosts whose links are the limit: there a ring shows how much of them it makes use of.

use super::circle::Kit;
use super::load::Load;
use super::{Run, throughput};
use crate::bench::report::{Params, Reason, Unit};
use crate::bench::transport::TransportName;

/// What links carry, in bits per second, each way.
const RATE: u64 = 100_000_000;

/// Of that, payload over TCP at most, in bytes per second: 1448 of the 1538 bytes that a full frame
/// takes on a cable.
const LINK: f64 = RATE as f64 / 8.0 * 1448.0 / 1538.0;

const NO_LABORATORY: &str = "this build has no network laboratory; as root: \
    `cargo run --release -p dx --example dx-lab -- bench ring --scenario shaped`";

/// Measures every size of one sender and of all.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let Some(laboratory) = run.options.laboratory else {
        return run.gap(Params::new(), Reason::Skipped(NO_LABORATORY.to_owned()));
    };
    let rings = run.rings();
    for (model, transport, members) in rings {
        if transport == TransportName::Memory {
            continue;
        }
        for size in run.options.sizes.clone() {
            for senders in [1, members] {
                let params =
                    throughput::params(Run::params(model, transport, members), senders, size);
                run.begin(&params);
                let (members, senders) = (usize::from(members), usize::from(senders));
                let kit = Kit { model, transport, members, senders, load: Load::Full(size) };
                match (laboratory.sites)(members, RATE) {
                    Err(reason) => run.gap(params, Reason::Skipped(format!("{reason:#}")))?,
                    Ok(sites) => match throughput::measure(kit, sites, run.options.time()).await {
                        Ok(done) => {
                            throughput::report(run, &params, &done, size)?;
                            let bytes = done.messages as f64 * size as f64;
                            let rate = bytes / done.took.as_secs_f64();
                            let share = rate / (LINK * optimum(members, senders));
                            run.report(&params, ("efficiency", Unit::Ratio), Some(share))?;
                        }
                        Err(error) => run.failed(params, &error)?,
                    },
                }
                run.output.progress.advance();
            }
        }
    }
    Ok(())
}

/// What can be delivered at best, in links: each member must get all that others send, and need
/// not get its own.
fn optimum(members: usize, senders: usize) -> f64 {
    if senders == 1 { 1.0 } else { members as f64 / (members - 1) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_can_fill_a_link_and_all_can_do_more() {
        assert!((optimum(4, 1) - 1.0).abs() < 1e-9);
        assert!((optimum(4, 4) - 4.0 / 3.0).abs() < 1e-9);
    }
}
