//! The work itself, over any byte stream: send, receive, ping, echo.

use std::io;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::bench::floor::frames::{self, FrameCounter};
use crate::bench::latency::Distribution;
use crate::bench::pace::{Pacer, Schedule};
use crate::bench::subject::{Flow, Load, Meter, PING_BYTES, Window};

/// A stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Duplex for S {}

/// Messages of this size and more are written one by one, smaller ones as many at a time as fit.
pub const WRITE_BYTES: usize = 64 * 1024;

/// Bytes that the receiver reads at most at a time, unless messages are larger: twice what its
/// socket buffer holds as dx sets it.
pub const READ_BYTES: usize = 256 * 1024;

/// Sends until the receiver has enough and hangs up.
pub async fn send(mut stream: impl Duplex, size: usize) -> io::Result<()> {
    let buffer = if size < WRITE_BYTES { frames::encode(size, WRITE_BYTES) } else { vec![7; size] };
    loop {
        stream.write_all(&buffer).await?;
    }
}

/// Receives for a window.
pub async fn receive(mut stream: impl Duplex, size: usize, window: Window) -> io::Result<Flow> {
    let mut meter = Meter::new(window);
    let mut counter = Counter::new(size);
    let mut buffer = vec![0; READ_BYTES.max(size)];
    loop {
        let count = counter.fill(&mut stream, &mut buffer).await?;
        if let Some(flow) = meter.add(count, count * size as u64) {
            return Ok(flow);
        }
    }
}

/// Counts complete messages in what was read.
enum Counter {
    /// Small ones, by their lengths.
    Frames(FrameCounter),
    /// Large ones, by their bytes.
    Bytes { size: u64, rest: u64 },
}

impl Counter {
    fn new(size: usize) -> Self {
        if size < WRITE_BYTES {
            Self::Frames(FrameCounter::default())
        } else {
            Self::Bytes { size: size as u64, rest: 0 }
        }
    }

    async fn fill(&mut self, stream: &mut impl Duplex, buffer: &mut [u8]) -> io::Result<u64> {
        match self {
            Self::Frames(frames) => {
                let kept = frames.kept();
                let read = some(stream.read(&mut buffer[kept..]).await?)?;
                Ok(frames.count(buffer, kept + read))
            }
            Self::Bytes { size, rest } => {
                let read = some(stream.read(buffer).await?)? as u64 + *rest;
                *rest = read % *size;
                Ok(read / *size)
            }
        }
    }
}

fn some(read: usize) -> io::Result<usize> {
    if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
}

/// Sends back whatever comes, until the other end hangs up.
pub async fn echo(mut stream: impl Duplex) -> io::Result<()> {
    let mut buffer = vec![0; WRITE_BYTES];
    loop {
        let read = some(stream.read(&mut buffer).await?)?;
        stream.write_all(&buffer[..read]).await?;
        stream.flush().await?;
    }
}

/// Sends pings and waits for their echoes.
pub async fn ping(stream: impl Duplex, load: Load, window: Window) -> io::Result<Distribution> {
    match load {
        Load::ClosedLoop => ping_closed(stream, window).await,
        Load::PerSecond(rate) => ping_open(stream, rate, window).await,
    }
}

async fn ping_closed(mut stream: impl Duplex, window: Window) -> io::Result<Distribution> {
    let mut latencies = Distribution::new();
    let mut message = [7; PING_BYTES];
    let begin = Instant::now();
    loop {
        let sent = Instant::now();
        stream.write_all(&message).await?;
        stream.flush().await?;
        stream.read_exact(&mut message).await?;
        let now = Instant::now();
        if now - begin >= window.warmup {
            latencies.record_duration(now - sent);
        }
        if now - begin >= window.whole() {
            return Ok(latencies);
        }
    }
}

async fn ping_open(stream: impl Duplex, rate: u32, window: Window) -> io::Result<Distribution> {
    let (warmup, total) = window.messages(rate);
    let (reader, writer) = tokio::io::split(stream);
    let pacer = Pacer::start(rate)?;
    let schedule = pacer.schedule();
    let (latencies, ()) = tokio::try_join!(
        read_echoes(reader, schedule, warmup..total),
        write_pings(writer, pacer, total)
    )?;
    Ok(latencies)
}

async fn write_pings(
    mut stream: WriteHalf<impl Duplex>,
    mut pacer: Pacer,
    total: u64,
) -> io::Result<()> {
    loop {
        let due = pacer.due().await?;
        for _ in due.start..due.end.min(total) {
            stream.write_all(&[7; PING_BYTES]).await?;
        }
        stream.flush().await?;
        if due.end >= total {
            return Ok(());
        }
    }
}

/// Echoes come in the order of the pings, so the n-th echo answers the n-th ping.
async fn read_echoes(
    mut stream: ReadHalf<impl Duplex>,
    schedule: Schedule,
    numbers: std::ops::Range<u64>,
) -> io::Result<Distribution> {
    let mut latencies = Distribution::new();
    let mut buffer = vec![0; WRITE_BYTES];
    let (mut number, mut rest) = (0, 0);
    while number < numbers.end {
        rest += some(stream.read(&mut buffer).await?)?;
        let now = Instant::now();
        let count = (rest / PING_BYTES) as u64;
        rest %= PING_BYTES;
        for ping in (number..number + count).filter(|ping| numbers.contains(ping)) {
            latencies.record_duration(now - schedule.due_at(ping));
        }
        number += count;
    }
    Ok(latencies)
}
