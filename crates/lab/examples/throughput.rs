//! How much TCP and UDP a shaped cable carries, and what the shaper costs.
//!
//! `cargo run --release -p dx-lab --example throughput`
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use dx_lab::{Host, Lab, Shape, or_skip};

const SECONDS: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(lab) = or_skip(Lab::new("throughput")) else { return Ok(()) };
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    println!("{:<28} {:>10} {:>12} {:>10}", "cable", "Mbit/s", "packets/s", "shaper CPU");
    for (name, delay_ms, loss) in [
        ("0 ms", 0, 0.0),
        ("25 ms", 25, 0.0),
        ("25 ms, 0.1 % lost", 25, 0.001),
        ("25 ms, 1 % lost", 25, 0.01),
    ] {
        let delay = Duration::from_millis(delay_ms);
        if or_skip(lab.shape(&a, &b, Shape { delay, loss, ..Shape::default() })).is_none() {
            return Ok(());
        }
        let before = lab.traffic(&a, &b);
        let (bits, cpu) = measure(&a, &b)?;
        let after = lab.traffic(&a, &b);
        println!(
            "{name:<28} {:>10.0} {:>12} {:>9.0}%   {after:?}, {} unseen",
            bits / 1e6,
            (after.delivered - before.delivered) / SECONDS,
            cpu * 100.0,
            lab.unseen()?
        );
    }
    Ok(())
}

/// Bits per second over one TCP connection, and the shaper's share of a core.
fn measure(a: &Host, b: &Host) -> Result<(f64, f64), Box<dyn Error>> {
    let server = b.enter(|| TcpListener::bind((b.address(), 0)))?;
    let address = server.local_addr()?;
    let mut client = a.enter(|| TcpStream::connect(address))?;
    let (mut accepted, _) = server.accept()?;
    let sender = thread::spawn(move || while client.write_all(&[0; 4_096]).is_ok() {});
    let (started, cpu) = (Instant::now(), shaper_seconds());
    let mut bytes = 0.0;
    let mut buffer = vec![0; 1 << 18];
    while started.elapsed() < Duration::from_secs(SECONDS) {
        bytes += f64::from(u32::try_from(accepted.read(&mut buffer)?)?);
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = (shaper_seconds() - cpu) / seconds;
    drop(accepted);
    sender.join().expect("the sender ends with its connection");
    Ok((bytes * 8.0 / seconds, cpu))
}

/// CPU seconds of the thread called lab/shaper so far.
fn shaper_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    let ticks = stats.filter(|stat| stat.contains("(lab/shaper)")).map(|stat| {
        let fields: Vec<f64> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        fields[11] + fields[12]
    });
    ticks.sum::<f64>() / 100.0
}
