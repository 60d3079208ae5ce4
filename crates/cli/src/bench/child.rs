//! This program once more, in a process of its own: only there is all the memory that it takes
//! that of what is measured.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

/// What a child measured, by metric. What it had too few samples of is not in it.
pub type Values = BTreeMap<String, f64>;

/// Runs this program with `arguments`, which make it write JSON Lines of one set of parameters to
/// standard output. It is killed if nobody waits for it any more.
///
/// # Errors
/// If it cannot be started, or reports that something failed, or nothing.
pub async fn measure(arguments: &[&str]) -> anyhow::Result<Values> {
    let program = std::env::current_exe().context("failed to find this program's own file")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to start this program once more")?;
    let values = parse(&String::from_utf8_lossy(&output.stdout))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!values.is_empty(), "the process of its own failed: {}", said.trim());
    Ok(values)
}

fn parse(lines: &str) -> anyhow::Result<Values> {
    let mut values = Values::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line)?;
        if let Some(reason) = line["failed"].as_str() {
            bail!("{reason}");
        }
        if let (Some(metric), Some(value)) = (line["metric"].as_str(), line["value"].as_f64()) {
            values.insert(metric.to_owned(), value);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_figures_are_taken_by_name() {
        let lines = r#"{"header":{"dx":"1"}}
{"metric":"messages","value":2.5}
{"metric":"up","value":1.5}
{"metric":"memory per peer","value":null}"#;
        let expected = [("messages".to_owned(), 2.5), ("up".to_owned(), 1.5)];
        assert_eq!(parse(lines).unwrap(), Values::from(expected));
    }

    #[test]
    fn a_childs_failure_is_ours() {
        assert_eq!(parse(r#"{"failed":"it broke"}"#).unwrap_err().to_string(), "it broke");
    }
}
