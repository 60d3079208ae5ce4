//! What a death costs: the longest time without a delivery, over processes of which one is killed.

use std::time::Duration;

use anyhow::{Context, ensure};
use dx_agents::NodeId;
use dx_transport::address::Address;

use super::Run;
use crate::bench::report::Unit;
use crate::bench::transport::TransportName;
use crate::cluster::up::Up;
use crate::control::Client;
use crate::home::Home;
use crate::kinds::ring_member::{Attr, Model, Report};
use crate::ring::{Kill, Trouble, Verdict, Wanted, Watch, ports};

/// When the member that numbers is killed, after SEND.
const AT: Duration = Duration::from_millis(500);

/// How long members send: long enough for a view to change in between.
const SEND: Duration = Duration::from_millis(2500);

/// Bytes of a message.
const SIZE: usize = 1024;

/// Measures it of every ring that has a majority left.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (model, transport, members) in run.rings() {
        let params = Run::params(model, transport, members);
        run.begin(&params);
        let has_majority = members > 2 && transport != TransportName::Memory;
        if has_majority {
            match measure(model, transport, members).await {
                Ok(gap) => {
                    run.report(
                        &params,
                        ("gap", Unit::Microseconds),
                        Some(gap.as_secs_f64() * 1e6),
                    )?;
                }
                Err(error) => run.failed(params, &error)?,
            }
        }
        run.output.progress.advance();
    }
    Ok(())
}

async fn measure(model: Model, transport: TransportName, members: u16) -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir().context("failed to make a folder for the nodes")?;
    let home = Home::at(folder.path());
    let addresses = ports::free(usize::from(members))?
        .into_iter()
        .map(|port| Address::new(transport.name(), &format!("127.0.0.1:{port}")));
    let wanted = Wanted {
        name: "bench".parse().context("a fixed name")?,
        transport: transport.name().to_owned(),
        attr: Attr { model, send_for: SEND, size: SIZE, ..Attr::default() },
        restarts: false,
    };
    let cluster = wanted.cluster(addresses.collect::<Result<_, _>>()?);
    let up = Up::prepare(cluster.clone(), &home, &[]).await?.without_restarts();
    let (watch, accidents) = (Watch::new(&home, &cluster, false), up.accidents());
    let kill = Kill { node: NodeId(members.into()), at: AT };
    let trouble = Trouble { kills: vec![kill], ..Trouble::default() };
    let mut longest = Ok(Duration::ZERO);
    let until = async {
        watch.results(trouble, accidents).await;
        longest = longest_gap(&home, &cluster).await;
    };
    let (done, is_done) = tokio::sync::oneshot::channel::<()>();
    let until = async {
        until.await;
        drop(done);
    };
    // What is left is not worth the time that it gives to one that is gone.
    let at_once = async { drop(is_done.await) };
    up.run(false, until, at_once, |event| watch.note(&event)).await?;
    let verdict = watch.outcome().verdict();
    ensure!(verdict == Verdict::Agree, "{}", verdict.words());
    longest
}

/// The longest of any member that lives.
async fn longest_gap(home: &Home, cluster: &crate::config::Cluster) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    let survivors = &cluster.nodes[..cluster.nodes.len() - 1];
    for node in survivors {
        let client = Client::node(home, &cluster.name, &node.name).await?;
        let report: Report = client.get("/v1/ring/now").await?;
        longest = longest.max(Duration::from_micros(report.longest_gap_us));
    }
    Ok(longest)
}
