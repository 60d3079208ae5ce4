//! One attempt, from its arrival to its end.

use std::sync::Arc;

use crate::end::{End, Exit, Finish, NotStarted};
use crate::shim::work::Work;

/// How long what outlives its command may be silent while it keeps the output open. A fifth of a
/// second, a guess: whoever is busy printing prints more often.
const SILENCE: u64 = 200_000_000;

/// An attempt that has not ended.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact for itself, and part of the end")]
pub struct Attempt {
    pub work: Arc<Work>,
    pub gpus: Arc<[u32]>,
    pub stage: Stage,
    /// The number of the command that runs, ran last, or is to run.
    pub command: u32,
    /// When the first one started, and its process.
    pub began: Option<(u64, u32)>,
    /// The first command that failed, and how.
    failed: Option<(u32, Option<Exit>)>,
    /// Who wants it to end, and how that end is called.
    asked: Option<Asked>,
    exit: Option<Exit>,
    /// Whether its command ended before anybody wanted that.
    is_natural: bool,
    yielded: bool,
    detached: bool,
    has_full_log: bool,
    /// Whether its output is not read, as the disk is waited for: then it cannot but be silent.
    is_held: bool,
    cpu: u64,
    max_rss: u64,
    is_oom: bool,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// For a lease, or for room.
    Waiting,
    /// Its command is being started.
    Starting,
    /// Its command runs.
    Running,
    /// Its command has ended, and something that it started goes on printing.
    Lingering {
        /// When it is killed at the latest.
        end: u64,
        /// When it is killed if it prints nothing until then.
        silent: u64,
    },
    /// All that is left is being killed.
    Clearing,
    /// Nothing is left. The log is being closed.
    Closing(Ending),
}

/// How it ends, as far as that is known before its log is closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    pub end: End,
    pub command: u32,
    pub exit: Option<Exit>,
    pub not_started: Option<NotStarted>,
    /// When nothing was left.
    pub at: u64,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    end: End,
    /// When it is killed, if it has been asked to end by itself.
    kill_at: Option<u64>,
}

/// What a kill comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Nothing of it runs: it is over.
    Over,
    /// A signal that asks.
    Signal,
    /// All is killed.
    Clear,
    /// Nothing now: it is on its way, or will be struck when it has started.
    Nothing,
}

/// What was measured of a command and all that it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Nanoseconds.
    pub cpu: u64,
    /// Bytes.
    pub max_rss: u64,
    /// Whether the kernel killed something of it for want of memory.
    pub is_oom: bool,
}

/// What comes after a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    Command,
    End(Ending),
}

impl Attempt {
    pub fn new(work: Arc<Work>, gpus: Arc<[u32]>) -> Self {
        Self {
            work,
            gpus,
            stage: Stage::Waiting,
            command: 0,
            began: None,
            failed: None,
            asked: None,
            exit: None,
            is_natural: false,
            yielded: false,
            detached: false,
            has_full_log: false,
            is_held: false,
            cpu: 0,
            max_rss: 0,
            is_oom: false,
        }
    }

    /// Its command runs as `pid`. Whether that is the first one.
    pub fn started(&mut self, now: u64, pid: u32) -> bool {
        self.stage = Stage::Running;
        let is_first = self.began.is_none();
        self.began.get_or_insert((now, pid));
        is_first
    }

    /// Somebody wants it to end, with at most so much grace. The first who wants it decides how
    /// the end is called; any can shorten the grace.
    pub fn end(&mut self, now: u64, end: End, grace: u64) -> Blow {
        let is_asked = self.asked.is_some();
        let kill_at = now.saturating_add(grace);
        let asked = self.asked.get_or_insert(Asked { end, kill_at: None });
        match self.stage {
            Stage::Waiting => Blow::Over,
            // Struck by `struck` when it has started, within the same grace.
            Stage::Starting => {
                asked.kill_at = Some(asked.kill_at.map_or(kill_at, |at| at.min(kill_at)));
                Blow::Nothing
            }
            Stage::Running if grace == 0 => self.clear(),
            Stage::Running => {
                asked.kill_at = Some(asked.kill_at.map_or(kill_at, |at| at.min(kill_at)));
                if is_asked { Blow::Nothing } else { Blow::Signal }
            }
            Stage::Lingering { .. } => self.clear(),
            Stage::Clearing | Stage::Closing(_) => Blow::Nothing,
        }
    }

    /// What strikes a command that somebody wanted to end before it had started.
    pub fn struck(&mut self, now: u64) -> Blow {
        match self.asked {
            None => Blow::Nothing,
            Some(Asked { kill_at: Some(at), .. }) if at > now => Blow::Signal,
            Some(_) => self.clear(),
        }
    }

    /// The time has come for what [`deadline`](Self::deadline) said.
    pub fn due(&mut self, now: u64) -> Blow {
        match self.stage {
            Stage::Running => match self.asked {
                Some(Asked { kill_at: Some(at), .. }) if at <= now => self.clear(),
                None if self.timeout_at().is_some_and(|at| at <= now) => {
                    self.end(now, End::TimedOut, self.grace())
                }
                _ => Blow::Nothing,
            },
            Stage::Lingering { end, silent } if end.min(silent) <= now && !self.is_held => {
                self.clear()
            }
            Stage::Lingering { .. } if self.timeout_at().is_some_and(|at| at <= now) => {
                self.clear()
            }
            _ => Blow::Nothing,
        }
    }

