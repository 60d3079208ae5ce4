//! Which cluster is meant, and who of it can be asked.

use dx_transport::id::ClusterId;

use crate::cli::Which;
use crate::control::{Client, Unreachable};
use crate::exit::Usage;
use crate::home::Home;
use crate::jobs::{AskError, Service};

/// No cluster runs here.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no cluster runs here: start one with `dx up`")]
pub struct NoCluster;

/// A node of the cluster that is meant: the one that was named, or else the only one that runs
/// here.
pub async fn any(which: &Which, home: &Home) -> anyhow::Result<Client> {
    if let Some(cluster) = &which.cluster {
        return Ok(match Client::any(home, cluster).await {
            Err(Unreachable::Cluster(error)) => return Err(Usage(error.to_string()).into()),
            client => client?,
        });
    }
    let mut running = Vec::new();
    for cluster in home.clusters()? {
        match Client::any(home, &cluster).await {
            Ok(client) => running.push(client),
            Err(Unreachable::Nobody { tried, .. }) if tried.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
    }
    match running.len() {
        0 => Err(NoCluster.into()),
        1 => Ok(running.remove(0)),
        _ => {
            let names: Vec<&ClusterId> = running.iter().map(|c| &c.about().cluster).collect();
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let names = names.join(", ");
            Err(Usage(format!("several clusters run here: choose with `--cluster`: {names}"))
                .into())
        }
    }
}

/// The job service of the cluster that is meant.
pub async fn service(which: &Which) -> anyhow::Result<Service> {
    let home = Home::of_this_user()?;
    match any(which, &home).await {
        Ok(client) => Ok(Service::new(home, client)),
        Err(error) if error.is::<NoCluster>() => Err(AskError::NoCluster.into()),
        Err(error) => Err(match error.downcast::<Unreachable>() {
            Ok(unreachable) => AskError::NoNode(unreachable).into(),
            Err(error) => error,
        }),
    }
}

/// Runs one of the commands that ask nodes.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
