//! The lives of nodes: start, crash, restart, pause, suspension, and the moments at which a crash
//! may come.

use std::time::Duration;

use dx_agents::journal::OpenError;
use dx_agents::{AgentId, NodeId, Recovered};

use super::Sim;
use crate::journaling::Journaling;
use crate::node::{CrashPoint, Standing};
use crate::schedule::{Due, NodeDue};
use crate::trace::{Happened, What};

/// How long a crash waits for the moment it was meant for.
const CRASHES_ANYWAY: Duration = Duration::from_millis(100);

/// How long a supervisor waits before it starts a node again that did not come up.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Sim {
    pub(super) fn node_due(&mut self, node: u32, life: u32, what: NodeDue) {
        if self.nodes[node as usize].life != life {
            return;
        }
        match what {
            NodeDue::Boot => self.boot(node),
            NodeDue::Resume => self.resume(node),
            NodeDue::Crash => {
                if self.nodes[node as usize].armed.is_some() {
                    self.crash(node);
                }
            }
        }
    }

    /// A node starts: its journal is read, and its agents of the deployment start.
    pub(crate) fn boot(&mut self, place: u32) {
        let (seed, now) = (self.config.seed, self.now);
        let machine = self.config.machine;
        let node = &mut self.nodes[place as usize];
        if node.is_up() {
            return;
        }
        node.begin(seed, &self.directory, now);
        node.idle_cores = machine.cores.max(1);
        let id = node.id;
        if machine.has_disk {
            match Journaling::open(&node.disk, u64::from(id.0), machine.segment_bytes) {
                Ok(journaling) => node.journaling = Some(Box::new(journaling)),
                Err(error) => return self.starts_not(place, &error),
            }
        }
        node.show_journal();
        self.note_node(place, What::Boot);
        let directory = std::sync::Arc::clone(&self.directory);
        let twin = self.twins.home_of(place);
        for spec in directory.on_node(id).filter(|spec| twin.is_none_or(|twin| twin == spec.id)) {
            let plan = std::sync::Arc::clone(&self.plans[&spec.id]);
            let journaling = &mut self.nodes[place as usize].journaling;
            let recovered = match journaling {
                Some(journaling) => journaling.recovered(spec.id),
                None => Recovered::default(),
            };
            self.bear(place, spec.id, plan, recovered);
        }
        self.node_is_up(place);
        self.boot_twins(place);
    }

    /// A node does not come up. On a disk that is full or fails that is right, and its supervisor
    /// tries again; on one that keeps its promises the journal has nothing to complain about.
    fn starts_not(&mut self, place: u32, error: &OpenError) {
        let node = &mut self.nodes[place as usize];
        node.life += 1;
        node.standing = Standing::Down;
        let id = node.id;
        if matches!(error, OpenError::Corrupt { .. }) {
            self.fail("the journal opens after every crash", error.to_string());
        }
        self.note_node(place, What::Fault);
        self.tell_fault(&[id], || format!("{id} does not come up: {error}"));
        self.restart_node(id, TRY_AGAIN);
    }

    fn place_of(&self, node: NodeId) -> u32 {
        let place = self.node_places.get(&node).copied();
        place.unwrap_or_else(|| panic!("there is no {node} in this world"))
    }

    /// Crashes a node now. What it had synced survives.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn crash_node(&mut self, node: NodeId) {
        let place = self.place_of(node);
        self.crash(place);
    }

    /// Crashes a node at a certain moment of its agents' work; if none comes, a little later.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn crash_node_at(&mut self, node: NodeId, point: CrashPoint) {
        let place = self.place_of(node);
        if !self.nodes[place as usize].is_up() {
            return;
        }
        self.nodes[place as usize].armed = Some(point);
        let due =
            Due::Node { node: place, life: self.nodes[place as usize].life, what: NodeDue::Crash };
        let at = self.after(CRASHES_ANYWAY);
        self.schedule.add(at, due, &mut self.choices);
    }

    /// Starts a node that is down, `within` some time.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn restart_node(&mut self, node: NodeId, within: Duration) {
        let place = self.place_of(node);
        let life = self.nodes[place as usize].life;
        let at = self.after(within);
        let due = Due::Node { node: place, life, what: NodeDue::Boot };
        self.schedule.add(at, due, &mut self.choices);
    }

    /// Stops a node's process for a while; its clock goes on. What comes for it waits.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn pause_node(&mut self, node: NodeId, duration: Duration) {
        self.stand_still(node, duration, Standing::Paused(self.now));
    }

    /// Suspends a node's machine for a while, its clock too.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn suspend_node(&mut self, node: NodeId, duration: Duration) {
        let shown = self.nodes[self.place_of(node) as usize].clock.at(self.now);
        self.stand_still(node, duration, Standing::Suspended(shown));
    }

    fn stand_still(&mut self, node: NodeId, duration: Duration, standing: Standing) {
        let place = self.place_of(node);
        if !self.nodes[place as usize].is_running() {
            return;
        }
        self.nodes[place as usize].standing = standing;
        let life = self.nodes[place as usize].life;
        let due = Due::Node { node: place, life, what: NodeDue::Resume };
        let at = self.after(duration);
        self.schedule.add(at, due, &mut self.choices);
        self.note_node(place, What::Fault);
        let how = match standing {
            Standing::Suspended(_) => "sleeps, its clock too",
            _ => "stands still",
        };
        self.tell_fault(&[node], || format!("{node} {how}, for {duration:?}"));
        self.node_is_silent(place);
    }

    /// A node that stands still goes on.
    pub(crate) fn resume(&mut self, place: u32) {
        let now = self.now;
        let node = &mut self.nodes[place as usize];
        match node.standing {
            Standing::Suspended(shown) => node.clock.go_on(shown, now),
            Standing::Paused(_) => {}
            Standing::Up | Standing::Down => return,
        }
        node.standing = Standing::Up;
        for due in std::mem::take(&mut node.late) {
            self.schedule.add(now, due, &mut self.choices);
        }
        let [id] = self.at([place]);
        self.tell_mended(&[id], || format!("{id} goes on"));
        self.start_cores(place);
        self.node_is_heard(place);
    }

    fn start_cores(&mut self, place: u32) {
        let node = &mut self.nodes[place as usize];
        let starts = node.idle_cores.min(node.ready.len() as u32);
        node.idle_cores -= starts;
        let due = Due::Core { node: place, life: node.life, slot: super::NOBODY };
        for _ in 0..starts {
            self.schedule.add(self.now, due, &mut self.choices);
        }
    }

    /// A node's clock runs too fast by so many millionths, or too slow.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn drift_clock(&mut self, node: NodeId, ppm: i32) {
        let place = self.place_of(node);
        let now = self.now;
        self.nodes[place as usize].clock.drift(ppm, now);
        self.pace_has_changed(place);
        self.note_node(place, What::Fault);
        self.tell_fault(&[node], || format!("the clock of {node} drifts by {ppm} ppm"));
    }

    /// A node's steps take so many times as long.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn slow_node(&mut self, node: NodeId, times: u32) {
        let place = self.place_of(node);
        self.nodes[place as usize].slowness = times.max(1);
        self.note_node(place, What::Fault);
        self.tell_fault(&[node], || format!("steps of {node} take {times} times as long"));
    }

    /// Leaves so many bytes free on a node's disk.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn fill_disk(&mut self, node: NodeId, left: usize) {
        self.tell_fault(&[node], || format!("the disk of {node} has {left} bytes left"));
        self.nodes[self.place_of(node) as usize].disk.fill(left);
    }

    /// Makes room on a node's disk.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn empty_disk(&mut self, node: NodeId) {
        self.tell_mended(&[node], || format!("the disk of {node} has room again"));
        self.nodes[self.place_of(node) as usize].disk.make_room();
    }

    /// Lets the next sync of a node's disk fail: the node then stops.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn fail_next_sync(&mut self, node: NodeId) {
        self.tell_fault(&[node], || format!("the next sync of {node} will fail"));
        self.nodes[self.place_of(node) as usize].disk.fail_next_sync();
    }

    /// Whether the node crashes here.
    #[inline]
    pub(crate) fn crashes(&mut self, place: u32, here: CrashPoint) -> bool {
        let armed = &mut self.nodes[place as usize].armed;
        let comes = match (armed, here) {
            (None, _) => return false,
            (Some(CrashPoint::AfterEffects(left)), CrashPoint::AfterEffects(_)) => {
                let comes = *left == 0;
                *left = left.saturating_sub(1);
                comes
            }
            (Some(point), here) => *point == here,
        };
        if comes {
            self.crash_here(place, words(here));
        }
        comes
    }

    /// The node's process is gone, with all that it had not synced.
    pub(crate) fn crash(&mut self, place: u32) {
        self.crash_here(place, "");
    }

    fn crash_here(&mut self, place: u32, point: &str) {
        let node = &mut self.nodes[place as usize];
        if !node.is_up() {
            return;
        }
        let unsynced = node.journaling.as_ref().map_or(0, |journaling| journaling.unsynced());
        let id = node.id;
        self.tell_crash(id, point, unsynced);
        let node = &mut self.nodes[place as usize];
        node.life += 1;
        node.standing = Standing::Down;
        node.armed = None;
        node.ready.clear();
        node.late.clear();
        node.idle_cores = 0;
        node.journaling = None;
        node.synced = None;
        node.cx.effects().clear();
        let damage = node.disk.crash(&mut self.choices);
        self.damage.lost += damage.lost;
        self.damage.kept += damage.kept;
        for slot in std::mem::take(&mut self.nodes[place as usize].slots) {
            if let Some(mut resident) = self.agents[slot as usize].take() {
                self.tell_emptied(&mut resident);
                self.unsettle(place, resident.cell.id(), slot);
            }
        }
        self.note_node(place, What::Crash);
        self.node_has_crashed(place);
        self.revive_crashed(place);
    }

    pub(crate) fn note_node(&mut self, place: u32, what: What) {
        let node = &self.nodes[place as usize];
        let (to, detail) = (AgentId::dynamic(node.id, 0), u64::from(node.id.0));
        self.trace.note(Happened { at: self.now, to, what, detail, payload: 0 });
    }
}

/// Where in its work a node crashes, as it is told.
fn words(point: CrashPoint) -> &'static str {
    match point {
        CrashPoint::BeforeHandler => " before its next step",
        CrashPoint::AfterHandler => " after a step, before its effects",
        CrashPoint::AfterEffects(_) => " in the midst of a step's effects",
        CrashPoint::BeforeSync => " before its sync",
        CrashPoint::AfterSync => " after its sync, before what waited for it",
    }
}
