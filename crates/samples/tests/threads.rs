//! The very agents of the samples, on real threads and a real disk.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::sync::Arc;
use std::time::Duration;

use dx_agents::runtime::{Runtime, RuntimeConfig};
use dx_agents::{Directory, NodeId};
use dx_samples::sample::DONE;
use dx_samples::{SAMPLES, Sample};

fn finishes(sample: &Sample) {
    let folder = tempfile::tempdir().unwrap();
    let mut agents: Vec<_> = sample.directory(None, sample.sizes.small).agents().cloned().collect();
    for spec in &mut agents {
        spec.node = NodeId(1);
    }
    let directory = Arc::new(Directory::new(agents));
    let journal = Some(folder.path().to_owned());
    let config = RuntimeConfig { directory: Arc::clone(&directory), journal, ..Default::default() };
    let runtime = Runtime::start(config).unwrap();
    for spec in directory.agents() {
        runtime.start_agent(spec, &(sample.registry)()).unwrap();
    }
    let wanted = |id| directory.agent(id).map(|spec| spec.attr["operations"].as_u64().unwrap());
    loop {
        let status = runtime.status();
        assert_eq!(status.failure, None, "{}", sample.name);
        let mut workers = status.agents.iter().filter(|agent| agent.kind == sample.workers);
        if workers.all(|it| it.notes.get(DONE).copied() >= wanted(it.id)) {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(runtime.stop(Duration::from_secs(30)), [], "{}", sample.name);
}

#[test]
fn every_sample_does_its_work_on_threads() {
    for sample in SAMPLES {
        finishes(sample);
    }
}
