//! One of eight readers stalls: what the others notice of it, and how much memory it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context;
use dx_transport::id::NodeId;
use dx_transport::lane::{Lane, LaneConfig};
use dx_transport::limits;
use dx_transport::mesh::{Mesh, PeerStatus};
use tokio::sync::watch;

use crate::bench::end::{End, Task};
use crate::bench::mesh::{self, Cluster, pair};
use crate::bench::payload::{Checked, Checker, Source};
use crate::bench::report::{Params, Unit};
use crate::bench::scenario::Run;
use crate::bench::subject::Window;
use crate::bench::transport::TransportName;

/// Bytes of a message.
const SIZE: usize = 1024;

/// Readers.
const READERS: u32 = 8;

/// The node that sends.
const SENDER: NodeId = NodeId(0);

/// The reader that stalls, by its position.
const STALLED: usize = 0;

/// Runs it over every transport.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let transports = run.options.transports.clone();
    let window = run.options.window(run.name, transports.len() * 3);
    for transport in transports {
        run.output.progress.begin(format!("slow-consumer, {transport}"));
        let params = Params::new().with("transport", transport.name().into());
        if let Err(error) = over(run, &params, transport, window).await {
            run.failed(params, &error)?;
        }
        run.output.progress.advance();
    }
    Ok(())
}

async fn over(
    run: &mut Run<'_>,
    params: &Params,
    transport: TransportName,
    window: Window,
) -> anyhow::Result<()> {
    let fan = Fan::start(transport).await?;
    let before = fan.rate_of_others(window).await;
    fan.stall.send_replace(true);
    let during = fan.rate_of_others(window).await;
    let (sender_holds, reader_holds) = fan.held()?;
    fan.stall.send_replace(false);
    // Rates drift with whatever else the machine does: before and after together are fairer.
    let after = fan.rate_of_others(window).await;
    fan.finish().await?;

    let lane = &LaneConfig::defaults()[Lane::DATA.index()];
    let bytes = |bytes: u64| Some(bytes as f64);
    let sender_bound = lane.queue_bytes + lane.replay_bytes + limits::MAX_FRAME;
    let reader_bound = lane.window_bytes + limits::MAX_FRAME;
    run.report(params, ("others before", Unit::MessagesPerSecond), Some(before), None)?;
    run.report(params, ("others meanwhile", Unit::MessagesPerSecond), Some(during), None)?;
    run.report(params, ("others after", Unit::MessagesPerSecond), Some(after), None)?;
    let ratio = during / f64::midpoint(before, after);
    run.report(params, ("ratio", Unit::Ratio), Some(ratio), None)?;
    run.report(params, ("sender holds", Unit::Bytes), bytes(sender_holds), None)?;
    run.report(params, ("sender bound", Unit::Bytes), bytes(sender_bound as u64), None)?;
    run.report(params, ("reader holds", Unit::Bytes), bytes(reader_holds), None)?;
    run.report(params, ("reader bound", Unit::Bytes), bytes(reader_bound as u64), None)
}

/// One sender, many readers, and a stream to each.
struct Fan {
    sender: Arc<Mesh>,
    readers: Vec<Arc<Mesh>>,
    received: Arc<Vec<AtomicU64>>,
    enough: Arc<AtomicBool>,
    stall: watch::Sender<bool>,
    tasks: Vec<Task<anyhow::Result<()>>>,
    ends: (End, End),
}

impl Fan {
    async fn start(transport: TransportName) -> anyhow::Result<Self> {
        let cluster = Cluster::new()?;
        let ends = End::pair()?;
        let sender = pair::start(&ends.0, cluster.node(SENDER, transport, &ends.0)?).await?;
        let mut readers = Vec::new();
        for number in 1..=READERS {
            let reader =
                pair::start(&ends.1, cluster.node(NodeId(number), transport, &ends.1)?).await?;
            reader.add_peer(SENDER, sender.endpoints().to_vec())?;
            sender.add_peer(reader.node(), reader.endpoints().to_vec())?;
            readers.push(reader);
        }
        mesh::wait_until_up(&sender, readers.len()).await?;
        let mut fan = Self {
            sender,
            received: Arc::new(readers.iter().map(|_| AtomicU64::new(0)).collect()),
            readers,
            enough: Arc::new(AtomicBool::new(false)),
            stall: watch::Sender::new(false),
            tasks: Vec::new(),
            ends,
        };
        fan.start_streams();
        Ok(fan)
    }

    fn start_streams(&mut self) {
        for peer in self.sender.peers() {
            let sending =
                pair::send_until(peer, Lane::DATA, Source::new(SIZE), Arc::clone(&self.enough));
            self.tasks.push(self.ends.0.spawn(sending));
        }
        for (index, reader) in self.readers.iter().enumerate() {
            let stall = (index == STALLED).then(|| self.stall.subscribe());
            let reading = read(reader.clone(), index, self.received.clone(), stall);
            self.tasks.push(self.ends.1.spawn(reading));
        }
    }

    /// Messages per second that each of the readers that do not stall gets, on average.
    async fn rate_of_others(&self, window: Window) -> f64 {
        let count = || -> u64 {
            let others = self.received.iter().skip(STALLED + 1);
            others.map(|count| count.load(Ordering::Relaxed)).sum()
        };
        tokio::time::sleep(window.warmup).await;
        let (began, before) = (Instant::now(), count());
        tokio::time::sleep(window.measure).await;
        let messages = (count() - before) as f64;
        messages / f64::from(READERS - 1) / began.elapsed().as_secs_f64()
    }

    /// Bytes that the sender holds for the reader that stalls, and that the reader itself holds.
    fn held(&self) -> anyhow::Result<(u64, u64)> {
        let reader = &self.readers[STALLED];
        let at_sender = self.sender.peer(reader.node()).context("the reader is no peer")?;
        let at_reader = reader.peer(SENDER).context("the sender is no peer")?;
        let lane = |status: PeerStatus| status.lanes[Lane::DATA.index()].clone();
        let (sender, reader) = (lane(at_sender.status()), lane(at_reader.status()));
        Ok((sender.queued_bytes + sender.unacked_bytes, reader.held_bytes))
    }

    /// Everything that was sent must arrive.
    async fn finish(self) -> anyhow::Result<()> {
        self.enough.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.join().await?;
        }
        Ok(())
    }
}

async fn read(
    mesh: Arc<Mesh>,
    index: usize,
    received: Arc<Vec<AtomicU64>>,
    mut stall: Option<watch::Receiver<bool>>,
) -> anyhow::Result<()> {
    let mut checker = Checker::new(SIZE);
    loop {
        if let Some(stall) = &mut stall {
            stall.wait_for(|stalled| !stalled).await?;
        }
        for message in &mesh.recv(Lane::DATA).await {
            if checker.check(&message)? == Checked::End {
                return Ok(());
            }
        }
        received[index].store(checker.received(), Ordering::Relaxed);
    }
}