    /// When it is to be looked at, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        match (&self.stage, self.asked) {
            (Stage::Running, Some(asked)) => asked.kill_at,
            (Stage::Running, None) => self.timeout_at(),
            (Stage::Lingering { .. }, _) if self.is_held => self.timeout_at(),
            (Stage::Lingering { end, silent }, _) => {
                Some(self.timeout_at().unwrap_or(u64::MAX).min(*end).min(*silent))
            }
            _ => None,
        }
    }

    /// Its command has ended. What it started may go on printing for the job's grace, as long as it
    /// is not silent, there is room for what it prints, and nobody wants it to end.
    pub fn exited(&mut self, now: u64, exit: Exit, is_open: bool) -> Blow {
        self.exit = Some(exit);
        self.is_natural = self.asked.is_none();
        self.yielded = !self.is_natural && self.stage == Stage::Running;
        match self.stage {
            Stage::Running if is_open && !self.has_full_log => {
                let end = now.saturating_add(self.grace());
                self.stage = Stage::Lingering { end, silent: now.saturating_add(SILENCE) };
                Blow::Nothing
            }
            Stage::Running => {
                self.detached |= is_open;
                self.stage = Stage::Clearing;
                Blow::Clear
            }
            _ => Blow::Nothing,
        }
    }

    /// It printed something.
    pub fn printed(&mut self, now: u64, is_full: bool) -> Blow {
        self.has_full_log |= is_full;
        match &mut self.stage {
            Stage::Lingering { .. } if is_full => self.clear(),
            Stage::Lingering { silent, .. } => {
                *silent = now.saturating_add(SILENCE);
                Blow::Nothing
            }
            _ => Blow::Nothing,
        }
    }

    /// The disk is waited for before more of its output is read, or not any more. That time is not
    /// held against it; what it prints is bounded all the same.
    pub fn held(&mut self, now: u64, is_held: bool) -> Blow {
        if let (Stage::Lingering { end, silent }, true) = (&mut self.stage, self.is_held) {
            *silent = now.saturating_add(SILENCE);
            *end = (*end).max(*silent);
        }
        self.is_held = is_held;
        Blow::Nothing
    }

    /// Nothing keeps its output open.
    pub fn fell_silent(&mut self) -> Blow {
        match self.stage {
            Stage::Lingering { .. } => {
                self.stage = Stage::Clearing;
                Blow::Clear
            }
            _ => Blow::Nothing,
        }
    }

    /// Nothing of its command is left.
    pub fn cleared(&mut self, now: u64, measured: Measured) -> Next {
        self.cpu = self.cpu.saturating_add(measured.cpu);
        self.max_rss = self.max_rss.max(measured.max_rss);
        self.is_oom |= measured.is_oom;
        let exit = self.exit.take();
        if exit != Some(Exit::Code(0)) && self.failed.is_none() {
            self.failed = Some((self.command, exit));
        }
        let is_last = self.command as usize + 1 >= self.work.spec.commands.len();
        let goes_on = self.failed.is_none() || self.work.spec.continue_on_error;
        if !is_last && goes_on && self.asked.is_none() {
            self.command += 1;
            self.stage = Stage::Waiting;
            return Next::Command;
        }
        let end = match (self.asked, self.failed) {
            (Some(asked), _) if !self.is_natural || !is_last && goes_on => asked.end,
            (_, None) => End::Succeeded,
            (_, Some(_)) if self.is_oom => End::Oom,
            (_, Some(_)) => End::Failed,
        };
        let (command, exit) = self.failed.unwrap_or((self.command, exit));
        Next::End(Ending { end, command, exit, not_started: None, at: now })
    }

    /// Its command could not be started, or nothing of it ran before somebody wanted it to end.
    pub fn not_started(&self, now: u64, why: Option<NotStarted>) -> Ending {
        let end = match (self.asked, &why) {
            (Some(asked), None) => asked.end,
            _ => End::Failed,
        };
        let (command, exit) = self.failed.unwrap_or((self.command, None));
        Ending { end, command, exit, not_started: why, at: now }
    }

    /// All that there is to say.
    pub fn finish(&self, ending: &Ending, printed: u64, kept: u64) -> Finish {
        Finish {
            end: ending.end,
            command: ending.command,
            exit: ending.exit,
            not_started: ending.not_started.clone(),
            yielded: self.yielded,
            detached: self.detached,
            ran: self.began.map_or(0, |(at, _)| ending.at.saturating_sub(at)),
            cpu: self.cpu,
            max_rss: self.max_rss,
            printed,
            kept,
        }
    }

    /// Whether anything of it may run.
    pub fn may_run(&self) -> bool {
        matches!(
            self.stage,
            Stage::Starting | Stage::Running | Stage::Lingering { .. } | Stage::Clearing
        )
    }

    /// The time that it has to end by itself.
    pub fn grace(&self) -> u64 {
        nanos(self.work.spec.kill.grace.0)
    }

    fn clear(&mut self) -> Blow {
        self.detached |= matches!(self.stage, Stage::Lingering { .. });
        self.stage = Stage::Clearing;
        Blow::Clear
    }

    fn timeout_at(&self) -> Option<u64> {
        let (began, _) = self.began?;
        Some(began.saturating_add(nanos(self.work.spec.timeout?.0)))
    }
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
