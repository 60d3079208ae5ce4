//! The grammar of what says how a cluster is to be.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use crate::config::Request;

/// A cluster: its files, and what overrides them.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Cluster files, TOML or JSON. Later ones win, key by key.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Set a key, as in `--set cluster.timing.silence=5s`. Wins over files and variables.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The transport of addresses that name none: tcp, tls or quic.
    #[arg(long, value_name = "NAME")]
    pub transport: Option<String>,
}

impl From<ConfigArgs> for Request {
    fn from(arguments: ConfigArgs) -> Self {
        let transport = arguments.transport.iter();
        let flags = transport.map(|t| ("--transport".to_owned(), format!("cluster.transport={t}")));
        Self { files: arguments.files, set: arguments.set, flags: flags.collect() }
    }
}

/// `dx config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print every effective value, and where it came from.
    Show {
        /// What to show.
        #[command(flatten)]
        config: ConfigArgs,
        /// As JSON: a list of `key`, `value`, `from`.
        #[arg(long)]
        json: bool,
    },
    /// Find everything that is wrong with cluster files. Exit code 2 if there is anything.
    #[command(group(ArgGroup::new("what").args(["files"]).required(true)))]
    Check {
        /// What to check.
        #[command(flatten)]
        config: ConfigArgs,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the defaults as a file that explains every key.
    Default,
    /// Print the JSON Schema of cluster files, for editors.
    Schema,
}
