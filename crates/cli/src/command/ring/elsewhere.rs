//! Slaves of other machines: each waits with a token, by which the master makes it a member.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use super::play::note;
use crate::config::{Cluster, NodeSpec};
use crate::exit::Usage;
use crate::home::Home;
use crate::join::{self, Enrolment, PromptError, Token, read_token};

/// Reads the tokens, and refuses what could not work beyond this machine.
pub fn tokens(
    files: &[PathBuf],
    transport: &str,
    here: &[SocketAddr],
) -> anyhow::Result<Vec<Token>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    if transport == "tcp" {
        let why = "--transport tcp: between machines, members need tls or quic";
        return Err(Usage(why.to_owned()).into());
    }
    if let Some(at) = here.iter().find(|at| at.ip().is_loopback()) {
        return Err(Usage(format!(
            "--join-file: the slave at {at} cannot be reached from another machine: start it at \
             an address that can"
        ))
        .into());
    }
    let read = |file: &PathBuf| {
        read_token(Some(file)).map_err(|error| match error {
            PromptError::File { .. } | PromptError::Exposed { .. } => error.to_string(),
            error => format!("{}: {error}", file.display()),
        })
    };
    let tokens: Vec<Token> = files.iter().map(read).collect::<Result<_, _>>().map_err(Usage)?;
    let is_twice = |(at, token): (usize, &Token)| tokens[..at].contains(token);
    if let Some((at, _)) = tokens.iter().enumerate().find(|it| is_twice(*it)) {
        let file = files[at].display();
        return Err(Usage(format!("--join-file: the token in {file} was given before")).into());
    }
    Ok(tokens)
}

/// Makes each slave the node that stands beside it.
pub async fn enrol(
    tokens: &[Token],
    nodes: &[NodeSpec],
    cluster: &Cluster,
    home: &Home,
) -> anyhow::Result<()> {
    if tokens.is_empty() {
        return Ok(());
    }
    let folder = home.open_or_create(&cluster.name)?;
    for (token, node) in tokens.iter().zip(nodes) {
        let enrolment =
            Enrolment { node: folder.node(&node.name), id: node.id, configuration: json!(cluster) };
        let at = &token.address;
        join::enrol(token, enrolment).await.with_context(|| format!("slave {at}"))?;
        note(&format!("slave {at} has become member {}", node.id.0));
    }
    Ok(())
}
