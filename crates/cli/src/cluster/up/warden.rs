//! Who watches over one node.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dx_agents::NodeId;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use super::intensity::Intensity;
use super::process::{How, Process};
use super::tail::Tail;
use crate::control::{About, Client};
use crate::home::{Home, Node};

/// What happens to a node.
#[derive(Debug)]
pub enum News {
    /// It could say nothing before it ended, since the disk of this folder is full.
    DiskFull(PathBuf),
    /// Its process was started.
    Started {
        /// The process.
        pid: u32,
    },
    /// It ran already, and is watched from now on.
    TakenOver {
        /// The process.
        pid: u32,
    },
    /// It printed a line.
    Line(String),
    /// Its links are up and its agents have started.
    Ready,
    /// Its process has ended.
    Ended(How),
    /// It will be started again.
    Restarting {
        /// After this time.
        after: Duration,
    },
    /// It has failed too often.
    GaveUp,
    /// Its process could not be started, or its log not be read.
    NotStarted(io::Error),
}

/// What is wanted of all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To run.
    Run,
    /// To stop.
    Stop,
    /// To end at once.
    Kill,
}

/// See the module.
pub struct Warden {
    /// The node's place in the news.
    pub index: usize,
    pub home: Home,
    pub node: Node,
    pub id: NodeId,
    /// The cluster, as JSON.
    pub configuration: Arc<[u8]>,
    /// Changes in the node's folder.
    pub changes: watch::Receiver<()>,
    pub orders: watch::Receiver<Order>,
    /// Kills the process.
    pub accident: Arc<Notify>,
    /// Whether a process that failed is started again.
    pub restarts: bool,
    pub news: mpsc::Sender<(usize, News)>,
}

/// How long `/v1/ready` may take: as long as the other nodes need to be started by somebody.
const READY: Duration = Duration::from_hours(24 * 365);

impl Warden {
    /// Watches over the node until it is told to stop, stops by itself, or fails too often.
    pub async fn tend(mut self, found: Option<About>) {
        let mut intensity = Intensity::default();
        let mut found = found.map(|about| about.pid);
        loop {
            let how = match self.life(found.take()).await {
                Ok(how) => how,
                Err(error) => return self.tell(News::NotStarted(error)).await,
            };
            self.tell(News::Ended(how)).await;
            let is_over = *self.orders.borrow() != Order::Run;
            if is_over || how.was_told() || how.is_lasting() || !self.restarts {
                return;
            }
            let Some(after) = intensity.failed(Instant::now()) else {
                return self.tell(News::GaveUp).await;
            };
            self.tell(News::Restarting { after }).await;
            tokio::select! {
                () = sleep(after) => {}
                _ = self.orders.wait_for(|order| *order != Order::Run) => return,
            }
        }
    }

    /// One process, from its start, or from when it was found, to its end.
    async fn life(&mut self, found: Option<u32>) -> io::Result<How> {
        let log = self.node.log();
        let tail = open_log(&log)?;
        let (process, news) = match found {
            Some(pid) => (Process::find(pid)?, News::TakenOver { pid }),
            None => {
                let process = Process::start(self.id, &self.configuration, &log).await?;
                let pid = process.pid();
                (process, News::Started { pid })
            }
        };
        self.tell(news).await;
        self.attend(process, tail).await
    }

    async fn attend(&mut self, mut process: Process, mut tail: Tail) -> io::Result<How> {
        let socket = self.node.control_socket();
        let ready =
            ready(self.home.clone(), self.node.clone(), process.pid(), self.changes.clone());
        let (mut ready, mut is_ready) = (Box::pin(ready), false);
        self.obey(&process);
        loop {
            tokio::select! {
                how = process.wait(&socket) => {
                    for line in tail.rest()? {
                        self.tell(News::Line(line)).await;
                    }
                    return Ok(self.judge(how).await);
                }
                Ok(()) = self.changes.changed() => {
                    for line in tail.lines()? {
                        self.tell(News::Line(line)).await;
                    }
                }
                () = &mut ready, if !is_ready => {
                    is_ready = true;
                    self.tell(News::Ready).await;
                }
                Ok(()) = self.orders.changed() => self.obey(&process),
                () = self.accident.notified() => process.stop(true),
            }
        }
    }

    /// A process that was told to stop before it could listen has stopped all the same; and one
    /// that failed may have had no room to say why.
    async fn judge(&self, how: How) -> How {
        if *self.orders.borrow() == Order::Stop && how.is_by_request() {
            return How::InOrder;
        }
        if !how.was_told() && is_full(self.node.path()) {
            self.tell(News::DiskFull(self.node.path().to_owned())).await;
        }
        how
    }

    fn obey(&mut self, process: &Process) {
        match *self.orders.borrow_and_update() {
            Order::Run => {}
            Order::Stop => process.stop(false),
            Order::Kill => process.stop(true),
        }
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more where the nodes are left to themselves.
        let _ = self.news.send((self.index, news)).await;
    }
}

/// Waits until the process `pid` of `node` is ready. What changes in its folder is a reason to look
/// again.
async fn ready(home: Home, node: Node, pid: u32, mut changes: watch::Receiver<()>) {
    loop {
        if let Ok(client) = Client::node(&home, node.cluster().name(), node.name()).await
            && client.about().pid == pid
            && client.timeout(READY).get::<About>("/v1/ready").await.is_ok()
        {
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Whether no block is left on the disk of `folder`, for those who are not root.
fn is_full(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail == 0)
}

/// The log from its end on. The node itself keeps it from growing without end.
fn open_log(path: &Path) -> io::Result<Tail> {
    File::options().append(true).create(true).mode(0o600).open(path)?;
    Tail::of(path)
}
