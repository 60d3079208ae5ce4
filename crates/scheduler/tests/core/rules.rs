//! The rules, one by one.

#[path = "rules/attempts.rs"]
mod attempts;
#[path = "rules/calls.rs"]
mod calls;
#[path = "rules/explained.rs"]
mod explained;
#[path = "rules/graphs.rs"]
mod graphs;
#[path = "rules/nodes.rs"]
mod nodes;
#[path = "rules/placement.rs"]
mod placement;
#[path = "rules/steering.rs"]
mod steering;
#[path = "rules/submitting.rs"]
mod submitting;
#[path = "rules/waits.rs"]
mod waits;
