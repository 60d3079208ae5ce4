//! What was appended, and what a journal may hold after a crash: a prefix of it, with all that was
//! acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dx_agents::journal::{AgentLog, Entry, Journal, OpenError, Options, Recovered};

use super::model::{Dice, Model};

/// Bounds that are met often.
pub fn small_options() -> Options {
    let mut options = Options::new(0xd0_5eed);
    options.segment_bytes = 4096;
    options.max_entry = 12_000;
    options.max_group = 16_000;
    options.agent_bytes = 6000;
    options.log_bytes = 10_000;
    options.carry_bytes = 1500;
    options
}

#[derive(Debug, Default)]
pub struct History {
    appended: Vec<(u64, Entry<Bytes>)>,
    /// So many of them must be there.
    acknowledged: usize,
    made: u64,
}

impl History {
    /// Appends something that was never appended before.
    pub fn append(&mut self, journal: &mut Journal, dice: &mut Dice) {
        let agent = [1, 2, 3, 4, u64::MAX][dice.roll(5)];
        let entry = match dice.roll(20) {
            0 => Entry::Forget,
            1..4 => Entry::Snapshot(self.payload(dice)),
            _ => Entry::Record(self.payload(dice)),
        };
        // If it refuses because too much waits, or because it is full or broken, nothing is kept.
        if journal.append(agent, entry.as_ref()).is_ok() {
            self.appended.push((agent, entry));
        }
    }

    fn payload(&mut self, dice: &mut Dice) -> Bytes {
        let length = match dice.roll(10) {
            0 => 0,
            1..8 => 8 + dice.roll(200),
            8 => 8 + dice.roll(2000),
            _ => 8 + dice.roll(9000),
        };
        self.made += 1;
        let mut bytes = self.made.to_le_bytes().to_vec();
        bytes.resize(length, self.made as u8);
        bytes.into()
    }

    pub fn sync(&mut self, journal: &mut Journal) {
        if journal.sync().is_ok() {
            self.acknowledged = self.appended.len();
        }
    }

    /// The journal was opened and holds this: it must be a state that it may hold.
    pub fn check(&mut self, recovered: &Recovered) {
        let mut agents: BTreeMap<u64, AgentLog> = BTreeMap::new();
        for count in 0..=self.appended.len() {
            if count > 0 {
                apply(&mut agents, &self.appended[count - 1]);
            }
            // A later prefix may look the same; then nothing distinguishes them.
            if count >= self.acknowledged && agents == recovered.agents {
                self.appended.truncate(count);
                self.acknowledged = count;
                return;
            }
        }
        panic!(
            "of {} appended and {} acknowledged, this is left: {:?}",
            self.appended.len(),
            self.acknowledged,
            recovered.agents
        );
    }

    pub fn open(&mut self, disk: &Model) -> Result<Journal, OpenError> {
        let (journal, recovered) = Journal::open(Arc::new(disk.clone()), small_options())?;
        self.check(&recovered);
        Ok(journal)
    }
}

fn apply(agents: &mut BTreeMap<u64, AgentLog>, (agent, entry): &(u64, Entry<Bytes>)) {
    match entry {
        Entry::Record(bytes) => agents.entry(*agent).or_default().records.push(bytes.clone()),
        Entry::Snapshot(bytes) => {
            let log = AgentLog { snapshot: Some(bytes.clone()), records: Vec::new() };
            agents.insert(*agent, log);
        }
        Entry::Forget => {
            agents.remove(agent);
        }
    }
}
