//! The grammar of `dx token`.

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use dx_scheduler::api;
use dx_transport::id::ClusterId;

/// `dx token`.
#[derive(Debug, Args)]
pub struct Token {
    /// What to do.
    #[command(subcommand)]
    pub action: TokenAction,
    /// The cluster.
    #[arg(long, global = true, value_name = "NAME", env = "DX_CLUSTER", default_value = "local")]
    pub cluster: ClusterId,
    /// Print JSON.
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub json: bool,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make one, and print its secret: this once, and never again.
    Create {
        /// Whose it is: what jobs are submitted as. 1 to 64 letters, digits, `-`, `_` or `.`.
        name: String,
        /// What its holder may.
        #[arg(long, value_enum, default_value = "submit")]
        scope: Scope,
    },
    /// List them, without their secrets.
    Ls,
    /// End one, at once.
    Revoke {
        /// Whose.
        name: String,
    },
}

/// What the holder of a token may.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Scope {
    /// See jobs with their environment, logs and nodes.
    Read,
    /// That, and submit and steer jobs: to run anything as the user who runs the nodes.
    Submit,
    /// That, and drain nodes.
    Admin,
}

impl From<Scope> for api::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Submit => Self::Submit,
            Scope::Admin => Self::Admin,
        }
    }
}
