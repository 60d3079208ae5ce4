//! An agent that must not forget, and one that reads it out.

use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Message, NodeId, Options, Registry, Restart,
};
use dx_sim::{Sim, SimConfig};
use serde::{Deserialize, Serialize};

pub const SECOND: Duration = Duration::from_secs(1);
pub const LEDGER: AgentId = AgentId(1);

/// What a ledger hears and says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Page {
    Write(u64),
    /// It is written, and will be there after every crash.
    Written(u64),
    Panic,
}

impl Message for Page {
    const NAME: &'static str = "page";
}

/// Writes numbers down, and says so. `persists` not: it only says so.
pub struct Ledger {
    pub numbers: Vec<u64>,
    persists: bool,
    snapshots: bool,
}

impl Agent for Ledger {
    type Message = Page;

    fn start(&mut self, cx: &mut Context) {
        let recovered = cx.recovered();
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        let before = recovered.snapshot.iter().flat_map(|state| state.chunks(8).map(number));
        self.numbers = before.chain(recovered.records.iter().map(|it| number(it))).collect();
    }

    fn message(&mut self, from: AgentId, message: Page, cx: &mut Context) {
        match message {
            Page::Write(number) => {
                self.numbers.push(number);
                if self.persists {
                    cx.persist(number.to_le_bytes().to_vec());
                }
                if self.snapshots && self.numbers.len().is_multiple_of(16) {
                    let state = self.numbers.iter().flat_map(|number| number.to_le_bytes());
                    cx.snapshot(state.collect::<Vec<u8>>());
                }
                // Twice, so that a crash can come between.
                cx.send(from, Page::Written(number));
                cx.send(from, Page::Written(number));
            }
            Page::Panic => panic!("as it was told"),
            Page::Written(_) => {}
        }
    }
}

pub fn world(config: SimConfig, kind: &str) -> Sim {
    let make = |persists, snapshots| move || Ledger { numbers: Vec::new(), persists, snapshots };
    let (careful, tidy, careless) = (make(true, false), make(true, true), make(false, false));
    let registry = Registry::new()
        .kind("careful", move |_, _| Ok(careful()))
        .kind("tidy", move |_, _| Ok(tidy()))
        .kind("careless", move |_, _| Ok(careless()));
    let restart = Restart::Always { backoff: Duration::from_millis(1) };
    let spec = AgentSpec {
        id: LEDGER,
        kind: kind.to_owned(),
        node: NodeId(1),
        attr: serde_json::Value::Null,
        options: Options { restart, ..Options::default() },
    };
    Sim::new(config, Directory::new([spec]), registry).unwrap()
}
