//! A node's part in jobs: the link to its shim if it runs some, and the API.

use std::env;
use std::path::Path;
use std::sync::Arc;

use axum::{Extension, Router};
use dx_agents::NodeId;
use dx_agents::runtime::{Port, Runtime};
use dx_scheduler::api::{Api, Caller, Scope};
use dx_scheduler::link::{self, LinkConfig};
use dx_scheduler::{processor_of, runner_of};
use tokio::task::JoinHandle;

use super::Inside;
use crate::cluster::roles;
use crate::config::Cluster;

/// The folder of a node's shim, in that of the node.
const SHIM: &str = "shim";

/// What jobs need of a node, before its agents are there.
pub struct Jobs {
    /// Where its runner calls the shim.
    processor: Option<Port>,
    /// By which the API asks, and the node of the controller.
    asking: Option<(Port, NodeId)>,
}

/// Jobs at work.
pub struct AtWork {
    /// The API.
    pub router: Router,
    link: Option<JoinHandle<()>>,
}

impl Jobs {
    /// The ports of node `id`.
    pub fn new(runtime: &Runtime, cluster: &Cluster, id: NodeId) -> Self {
        let own = || runtime.port_as(processor_of(id)).expect("the id is kept free for it");
        Self {
            processor: roles::is_runner(cluster, id).then(own),
            asking: roles::controller(cluster).map(|controller| (runtime.port(), controller)),
        }
    }

    /// Connects the runner with its shim, which is started if it does not run.
    pub fn begin(self, inside: &Arc<Inside>, folder: &Path) -> AtWork {
        let id = inside.about.id;
        let link = self.processor.map(|port| {
            let folder = folder.join(SHIM);
            let arguments = vec!["shim".into(), folder.clone().into(), id.0.to_string().into()];
            let program = env::current_exe().unwrap_or_else(|_| "dx".into());
            let config = LinkConfig { folder, program, arguments, runner: runner_of(id) };
            tokio::spawn(async move { match link::run(port, config).await {} })
        });
        let names = inside.cluster.nodes.iter().map(|node| (node.id, node.name.to_string()));
        let router = self.asking.map_or_else(Router::new, |(port, controller)| {
            let api = Api::new(port, controller, names.collect(), inside.stop.subscribe());
            let name = env::var("USER").unwrap_or_else(|_| "root".to_owned());
            api.router().layer(Extension(Caller { name, scope: Scope::Admin }))
        });
        AtWork { router, link }
    }
}

impl AtWork {
    /// Leaves the shim to itself.
    pub fn end(&self) {
        if let Some(link) = &self.link {
            link.abort();
        }
    }
}
