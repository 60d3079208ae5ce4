//! What the kernel knows of attempts: processes, pipes, cgroups; and what becomes of what they
//! print.

mod output;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::epoll::EventFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::end::Exit;
use crate::id::AttemptId;
use crate::processor::Stream;

use super::cgroup::Cgroup;
use super::core::Measured;
use super::launch::{self, Launched, Surroundings};
use super::logs::{Logs, Order};
use super::notes::note;
use super::poller::{Poller, Token};
use super::work::Work;
use super::{strays, sys};

use output::Output;

/// The most that have ended and have not given back what they used: it takes descriptors until then.
pub const MAX_GONE: usize = 8;

/// All attempts that have not ended.
#[derive(Debug)]
pub struct Tasks {
    all: BTreeMap<AttemptId, Task>,
    slots: BTreeMap<u64, AttemptId>,
    last_slot: u64,
    /// Those whose output is not listened to yet.
    fresh: Vec<u64>,
    surroundings: Arc<Surroundings>,
    happened: Vec<Happened>,
    /// Those of which what remains is looked for again.
    clearing: BTreeSet<AttemptId>,
    /// Of which nothing is left; what they used is given back when there is time.
    gone: Vec<Running>,
}

/// What the core has to know.
#[derive(Debug)]
pub enum Happened {
    /// A command has ended; whether something keeps its output open.
    Exited(AttemptId, Exit, bool),
    /// It printed; whether no more of it is kept.
    Printed(AttemptId, bool),
    /// Nothing more is read of it until the disk has what was read; or again.
    Held(AttemptId, bool),
    /// Nothing keeps its output open.
    Silent(AttemptId),
    /// Nothing is left of a command.
    Cleared(AttemptId, Measured),
}

/// One attempt.
#[derive(Debug)]
struct Task {
    slot: u64,
    running: Option<Running>,
    output: Output,
}

/// A command of it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact for itself")]
struct Running {
    pid: Pid,
    pidfd: OwnedFd,
    /// It has ended, and is there until it is reaped: so its number remains its own.
    exit: Option<Exit>,
    is_reaped: bool,
    is_clearing: bool,
    cgroup: Option<Cgroup>,
    /// Whether something in its cgroup had to be killed, and its end is waited for.
    is_watched: bool,
    /// Whether anything of it had to be killed: who knows what a task did to its cgroup that did
    /// not end by itself.
    was_killed: bool,
    strays: Vec<OwnedFd>,
    measured: Measured,
}

impl Tasks {
    /// None yet; they are started in `surroundings`.
    pub fn new(surroundings: Arc<Surroundings>) -> Self {
        Self {
            all: BTreeMap::new(),
            slots: BTreeMap::new(),
            last_slot: 0,
            fresh: Vec::new(),
            surroundings,
            happened: Vec::new(),
            clearing: BTreeSet::new(),
            gone: Vec::new(),
        }
    }

