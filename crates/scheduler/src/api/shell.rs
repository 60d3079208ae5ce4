//! The paths, documents and words of the *shell distributed system*, as its walkthrough shows them:
//! the same requests as below `/v1`, for clients that were written from that document.
//!
//! ```text
//! /scheduler/jobs/new  jobs  jobs/2/status  jobs/2/update?kill=1  nodes/list    the queue
//! /nodemgr/jobs/run  jobs  jobs/2/status  jobs/2/kill                           this node
//! /processor/jobs/new  jobs  jobs/status  jobs/ID/status  jobs/ID/log           this node, by request
//! ```
//!
//! Where the document has two spellings, both are understood, and the one of its walkthrough is
//! described: `new` and `add`, `jobs` and `job`, `command` and `commands`. It sends JSON without
//! saying so; the [caller](super::Caller) is known before, so no type is asked for.

mod node;
mod order;
mod queue;
mod status;

use axum::middleware;
use axum::routing::{get, post};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Api, Scope, caller};

pub use node::{NodeJobs, OnNode, Running};
pub use order::NewJob;
pub use queue::{Listed, NodeList, Update};
pub use status::{Status, Statuses};

/// All routes, each with its description, and its other spellings.
pub fn routes() -> OpenApiRouter<Api> {
    let need = |scope| middleware::from_fn_with_state(scope, caller::require);
    let reading = OpenApiRouter::new()
        .routes(routes!(queue::list))
        .routes(routes!(queue::show))
        .routes(routes!(queue::status))
        .routes(routes!(queue::nodes))
        .routes(routes!(node::list))
        .routes(routes!(node::status))
        .routes(routes!(node::statuses))
        .routes(routes!(node::status_of_request))
        .routes(routes!(node::log))
        .route("/scheduler/jobs/list", get(queue::list))
        .route("/scheduler/nodes", get(queue::nodes))
        .route("/nodemgr/jobs/list", get(node::list))
        .route("/processor/jobs", get(node::list))
        .route("/processor/jobs/list", get(node::list))
        .route("/processor/job/status", get(node::statuses))
        .route("/processor/job/{id}/status", get(node::status_of_request))
        .route("/processor/job/{id}/log", get(node::log))
        .route_layer(need(Scope::Read));
    let submitting = OpenApiRouter::new()
        .routes(routes!(queue::add))
        .routes(routes!(queue::update))
        .routes(routes!(node::run))
        .routes(routes!(node::kill))
        .routes(routes!(node::add))
        .routes(routes!(node::kill_request))
        .route("/scheduler/jobs/add", post(queue::add))
        .route("/processor/jobs/add", post(node::add))
        .route("/processor/job/new", post(node::add))
        .route("/processor/job/{id}/kill", post(node::kill_request))
        .route_layer(need(Scope::Submit));
    reading.merge(submitting)
}
