//! A controller in a process of its own, which is a node as users have them, asked through its
//! control socket; and a node of this process that ends at once whatever it is given.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use dx_agents::Directory;
use dx_agents::mesh::{Node, NodeConfig};
use dx_agents::runtime::RuntimeConfig;
use dx_scheduler::client::JobView;
use dx_scheduler::id::JobId;
use dx_transport::mesh::MeshConfig;
use tokio::process::Child;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::pair::{CONTROLS, RUNS, START, STOP, registry, specs};
use super::stand::{Stand, name};
use crate::bench::cpu;
use crate::home::{Home, Running};
use crate::jobs::Service;
use crate::ring::ports;

/// Both. They end with this value.
pub struct Apart {
    /// Killed when it is dropped.
    controls: Child,
    runs: Node,
    /// What it holds of its folder.
    _running: Running,
    /// The last to go: what is above is in its folder.
    stand: Stand,
}

/// Tasks that the node takes at a time.
const SLOTS: u32 = 256;

/// Between two looks whether the controller answers.
const LOOK: Duration = Duration::from_millis(1);

impl Apart {
    /// Starts both in a folder of their own under `folder`.
    ///
    /// # Errors
    /// If one does not start, or they do not connect.
    pub async fn start(folder: &std::path::Path) -> anyhow::Result<Self> {
        let ports = ports::free(2)?;
        let addresses =
            [format!("tls://127.0.0.1:{}", ports[0]), format!("tls://127.0.0.1:{}", ports[1])];
        let stand = Stand::prepared(folder, &cluster(&addresses))?;
        let home = stand.home();
        // Its keys are there before either looks for them.
        let (runs, running) = spawn_blocking(move || join(&home, &addresses)).await??;
        let controls = begin(&stand)?;
        let apart = Self { controls, runs, _running: running, stand };
        timeout(START, apart.runs.ready()).await.context("the nodes do not connect")?;
        Ok(apart)
    }

    /// The job service, once it answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn service(&self) -> anyhow::Result<Service> {
        let answering = async {
            loop {
                match self.stand.service().await {
                    Ok(service) => return service,
                    Err(_) => sleep(LOOK).await,
                }
            }
        };
        timeout(START, answering).await.context("the controller does not answer")
    }

    /// Kills the controller and starts it again. Returns how long it took from its start until it
    /// showed `job`, and as what.
    ///
    /// # Errors
    /// If it does not start, or does not answer.
    pub async fn restart(&mut self, job: JobId) -> anyhow::Result<(Duration, JobView)> {
        self.controls.kill().await.context("failed to kill the controller")?;
        let began = Instant::now();
        self.controls = begin(&self.stand)?;
        let shown = async {
            loop {
                if let Ok(client) = self.stand.client().await
                    && let Ok(view) = client.get::<JobView>(&format!("/v1/jobs/{job}")).await
                {
                    return (began.elapsed(), view);
                }
                sleep(LOOK).await;
            }
        };
        timeout(START, shown).await.context("the controller does not answer")
    }

    /// Bytes of memory that the controller has resident.
    ///
    /// # Errors
    /// If it has ended, or the system does not say.
    pub fn resident_bytes(&self) -> anyhow::Result<f64> {
        let pid = self.controls.id().context("the controller has ended")?;
        Ok(cpu::resident_bytes_of(pid).context("the system does not say")? as f64)
    }

    /// Ends both.
    ///
    /// # Errors
    /// If this process's node does not stop in good order.
    pub async fn end(self) -> anyhow::Result<()> {
        let Self { mut controls, runs, _running, stand } = self;
        let report = spawn_blocking(move || runs.stop(STOP)).await?;
        controls.kill().await.context("failed to kill the controller")?;
        drop(stand);
        if !report.late.is_empty() {
            bail!("agents did not stop: {:?}", report.late);
        }
        Ok(())
    }
}

/// Starts the controller's process.
fn begin(stand: &Stand) -> anyhow::Result<Child> {
    let mut command = stand.command()?;
    command.arg("node").arg(stand.file()).args(["--name", NAMES[0]]);
    // A signal to the group that ends this one ends it by this one's end, and not before.
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().context("failed to start the controller")
}

/// Starts the other node in this process.
fn join(home: &Home, addresses: &[String; 2]) -> anyhow::Result<(Node, Running)> {
    let node = home.open_or_create(&name())?.node(&NAMES[1].parse()?);
    let running = node.start(RUNS, SystemTime::now())?;
    let credentials = running.credentials.clone();
    let mesh = MeshConfig::new(name(), RUNS, running.incarnation, credentials)
        .listen(addresses[1].parse()?);
    let directory = Arc::new(Directory::new(specs()));
    let runtime = RuntimeConfig { directory, pool: 1, crew: 1, ..RuntimeConfig::default() };
    let peers = vec![(CONTROLS, vec![addresses[0].parse()?])];
    let node = Node::start(NodeConfig { mesh, runtime, peers }, &registry(SLOTS))?;
    Ok((node, running))
}

/// What the nodes are called.
const NAMES: [&str; 2] = ["n1", "n2"];

fn cluster(addresses: &[String; 2]) -> String {
    let [controls, runs] = addresses;
    format!(
        "[cluster]\nname = \"{}\"\ntransport = \"tls\"\n\n\
         [node.{}]\nid = 1\naddress = \"{controls}\"\nroles = [\"controller\"]\n\n\
         [node.{}]\nid = 2\naddress = \"{runs}\"\nroles = [\"runner\"]\n",
        name(),
        NAMES[0],
        NAMES[1]
    )
}