    /// What has happened since.
    pub fn take(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// The number of the next command that is started.
    pub fn next_slot(&mut self) -> u64 {
        self.last_slot += 1;
        self.last_slot
    }

    /// A command of an attempt runs, and the poller waits for its end. What it prints is listened to
    /// at the next [`listen`](Self::listen).
    pub fn launched(
        &mut self,
        slot: u64,
        id: AttemptId,
        work: &Work,
        launched: Launched,
        logs: &Logs,
    ) {
        let Launched { child, stdout, stderr, file, cgroup } = launched;
        let task = self.all.entry(id).or_insert_with(|| Task {
            slot,
            running: None,
            output: Output::new(work.spec.output.max.0),
        });
        self.slots.remove(&task.slot);
        self.slots.insert(slot, id);
        task.slot = slot;
        if let Some(file) = file {
            logs.order(Order::Into(id, file));
            task.output.begins();
        }
        task.output.open(slot, stdout, stderr);
        self.fresh.push(slot);
        task.running = Some(Running {
            pid: child.pid,
            pidfd: child.pidfd,
            exit: None,
            is_reaped: false,
            is_clearing: false,
            cgroup,
            is_watched: false,
            was_killed: false,
            strays: Vec::new(),
            measured: Measured::default(),
        });
    }

    /// Whether something is not listened to.
    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// From now on the poller waits for what is printed by those that have not ended.
    pub fn listen(&mut self, poller: &Poller) {
        for slot in std::mem::take(&mut self.fresh) {
            if let Some((_, task)) = self.at(slot) {
                task.output.listen(poller);
            }
        }
    }

    /// The process of a command has ended.
    pub fn ended(&mut self, slot: u64, poller: &Poller, logs: &Logs) {
        let Some((id, task)) = self.at(slot) else { return };
        let Some(running) = task.running.as_mut().filter(|it| it.exit.is_none()) else { return };
        let Some(exit) = running.look() else { return };
        running.exit = Some(exit);
        poller.remove(&running.pidfd);
        let is_clearing = running.is_clearing;
        task.output.drain(id, poller, logs);
        if task.output.is_open() {
            task.output.listen(poller);
        }
        let (is_open, is_held) = (task.output.is_open(), task.output.is_held());
        self.happened.push(Happened::Exited(id, exit, is_open));
        if is_held {
            self.happened.push(Happened::Held(id, true));
        }
        if is_clearing {
            self.clearing.insert(id);
        }
    }

    /// A command has printed something, or its output was closed.
    pub fn printed(&mut self, slot: u64, stream: Stream, poller: &Poller, logs: &Logs) {
        let Some((id, task)) = self.at(slot) else { return };
        let was_open = task.output.is_open();
        let printed = task.output.read(id, stream, poller, logs);
        let (is_full, is_held) = (task.output.is_full(), task.output.is_held());
        let is_silent = was_open && !task.output.is_open();
        if printed > 0 {
            self.happened.push(Happened::Printed(id, is_full));
        }
        if is_held {
            self.happened.push(Happened::Held(id, true));
        }
        if is_silent {
            self.happened.push(Happened::Silent(id));
        }
    }

    /// So much of what was printed is written.
    pub fn written(&mut self, id: AttemptId, bytes: usize, poller: &Poller) {
        let Some(task) = self.all.get_mut(&id) else { return };
        if task.output.written(bytes, poller) {
            self.happened.push(Happened::Held(id, false));
        }
    }

    /// Asks a command to end.
    pub fn signal(&mut self, id: AttemptId, signal: i32) {
        let running = self.all.get(&id).and_then(|it| it.running.as_ref());
        if let (Some(running), Some(signal)) = (running, Signal::from_named_raw(signal))
            && !running.is_reaped
        {
            // Not reaped, so the number is still that of its group.
            let _ = kill_process_group(running.pid, signal);
        }
    }

    /// Kills all that is left of a command.
    pub fn clear(&mut self, id: AttemptId) {
        let Some(running) = self.all.get_mut(&id).and_then(|it| it.running.as_mut()) else {
            return;
        };
        running.is_clearing = true;
        if !running.is_reaped {
            let _ = kill_process_group(running.pid, Signal::KILL);
        }
        running.was_killed |= running.exit.is_none();
        if running.exit.is_none()
            && let Some(cgroup) = &running.cgroup
            && let Err(error) = cgroup.kill()
        {
            note(format_args!("failed to kill the cgroup of {id}: {error}"));
        }
        self.clearing.insert(id);
    }

    /// Something of an attempt that was killed has ended.
    pub fn look_again(&mut self, slot: u64) {
        if let Some((id, _)) = self.at(slot) {
            self.clearing.insert(id);
        }
    }

    /// Looks whether anything is left of the first that is to be cleared. Only of that one: what
    /// follows it is to begin before others are looked at. `others_start` says whether processes may
    /// be there that are not known here yet.
    pub fn look(&mut self, others_start: bool, poller: &Poller, logs: &Logs) {
        let Some(id) = self.clearing.pop_first() else { return };
        let running = self.all.values().filter(|it| it.running.is_some());
        let alone = !others_start && running.take(2).count() == 1;
        let Some(task) = self.all.get_mut(&id) else { return };
        let slot = task.slot;
        let Some(running) = task.running.as_mut().filter(|it| it.is_clearing) else { return };
        if running.exit.is_none() || !running.is_gone(id, slot, &self.surroundings, alone, poller) {
            return;
        }
        let measured = running.measured;
        self.gone.extend(task.running.take());
        task.output.drain_rest(id, poller, logs);
        self.happened.push(Happened::Cleared(id, measured));
        if self.gone.len() >= MAX_GONE {
            self.give_back();
        }
    }

    /// Whether there is more to look at.
    pub fn has_more(&self) -> bool {
        !self.clearing.is_empty()
    }

    /// Gives back what those used of which nothing is left.
    pub fn give_back(&mut self) {
        for gone in self.gone.drain(..) {
            if let (Some(all), Some(cgroup)) = (&self.surroundings.cgroups, gone.cgroup) {
                all.give_back(cgroup);
            }
        }
    }

    /// Bytes that it has printed; nothing if it has no log.
    pub fn printed_in_all(&self, id: AttemptId) -> Option<u64> {
        self.all.get(&id)?.output.total()
    }

    /// It has ended.
    pub fn remove(&mut self, id: AttemptId) {
        if let Some(task) = self.all.remove(&id) {
            self.slots.remove(&task.slot);
        }
    }

    fn at(&mut self, slot: u64) -> Option<(AttemptId, &mut Task)> {
        let id = *self.slots.get(&slot)?;
        Some((id, self.all.get_mut(&id)?))
    }
}

impl Running {
    /// What its process came to, if it has ended. It stays there.
    fn look(&self) -> Option<Exit> {
        use std::os::fd::AsFd;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), options).ok()??;
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Exit::Code(code)),
            (_, signal) => Some(Exit::Signal(signal.unwrap_or(0))),
        }
    }

    /// Whether nothing is left. What is left is killed, and the poller waits for its end.
    fn is_gone(
        &mut self,
        id: AttemptId,
        slot: u64,
        from: &Surroundings,
        alone: bool,
        poller: &Poller,
    ) -> bool {
        if !self.is_reaped {
            self.is_reaped = true;
            match sys::reap(self.pid) {
                Ok(used) => {
                    self.measured.cpu = used.cpu;
                    self.measured.max_rss = used.max_rss;
                }
                Err(error) => note(format_args!("failed to reap the process of {id}: {error}")),
            }
        }
        if self.cgroup.is_some() {
            self.is_cgroup_gone(id, slot, poller)
        } else {
            self.are_strays_gone(id, slot, from, alone, poller)
        }
    }

    fn is_cgroup_gone(&mut self, id: AttemptId, slot: u64, poller: &Poller) -> bool {
        let Some(mut cgroup) = self.cgroup.take() else { return true };
        if !cgroup.is_empty() {
            self.was_killed = true;
            if let Err(error) = cgroup.kill() {
                note(format_args!("failed to kill the cgroup of {id}: {error}"));
            }
            if !self.is_watched {
                let added = poller.add(cgroup.events(), Token::Cgroup(slot), EventFlags::PRI);
                added.expect("each cgroup has room for an event: RLIMIT_NOFILE bounds both");
                self.is_watched = true;
            }
            self.cgroup = Some(cgroup);
            return false;
        }
        self.measured.cpu = cgroup.take_cpu();
        self.measured.is_oom = cgroup.was_oom();
        self.measured.max_rss = cgroup.peak().unwrap_or(self.measured.max_rss);
        if !self.was_killed {
            // Others can use it.
            self.cgroup = Some(cgroup);
            return true;
        }
        if self.is_watched {
            poller.remove(cgroup.events());
        }
        if let Err(error) = cgroup.remove() {
            note(format_args!("failed to remove the cgroup of {id}: {error}"));
        }
        true
    }

    fn are_strays_gone(
        &mut self,
        id: AttemptId,
        slot: u64,
        from: &Surroundings,
        alone: bool,
        poller: &Poller,
    ) -> bool {
        for stray in self.strays.drain(..) {
            poller.remove(&stray);
        }
        strays::reap_orphans();
        if !strays::has_orphans() {
            return true;
        }
        let marks = [
            format!("{}={}", launch::ATTEMPT, launch::file_name(id)),
            format!("{}={}", launch::SECRET, from.secret),
        ];
        let marks = [marks[0].as_bytes(), marks[1].as_bytes()];
        let group = self.pid.as_raw_nonzero().get();
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let all = strays::all();
        let left = strays::family(&all, |it| {
            // Where nothing else runs, every orphan is its own, whatever it did to hide.
            let is_orphan = alone && it.parent == own;
            it.pid != own && (is_orphan || it.group == group || strays::has_marks(it.pid, &marks))
        });
        for fd in left.iter().filter_map(strays::kill) {
            if poller.add(&fd, Token::Stray(slot), EventFlags::IN).is_ok() {
                self.strays.push(fd);
            }
        }
        self.strays.is_empty()
    }
}
