//! What a death costs: the longest time without a delivery, over processes of which one is killed.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::Run;
use crate::bench::report::Unit;
use crate::bench::transport::TransportName;
use crate::kinds::ring_member::Model;

/// How the run goes, beside its ring: the view changes while members send.
const RUN: [&str; 9] =
    ["ring", "run", "--json", "--no-restart", "--size", "1024", "--send-for", "2500ms", "--kill"];

/// Measures it of every ring that has a majority left.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (model, transport, members) in run.rings() {
        let params = Run::params(model, transport, members);
        run.begin(&params);
        let is_possible = members > 2 && transport != TransportName::Memory;
        if is_possible {
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

/// Runs the ring by this program. Should nobody wait for that any more, it ends by itself, and
/// stops its members, which nobody else would.
async fn measure(model: Model, transport: TransportName, members: u16) -> anyhow::Result<Duration> {
    let program = std::env::current_exe().context("failed to find this program's own file")?;
    // The last one gives numbers.
    let (count, kill) = (members.to_string(), format!("{members}@500ms"));
    let output = Command::new(program)
        .args(RUN)
        .args([&kill, "--members", &count, "--model", model.name()])
        .args(["--transport", transport.name()])
        .stdin(Stdio::null())
        .output()
        .await
        .context("failed to start this program once more")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().last().unwrap_or("it said nothing");
    ensure!(output.status.success(), "the run failed: {why}");
    longest(&output.stdout)
}

/// The longest gap of any member that lives.
fn longest(outcome: &[u8]) -> anyhow::Result<Duration> {
    let outcome: Value = serde_json::from_slice(outcome)?;
    let members = outcome["members"].as_array().context("a run has members")?;
    let gaps = members.iter().filter_map(|member| member["longest_gap_us"].as_u64());
    Ok(Duration::from_micros(gaps.max().context("no member has a result")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_the_longest_of_those_who_live() {
        let outcome =
            br#"{"members":[{"longest_gap_us":3},{"longest_gap_us":70},{"state":"killed"}]}"#;
        assert_eq!(longest(outcome).unwrap(), Duration::from_micros(70));
        assert!(longest(br#"{"members":[{"state":"killed"}]}"#).is_err());
    }
}
