//! The nodes of other machines: those that wait with a token are made part of the cluster.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::json;

use crate::cluster::up::Up;
use crate::exit::Usage;
use crate::home::{self, NodeName};
use crate::join::{self, Enrolment, InvalidToken, PromptError, read_token};

/// Sends each node of another machine its place, if there is a token for it. One without a token
/// is waited for: it may be part of the cluster already.
pub async fn enrol(up: &Up, files: &[(NodeName, PathBuf)]) -> anyhow::Result<()> {
    for (name, _) in files {
        if !up.remote().iter().any(|node| node.name == *name) {
            let names = up.remote().iter().map(|node| node.name.as_str());
            let hint = home::suggestion(name.as_str(), names);
            bail!(Usage(format!("no node `{name}` of this cluster is on another machine{hint}")));
        }
    }
    for node in up.remote() {
        let name = &node.name;
        let token = match files.iter().find(|(named, _)| named == name) {
            Some((_, file)) => Some(read_token(Some(file))?),
            None if io::stdin().is_terminal() => ask(name, &node.address.to_string())?,
            None => None,
        };
        let Some(token) = token else {
            note(&format!(
                "node {name} is not of this machine: it is waited for at {}. If it has never \
                 joined, run `dx node --listen HOST:PORT` there and use `--join-file {name}=FILE`",
                node.address
            ));
            continue;
        };
        let enrolment = Enrolment {
            node: up.folder().node(name),
            id: node.id,
            configuration: json!(up.cluster()),
        };
        join::enrol(&token, enrolment).await.with_context(|| format!("node {name}"))?;
        note(&format!("node {name} has joined"));
    }
    Ok(())
}

fn ask(name: &NodeName, address: &str) -> anyhow::Result<Option<join::Token>> {
    note(&format!(
        "node {name} ({address}) is of another machine: run `dx node --listen HOST:PORT` there, \
         and paste its token here; or press Enter if it has joined before"
    ));
    match read_token(None) {
        Ok(token) => Ok(Some(token)),
        Err(PromptError::Token(InvalidToken::Scheme)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn note(text: &str) {
    // If nobody listens, the exit code still tells.
    drop(writeln!(io::stderr(), "dx: {text}"));
}
