//! Who listens where a node would.

use dx_transport::address::Address;

use crate::cluster::report::NodeReport;
use crate::control::{About, Client};
use crate::home::Home;

/// The node of this user, of whatever cluster, that listens at the port of `address`.
pub async fn holder(home: &Home, address: &Address) -> Option<About> {
    // What cannot be listed has no nodes that could answer.
    for cluster in home.clusters().ok()? {
        let nodes = home.open(&cluster).ok().and_then(|cluster| cluster.nodes().ok());
        for node in nodes.unwrap_or_default() {
            let Ok(client) = Client::node(home, &cluster, node.name()).await else { continue };
            let Ok(report) = client.get::<NodeReport>("/v1/node").await else { continue };
            if report
                .status
                .endpoints
                .iter()
                .any(|endpoint| port(endpoint) == port(address.endpoint()))
            {
                return Some(report.about);
            }
        }
    }
    None
}

fn port(endpoint: &str) -> Option<&str> {
    endpoint.rsplit_once(':').map(|(_, port)| port)
}
