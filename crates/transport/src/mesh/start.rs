//! How a mesh comes up: it listens everywhere, or not at all.

use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::address::Address;
use crate::lane::LaneConfig;
use crate::limits::{FRAME_CREDIT, MAX_FRAME, MAX_LANES, MAX_MESSAGE_CEILING, MIN_WINDOW};
use crate::mesh::acceptor;
use crate::mesh::config::MeshConfig;
use crate::mesh::error::StartError;
use crate::mesh::runtime::Runtime;
use crate::mesh::shared::Shared;
use crate::transport::{BindError, Listener};

/// What came of starting.
pub(crate) struct Started {
    pub endpoints: Vec<Address>,
    acceptors: Vec<AbortHandle>,
}

impl Started {
    pub(crate) fn stop_listening(&self) {
        self.acceptors.iter().for_each(AbortHandle::abort);
    }
}

struct Bound {
    transport: &'static str,
    listener: Box<dyn Listener>,
}

pub(crate) async fn start(config: MeshConfig) -> Result<(Arc<Shared>, Started), StartError> {
    check(&config)?;
    let runtime = Runtime::new(config.io)?;
    let shared = Shared::new(config, runtime);
    let listen = shared.targets(shared.config.listen.clone())?;
    let bind = async move {
        let mut bound = Vec::new();
        for target in listen {
            let listener = target.transport.bind(target.address.endpoint()).await?;
            bound.push(Bound { transport: target.transport.name(), listener });
        }
        Ok::<_, BindError>(bound)
    };
    let bound = shared.runtime.run(bind).await;
    let bound = bound.expect("nothing has stopped the runtime that was just started")?;
    let endpoints = bound.iter().map(endpoint).collect();
    let spawn = |bound: Bound| {
        let accept = acceptor::accept(shared.clone(), bound.transport, bound.listener);
        shared.runtime.spawn(accept)
    };
    let acceptors = bound.into_iter().filter_map(spawn).collect();
    Ok((shared, Started { endpoints, acceptors }))
}

fn endpoint(bound: &Bound) -> Address {
    Address::new(bound.transport, &bound.listener.endpoint())
        .expect("a listener's own endpoint can be written as an address")
}

fn check(config: &MeshConfig) -> Result<(), StartError> {
    if !(1..=MAX_LANES).contains(&config.lanes.len()) {
        return Err(StartError::LaneCount(config.lanes.len()));
    }
    config.lanes.iter().try_for_each(check_lane)?;
    if config.timing.silence < config.timing.ping_interval * 2 {
        return Err(StartError::Timing("`silence` must be at least twice `ping_interval`"));
    }
    if config.timing.session_ttl < config.timing.silence {
        return Err(StartError::Timing("`session_ttl` must not be shorter than `silence`"));
    }
    if config.dialing.backoff_min.is_zero() {
        return Err(StartError::Timing("`backoff_min` must be more than zero"));
    }
    Ok(())
}

fn check_lane(lane: &LaneConfig) -> Result<(), StartError> {
    let wrong = |reason: String| Err(StartError::Lane { lane: lane.name, reason });
    if !(1..=64).contains(&lane.weight) {
        wrong(format!("a weight of {} is not possible: 1 to 64 are", lane.weight))
    } else if lane.max_message == 0 || lane.max_message > MAX_MESSAGE_CEILING {
        wrong(format!(
            "messages of {} bytes are not possible: 1 to {MAX_MESSAGE_CEILING} are",
            lane.max_message
        ))
    } else if lane.window_bytes < MIN_WINDOW {
        wrong(format!("`window_bytes` must be at least {MIN_WINDOW}, two frames"))
    } else if lane.replay_bytes < MAX_FRAME + FRAME_CREDIT {
        let least = MAX_FRAME + FRAME_CREDIT;
        wrong(format!("`replay_bytes` must be at least {least}, one frame"))
    } else if lane.queue_bytes == 0 {
        wrong("`queue_bytes` must be more than zero".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Credentials;
    use crate::id::{Incarnation, NodeId};

    fn config() -> MeshConfig {
        let cluster = "test".parse().unwrap();
        MeshConfig::new(cluster, NodeId(1), Incarnation(1), Credentials::default())
    }

    #[test]
    fn the_default_configuration_is_possible() {
        assert!(check(&config()).is_ok());
    }

    #[test]
    fn what_cannot_work_is_refused_at_the_start() {
        let lane = |change: fn(&mut LaneConfig)| {
            let mut lanes = LaneConfig::defaults();
            change(&mut lanes[1]);
            check(&config().lanes(lanes))
        };
        assert!(matches!(check(&config().lanes(Vec::new())), Err(StartError::LaneCount(0))));
        assert!(matches!(lane(|lane| lane.weight = 0), Err(StartError::Lane { lane: "data", .. })));
        assert!(lane(|lane| lane.max_message = usize::MAX).is_err());
        assert!(lane(|lane| lane.window_bytes = MIN_WINDOW).is_ok());
        assert!(lane(|lane| lane.window_bytes = MIN_WINDOW - 1).is_err());
        assert!(lane(|lane| lane.replay_bytes = 1).is_err());
        assert!(lane(|lane| lane.queue_bytes = 0).is_err());
        let mut timing = crate::session::Timing::default();
        timing.silence = timing.ping_interval;
        assert!(matches!(check(&config().timing(timing)), Err(StartError::Timing(_))));
    }
}
