//! `dx token`: from arguments to exit code.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::cli::{Token, TokenAction};
use crate::exit::{self, Usage};
use crate::home::{Home, TokenError, Tokens};

/// Does what was asked.
pub fn run(arguments: &Token) -> anyhow::Result<ExitCode> {
    let home = Home::of_this_user()?;
    // A cluster that is misspelled is not made.
    let tokens = match home.open(&arguments.cluster) {
        Ok(cluster) => cluster.tokens(),
        Err(error) => {
            let hint = "`dx up` and `dx cert init` make one, `--cluster` chooses another";
            return Err(Usage(format!("{error}: {hint}")).into());
        }
    };
    let text = match &arguments.action {
        TokenAction::Create { name, scope } => {
            let scope = (*scope).into();
            let secret = tokens.create(name, scope, SystemTime::now()).map_err(usage)?;
            if arguments.json {
                format!("{}\n", json!({ "name": name, "scope": scope, "token": secret }))
            } else {
                format!("{secret}\n")
            }
        }
        TokenAction::Ls => list(&tokens, arguments.json)?,
        TokenAction::Revoke { name } => {
            tokens.revoke(name).map_err(usage)?;
            if arguments.json { format!("{}\n", json!({ "revoked": name })) } else { String::new() }
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

fn list(tokens: &Tokens, is_json: bool) -> anyhow::Result<String> {
    let tokens = tokens.list()?;
    if is_json {
        return Ok(format!("{}\n", json!({ "tokens": tokens })));
    }
    let width = tokens.iter().map(|token| token.name.len()).max().unwrap_or(0).max(NAME.len());
    let mut text = format!("{NAME:width$}  SCOPE   CREATED\n");
    for token in &tokens {
        let created = UNIX_EPOCH + Duration::from_millis(token.created);
        let created = humantime::format_rfc3339_seconds(created);
        writeln!(text, "{:width$}  {:6}  {created}", token.name, token.scope.name())?;
    }
    Ok(text)
}

const NAME: &str = "NAME";

/// What was asked cannot be: the fault of whoever asked.
fn usage(error: TokenError) -> anyhow::Error {
    match error {
        TokenError::Name(_) | TokenError::Unknown { .. } => Usage(error.to_string()).into(),
        error => error.into(),
    }
}
