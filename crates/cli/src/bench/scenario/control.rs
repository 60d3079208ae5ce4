//! Latency of the control lane, alone and beside large messages that saturate the bulk lane.
//!
//! One way, from when a message was due at the sender to when the receiving application has it:
//! both ends read the same clock. Beside it stands how many bytes of bulk the receiver got
//! between a control message's hand-over and its arrival: what overtook it, wherever it lay.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dx_transport::lane::Lane;
use dx_transport::mesh::Mesh;
use tokio::sync::oneshot;

use crate::bench::end::{End, Task};
use crate::bench::latency::{Distribution, PERCENTILES};
use crate::bench::mesh::pair::{receive_paced, send_paced, send_until};
use crate::bench::mesh::{Gauge, Pair};
use crate::bench::pace::Pacer;
use crate::bench::payload::{Checked, Checker, Source};
use crate::bench::report::{Params, Unit};
use crate::bench::scenario::Run;
use crate::bench::subject::Window;
use crate::bench::transport::TransportName;

/// Control messages per second.
const RATE: u32 = 1_000;

/// Bytes of a bulk message.
const BULK_BYTES: usize = 16 << 20;

/// Samples that a p99.9 takes.
const SAMPLES: u32 = 10_000;

/// Samples of a quick run: what a p99 takes.
const QUICK_SAMPLES: u32 = 1_000;

/// Runs it over every transport.
pub async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let transports = run.options.transports.clone();
    let samples = if run.options.effort.quick { QUICK_SAMPLES } else { SAMPLES };
    let enough = Duration::from_secs(1) * samples / RATE;
    // Only what happens beside bulk is worth that time in a quick run.
    let window = run.options.window(run.name, transports.len());
    let saturated = Window { measure: window.measure.max(enough), ..window };
    let idle = if run.options.effort.quick { window } else { saturated };
    for transport in transports {
        run.output.progress.begin(format!("control, {transport}"));
        if let Err(error) = over(run, transport, idle, saturated).await {
            run.failed(Params::new().with("transport", transport.name().into()), &error)?;
        }
        run.output.progress.advance();
    }
    Ok(())
}

async fn over(
    run: &mut Run<'_>,
    transport: TransportName,
    idle: Window,
    saturated: Window,
) -> anyhow::Result<()> {
    let gauge = Gauge::default();
    let pair = Pair::start_probed(transport, End::pair()?, &gauge).await?;
    let params = |bulk: &str| {
        Params::new().with("transport", transport.name().into()).with("bulk", bulk.into())
    };
    let alone = pings(&pair, &gauge, idle).await?;
    for (metric, quantile) in PERCENTILES {
        let value = alone.latency.percentile_us(quantile);
        run.report(&params("idle"), (metric, Unit::Microseconds), value, None)?;
    }
    let bulk = Bulk::start(&pair, BULK_BYTES);
    let beside = pings(&pair, &gauge, saturated).await?;
    bulk.finish().await?;
    let params = params("saturated");
    for (metric, quantile) in PERCENTILES {
        let value = beside.latency.percentile_us(quantile);
        run.report(&params, (metric, Unit::Microseconds), value, None)?;
    }
    let p999 = |pings: &Pings| pings.latency.percentile(0.999);
    let ratio = p999(&beside).zip(p999(&alone)).map(|(beside, alone)| beside / alone);
    run.report(&params, ("p99.9 / idle", Unit::Ratio), ratio, None)?;
    for (metric, quantile) in [("overtaken p50", 0.5), ("overtaken p99.9", 0.999)] {
        run.report(&params, (metric, Unit::Bytes), beside.overtaken.percentile(quantile), None)?;
    }
    run.report(&params, ("bulk", Unit::MegabytesPerSecond), Some(beside.bulk), None)
}

/// What became of the control messages.
pub(super) struct Pings {
    /// From when they were due to their arrival.
    pub latency: Distribution,
    /// Bytes that arrived between their hand-over and their arrival.
    pub overtaken: Distribution,
    /// Million bytes per second that arrived meanwhile.
    pub bulk: f64,
}

/// Bulk messages without end, from one node to the other. Dropped, it leaves them where they are.
pub(super) struct Bulk {
    enough: Arc<AtomicBool>,
    sender: Task<anyhow::Result<()>>,
    consumer: Task<anyhow::Result<()>>,
}

impl Bulk {
    /// Starts to send messages of `size` bytes.
    pub fn start(pair: &Pair, size: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let (peer, source) = (pair.a.peer.clone(), Source::new(size));
        let sending = send_until(peer, Lane::BULK, source, Arc::clone(&enough));
        let sender = pair.a.end.spawn(sending);
        let consumer = pair.b.end.spawn(consume(Arc::clone(&pair.b.mesh), size));
        Self { enough, sender, consumer }
    }

    /// Stops, and waits until everything has arrived.
    ///
    /// # Errors
    /// If something did not arrive as it was sent.
    async fn finish(self) -> anyhow::Result<()> {
        self.enough.store(true, Ordering::Relaxed);
        self.sender.join().await?;
        self.consumer.join().await
    }
}

/// Receives and checks bulk messages to their end.
async fn consume(mesh: Arc<Mesh>, size: usize) -> anyhow::Result<()> {
    let mut checker = Checker::new(size);
    loop {
        for message in &mesh.recv(Lane::BULK).await {
            if checker.check(&message)? == Checked::End {
                return Ok(());
            }
        }
    }
}

/// Control messages, whatever else goes on.
pub(super) async fn pings(pair: &Pair, gauge: &Gauge, window: Window) -> anyhow::Result<Pings> {
    let (warmup, total) = window.messages(RATE);
    // What the receiver had got when each message was handed over, by the message's number.
    let marks = Arc::new(Mutex::new(Vec::<u64>::new()));
    let (started, schedule) = oneshot::channel();
    let begin = (Instant::now(), gauge.read_bytes());

    let (peer, at_sender) = (pair.a.peer.clone(), (gauge.clone(), Arc::clone(&marks)));
    let sender = pair.a.end.spawn(async move {
        let pacer = Pacer::start(RATE)?;
        // The receiver is gone only if it failed, and then its error counts.
        let _ = started.send(pacer.schedule());
        let (gauge, marks) = at_sender;
        let mark = |_| lock(&marks).push(gauge.read_bytes());
        send_paced(&peer, Lane::CONTROL, pacer, total, mark).await
    });
    let (mesh, at_receiver) = (Arc::clone(&pair.b.mesh), gauge.clone());
    let receiver = pair.b.end.spawn(async move {
        let mut overtaken = Distribution::new();
        let record = |number: u64| {
            let before = lock(&marks)[usize::try_from(number).expect("an index into memory")];
            overtaken.record(at_receiver.read_bytes() - before);
        };
        let schedule = schedule.await?;
        let latency = receive_paced(&mesh, Lane::CONTROL, schedule, warmup..total, record).await?;
        anyhow::Ok((latency, overtaken))
    });
    sender.join().await?;
    let (latency, overtaken) = receiver.join().await?;
    let megabytes = (gauge.read_bytes() - begin.1) as f64 / 1e6;
    Ok(Pings { latency, overtaken, bulk: megabytes / begin.0.elapsed().as_secs_f64() })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
