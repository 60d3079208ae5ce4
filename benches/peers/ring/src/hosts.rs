//! Hosts of a laboratory, on which each contender runs in its turn.

use std::sync::Arc;

use dx::bench::laboratory::{Job, Site};
use dx_lab::{Host, Lab};

/// Hosts at one router.
pub struct Hosts {
    hosts: Vec<Host>,
    lab: Arc<Lab>,
}

impl Hosts {
    /// So many, each with a link of so many bits per second, or of what the machine gives.
    pub fn new(count: usize, bits_per_second: Option<u64>) -> anyhow::Result<Self> {
        let lab = Arc::new(Lab::new("ring")?);
        let host = |number| {
            let host = lab.host(&format!("h{number}"))?;
            if let Some(rate) = bits_per_second {
                host.set_rate(rate)?;
            }
            anyhow::Ok(host)
        };
        let hosts = (1..=count).map(host).collect::<Result<_, _>>()?;
        Ok(Self { hosts, lab })
    }

    /// All of them.
    pub fn all(&self) -> &[Host] {
        &self.hosts
    }

    /// All of them, as the benches of dx know hosts.
    pub fn sites(&self) -> Vec<Site> {
        let site = |host: &Host| {
            let (host, lab) = (host.clone(), Arc::clone(&self.lab));
            let address = host.address();
            let enter = Box::new(move |job: Job<'_>| {
                // The network is there for as long as one of its hosts.
                let _lab = &lab;
                host.enter(job);
            });
            Site { address, enter }
        };
        self.hosts.iter().map(site).collect()
    }
}
