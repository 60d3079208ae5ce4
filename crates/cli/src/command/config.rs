//! `dx config`: from arguments to exit code.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::{Config, ConfigArgs};
use crate::config::documented::documented;
use crate::config::gather::GatherError;
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::schema::Schema;
use crate::config::{Kinds, Loaded, Report, gather, load, show};
use crate::exit;

/// Shows, checks or explains a configuration.
pub fn run(command: Config, kinds: &Kinds) -> anyhow::Result<ExitCode> {
    match command {
        Config::Show { config, json } => match read(config, kinds) {
            Ok(loaded) => print(&shown(&loaded, json)),
            Err(failure) => Ok(failure.tell()),
        },
        Config::Check { config, json } => match read(config, kinds) {
            Ok(loaded) => print(&approved(&loaded, json)),
            Err(failure) if json => {
                print(&format!("{}\n", failure.to_json()))?;
                Ok(exit::usage())
            }
            Err(failure) => Ok(failure.tell()),
        },
        Config::Default => print(&documented()),
        Config::Schema => print(&format!("{:#}\n", Schema::new(kinds).root())),
    }
}

/// Why there is no configuration.
pub enum Failure {
    /// A file cannot be read.
    Gather(GatherError),
    /// Something is wrong with what was read.
    Report(Report),
}

impl Failure {
    /// The problems, for programs.
    fn to_json(&self) -> Value {
        let problems: Vec<Value> = match self {
            Self::Gather(error) => vec![json!({ "message": error.to_string(), "at": null })],
            Self::Report(report) => {
                report.problems.iter().map(|one| problem(one, report)).collect()
            }
        };
        json!({ "problems": problems })
    }

    /// Says so on standard error; returns the exit code.
    pub fn tell(self) -> ExitCode {
        let mut stderr = io::stderr().lock();
        let text = match self {
            Self::Gather(error) => format!("dx: {error}"),
            Self::Report(report) => {
                let styled = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
                let count = report.problems.len();
                let plural = if count == 1 { "" } else { "s" };
                format!(
                    "{}\n\ndx: {count} problem{plural} in the configuration",
                    report.render(styled)
                )
            }
        };
        // If nobody reads standard error, the exit code still tells.
        drop(writeln!(stderr, "{text}"));
        exit::usage()
    }
}

/// The configuration that `arguments` ask for.
pub fn read(arguments: ConfigArgs, kinds: &Kinds) -> Result<Loaded, Failure> {
    let sources = gather(&arguments.into()).map_err(Failure::Gather)?;
    load(sources, kinds).map_err(Failure::Report)
}

fn shown(loaded: &Loaded, json: bool) -> String {
    let settings = show::settings(loaded);
    if json { format!("{:#}\n", json!(settings)) } else { show::text(&settings) }
}

fn approved(loaded: &Loaded, json: bool) -> String {
    let cluster = &loaded.cluster;
    let (nodes, agents) = (cluster.nodes.len(), cluster.agents.len());
    if json {
        let name = cluster.name.as_str();
        let line = json!({ "cluster": name, "nodes": nodes, "agents": agents, "problems": [] });
        return format!("{line}\n");
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!(
        "cluster {}: {nodes} node{}, {agents} agent{}; nothing is wrong\n",
        cluster.name,
        plural(nodes),
        plural(agents)
    )
}

/// A problem, for programs.
fn problem(problem: &Problem, report: &Report) -> Value {
    let at = |place: &Place| {
        let source = &report.sources[place.source];
        let (line, column) = source.line_and_column(place.start);
        json!({ "source": source.name, "line": line, "column": column })
    };
    json!({
        "message": problem.message,
        "label": problem.label,
        "help": problem.help,
        "at": problem.place.as_ref().map(at),
    })
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::OK)
}
