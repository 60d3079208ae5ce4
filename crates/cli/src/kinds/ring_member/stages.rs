//! What a member says as its run goes on.

use dx_agents::Context;
use dx_ring::run::{Stage, Tally};

use super::Result;
use crate::console::say;

/// What a run is at, and what it came to.
pub type Standing = (Stage, Option<Tally>);

/// Says what has changed.
pub fn tell(before: Standing, after: Standing, cx: &mut Context) {
    let me = cx.me().0;
    if before.0 != after.0 {
        say(cx, format!("member {me}: {}", name(after.0)));
    }
    if let (None, Some(result)) = (before.1, after.1) {
        say(cx, format!("member {me}  {}", Result::from(result)));
    }
}

/// The stage as people call it.
pub fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Start => "START",
        Stage::Send => "SEND",
        Stage::Grace => "GRACE",
        Stage::Stop => "STOP",
    }
}
