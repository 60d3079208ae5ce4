//! The shim alone, for programs that embed the scheduler and are no `dx` themselves:
//! `dx-shim FOLDER NODE [--without-cgroups]`.

use std::io::{self, Write};
use std::process::ExitCode;

use dx_agents::NodeId;
use dx_scheduler::shim::{Config, main_with};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let config = match &arguments[..] {
        [folder, node] | [folder, node, _] => node.parse().ok().map(|node| Config {
            folder: folder.into(),
            node: NodeId(node),
            cgroups: arguments.get(2).is_none_or(|it| it != "--without-cgroups"),
        }),
        _ => None,
    };
    let Some(config) = config else {
        return fail("usage: dx-shim FOLDER NODE [--without-cgroups]");
    };
    match main_with(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(text: &str) -> ExitCode {
    // If nobody reads it, the exit code still tells.
    drop(writeln!(io::stderr(), "dx-shim: {text}"));
    ExitCode::FAILURE
}
