//! Journal: records that are durable before they are confirmed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dx_agents::runtime::RuntimeConfig;
use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, NodeId, Options, Recovered, Registry, Spawn,
};
use rustix::fs::{FallocateFlags, fallocate};
use tempfile::TempDir;

use crate::bench::agents::arena::{Arena, Parcel, Verdict};
use crate::bench::agents::floor::Floor;
use crate::bench::agents::run::{Operation, Run};
use crate::bench::report::{Param, Params, Unit};

/// Bytes of a record.
const RECORD: usize = 256;

/// Records that are not confirmed: one, which waits for the disk each time; and enough that a
/// group commit has something to group.
const WINDOWS: [u64; 2] = [1, 1024];

/// Bytes that the floor reserves ahead, as dx does for a segment.
const SEGMENT: u64 = 64 << 20;

/// The agent that keeps records.
const SCRIBE: AgentId = AgentId(1);

/// Has `count` records persisted and confirmed, `window` at a time. Returns how long it took, when
/// a second life has found as many in the journal.
async fn measure(folder: &Path, window: u64, count: u64) -> anyhow::Result<Duration> {
    let folder = TempDir::new_in(folder).context("failed to make a folder for the journal")?;
    let first = Life::start(folder.path())?;
    let port = first.0.port.id();
    let make = move || Client { asked: 0, confirmed: 0, count, window, port };
    let client = first.0.spawn(&Spawn::new("client", make));
    let began = Instant::now();
    first.0.send(client, Parcel::new(0, 0))?;
    first.0.verdict().await?;
    let took = began.elapsed();
    first.0.end()?;
    let second = Life::start(folder.path())?;
    let kept = second.kept().await?;
    second.0.end()?;
    ensure!(kept == count, "{count} records were confirmed, and {kept} are in the journal");
    Ok(took)
}

/// One life of a node with a scribe.
struct Life(Arena);

impl Life {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let (kind, options) = ("scribe".to_owned(), Options::default());
        let spec =
            AgentSpec { id: SCRIBE, kind, node: NodeId(1), attr: serde_json::Value::Null, options };
        let directory = Arc::new(Directory::new([spec.clone()]));
        let journal = Some(folder.to_owned());
        let config = RuntimeConfig { directory, journal, pool: 1, ..RuntimeConfig::default() };
        let arena = Arena::with(config)?;
        let registry = Registry::new().kind("scribe", |_, _| Ok(Scribe { kept: 0 }));
        arena.runtime.start_agent(&spec, &registry)?;
        Ok(Self(arena))
    }

    /// How many records the scribe knows of.
    async fn kept(&self) -> anyhow::Result<u64> {
        let question = Parcel::new(QUESTION, 0);
        let answer = self.0.port.ask(SCRIBE, question, Duration::from_secs(10)).await?;
        Ok(answer.open::<Parcel>()?.number)
    }
}

/// The source of a parcel that asks how many records there are.
const QUESTION: u64 = u64::MAX;

/// Persists a record for each message, and confirms it.
struct Scribe {
    kept: u64,
}

impl Agent for Scribe {
    type Message = Parcel;

    fn start(&mut self, cx: &mut Context) {
        let Recovered { snapshot, records, .. } = cx.recovered();
        let before =
            snapshot.and_then(|bytes| bytes.first_chunk().copied().map(u64::from_le_bytes));
        self.kept = before.unwrap_or(0) + records.len() as u64;
    }

    fn message(&mut self, from: AgentId, parcel: Parcel, cx: &mut Context) {
        if let Some(to) = cx.asked() {
            return cx.reply(to, Parcel::new(QUESTION, self.kept));
        }
        self.kept += 1;
        cx.persist(vec![parcel.number as u8; RECORD]);
        // It leaves when the record is durable.
        cx.send(from, parcel);
    }

    fn compact(&mut self, cx: &mut Context) {
        cx.snapshot(self.kept.to_le_bytes().to_vec());
    }
}

/// Wants records kept.
struct Client {
    asked: u64,
    confirmed: u64,
    count: u64,
    window: u64,
    port: AgentId,
}

impl Client {
    fn ask(&mut self, cx: &mut Context) {
        if self.asked < self.count {
            cx.send(SCRIBE, Parcel::new(0, self.asked));
            self.asked += 1;
        }
    }
}

impl Agent for Client {
    type Message = Parcel;

    fn message(&mut self, from: AgentId, parcel: Parcel, cx: &mut Context) {
        if from == self.port {
            return (0..self.window).for_each(|_| self.ask(cx));
        }
        if parcel.number != self.confirmed {
            return cx.send(self.port, Verdict::wrong(parcel.number, self.confirmed));
        }
        self.confirmed += 1;
        if self.confirmed == self.count {
            cx.send(self.port, Verdict(Ok(())));
        }
        self.ask(cx);
    }
}

/// The floor: write a group, wait until it is durable, write the next. While a group of dx becomes
/// durable the next one gathers, so that half a window is a group.
pub(in crate::bench) fn write_and_sync(
    folder: &Path,
    window: u64,
    count: u64,
) -> anyhow::Result<Duration> {
    let folder = TempDir::new_in(folder).context("failed to make a folder for the floor")?;
    let group = (window / 2).max(1).min(count);
    let bytes = vec![7; RECORD * group as usize];
    let mut file = segment(folder.path())?;
    let mut written = 0;
    let began = Instant::now();
    for _ in 0..count / group {
        if written + bytes.len() as u64 > SEGMENT {
            file = segment(folder.path())?;
            written = 0;
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        written += bytes.len() as u64;
    }
    // What does not fill a group is not written: it counts no time either.
    let share = (count - count % group) as f64 / count as f64;
    Ok(began.elapsed().div_f64(share))
}

/// An empty file with room, in the place of the one before.
fn segment(folder: &Path) -> anyhow::Result<File> {
    let path: PathBuf = folder.join("floor");
    if path.exists() {
        fs::remove_file(&path)?;
    }
    let file = File::create(&path)?;
    // Where the file system cannot reserve, dx does without as well.
    let _ = fallocate(&file, FallocateFlags::KEEP_SIZE, 0, SEGMENT);
    Ok(file)
}

/// Measures it one record at a time, and in groups.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let folder = run.options.folder.clone().unwrap_or_else(std::env::temp_dir);
    for window in WINDOWS {
        let params = Params::new().with("unconfirmed", Param::Count(window));
        let operation = Operation { params, metric: ("records", Unit::PerSecond) };
        let at = folder.clone();
        let floor: Floor = Arc::new(move |count| write_and_sync(&at, window, count));
        let records = async |count| measure(&folder, window, count).await;
        run.measure(&operation, records, Some(floor)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_record_is_confirmed_and_found_again() {
        let folder = TempDir::new().unwrap();
        for (window, count) in [(1, 3), (64, 500)] {
            measure(folder.path(), window, count).await.unwrap();
        }
    }

    #[test]
    fn the_floor_writes_groups() {
        let folder = TempDir::new().unwrap();
        for (window, count) in [(1, 3), (64, 500), (64, 5)] {
            assert!(write_and_sync(folder.path(), window, count).unwrap() > Duration::ZERO);
        }
    }
}
