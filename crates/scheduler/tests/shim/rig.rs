//! A shim with somebody who calls it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dx_agents::NodeId;
use dx_scheduler::end::Finish;
use dx_scheduler::id::{AttemptId, JobId, ShimId, Term};
use dx_scheduler::processor::{Call, Hello, KillRun, LogPart, ReadLog, Run, Stream, Told};
use dx_scheduler::shim::SOCKET;
use dx_scheduler::shim::wire::{self, Inbound};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest that any test waits for an event: far beyond what any takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A lease that no test outlives.
pub const LONG: u64 = 3_600_000_000_000;

/// A shim's process.
pub struct Shim {
    pub process: Child,
    pub folder: PathBuf,
}

/// A connection to it.
pub struct Caller {
    stream: UnixStream,
    inbound: Inbound,
    told: VecDeque<Told>,
    /// The life that it last said it has.
    pub shim: ShimId,
    pub hello: Hello,
    lease: u64,
    beats: u32,
    beat: u64,
}

/// A shim and a connection. The shim ends with it.
pub struct Rig {
    pub shim: Shim,
    pub caller: Caller,
    pub folder: TempDir,
}

pub fn attempt(job: u64, index: u32) -> AttemptId {
    JobId(job).task(index).attempt(1)
}

/// A job of one command.
pub fn exec(argv: &[&str]) -> Value {
    json!({ "commands": [{ "exec": argv }] })
}

/// A job of one shell script.
pub fn sh(script: &str) -> Value {
    exec(&["sh", "-c", script])
}

impl Shim {
    /// Starts one, and waits until it listens.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_dx-shim")), folder, options)
    }

    /// The same, by a command that runs what it is given.
    pub fn start_by(mut command: Command, folder: &Path, options: &[&str]) -> Self {
        let command = command.arg(folder).arg("7").args(options);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { process, folder: folder.to_owned() }
    }

    /// Ends it as the kernel would.
    pub fn kill(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.process), signal)
            .unwrap();
    }
}

impl Caller {
    /// Connects, and hears how the shim is.
    pub fn connect(folder: &Path) -> Self {
        Self::connect_with(folder, LONG)
    }

    /// The same; beats are answered with a lease of this length, in nanoseconds, or not at all.
    pub fn connect_with(folder: &Path, lease: u64) -> Self {
        let short = wire::short_path(&folder.join(SOCKET)).unwrap();
        let mut stream = UnixStream::connect(short.path()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&wire::greeting()).unwrap();
        let node = NodeId(7);
        let shim = ShimId { node, incarnation: 0 };
        let hello = Hello {
            shim,
            number: 0,
            running: vec![],
            ended: vec![],
            kill: dx_scheduler::processor::Certainty::BestEffort,
            memory: false,
            overran: vec![],
            machine: dx_scheduler::processor::Machine::default(),
        };
        let (inbound, told) = (Inbound::default(), VecDeque::new());
        let mut this = Self { stream, inbound, told, shim, hello, lease, beats: 0, beat: 0 };
        this.wait(|told| matches!(told, Told::Hello(_)).then_some(()));
        this
    }

    pub fn call(&mut self, call: Call) {
        let mut bytes = Vec::new();
        wire::put_call(call, &mut bytes);
        // Who is not heard any more notices when it waits for an answer.
        let _ = self.stream.write_all(&bytes);
    }

    pub fn run(&mut self, id: AttemptId, job: &Value) {
        self.run_many(&[id], job);
    }

    pub fn run_many(&mut self, ids: &[AttemptId], job: &Value) {
        let spec: Arc<str> = job.to_string().into();
        let run = |id: &AttemptId| Run {
            attempt: *id,
            shim: self.shim.incarnation,
            spec: Arc::clone(&spec),
            gpus: vec![],
        };
        self.call(Call::Run(ids.iter().map(run).collect()));
    }

    pub fn kill(&mut self, id: AttemptId, now: bool) {
        self.call(Call::Kill(vec![KillRun { attempt: id, now }]));
    }

    /// The next thing that is told. Beats are answered.
    fn hear(&mut self) -> Told {
        loop {
            if let Some(told) = self.inbound.take_frame::<Told>().unwrap() {
                match told {
                    Told::Beat { clock } => {
                        (self.beats, self.beat) = (self.beats + 1, clock);
                        if self.lease > 0 {
                            let lease = self.lease;
                            self.call(Call::Renew { clock, lease, term: Term(1) });
                        }
                        return Told::Beat { clock };
                    }
                    Told::Hello(hello) => {
                        self.shim = hello.shim;
                        self.hello = hello.clone();
                        return Told::Hello(hello);
                    }
                    other => return other,
                }
            }
            let mut bytes = vec![0; 64 << 10];
            let len = match self.stream.read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.expect("the shim is silent"),
            };
            assert!(len > 0, "the shim hung up");
            self.inbound.push(&bytes[..len]);
        }
    }

    /// Waits for what `is_it`, among what was told and not waited for, and what will be.
    pub fn wait<T>(&mut self, mut is_it: impl FnMut(&Told) -> Option<T>) -> T {
        for at in 0..self.told.len() {
            if let Some(it) = is_it(&self.told[at]) {
                self.told.remove(at);
                return it;
            }
        }
        loop {
            let told = self.hear();
            if let Some(it) = is_it(&told) {
                return it;
            }
            self.told.push_back(told);
        }
    }

    pub fn started(&mut self, id: AttemptId) -> u32 {
        self.wait(|told| match told {
            Told::Started { attempt, pid } if *attempt == id => Some(*pid),
            _ => None,
        })
    }

    pub fn ended(&mut self, id: AttemptId) -> Finish {
        self.wait(|told| match told {
            Told::Ended { attempt, finish } if *attempt == id => Some(finish.clone()),
            _ => None,
        })
    }

    /// How an attempt ended that is known to have.
    pub fn finish_of(&mut self, id: AttemptId) -> Finish {
        self.call(Call::Status(vec![id]));
        self.ended(id)
    }

    /// How the next beats are answered.
    pub fn grant(&mut self, lease: u64) {
        self.lease = lease;
    }

    /// When the lease ends, if no beat is heard that has not been.
    pub fn lease_end(&self) -> u64 {
        self.beat + self.lease
    }

    /// Waits for so many beats.
    pub fn beats(&mut self, count: u32) {
        let until = self.beats + count;
        while self.beats < until {
            let told = self.hear();
            self.told.push_back(told);
        }
    }

    /// What is told now of an attempt that is not known.
    pub fn unknown(&mut self, id: AttemptId) {
        self.wait(|told| (*told == Told::Unknown(id)).then_some(()));
    }

    pub fn read(&mut self, id: AttemptId, from: u64, wait: bool) -> LogPart {
        let ticket = from + 1;
        self.call(Call::Log(ReadLog { ticket, attempt: id, from, max: 1 << 18, wait }));
        self.wait(|told| match told {
            Told::Log(part) if part.ticket == ticket && part.attempt == id => Some(part.clone()),
            _ => None,
        })
    }

    /// All of a log, followed to its end: standard output and standard error.
    pub fn log(&mut self, id: AttemptId) -> [Vec<u8>; 2] {
        let mut all = [vec![], vec![]];
        let mut from = 0;
        loop {
            let part = self.read(id, from, true);
            for piece in part.pieces {
                all[usize::from(piece.stream == Stream::Stderr)].extend(piece.bytes);
            }
            if part.is_end {
                return all;
            }
            from = part.next;
        }
    }

    /// Runs a job to its end.
    pub fn finish(&mut self, id: AttemptId, job: &Value) -> Finish {
        self.run(id, job);
        self.ended(id)
    }

    /// Waits until the shim tells no more because it has ended.
    pub fn wait_for_end(&mut self) {
        let mut bytes = vec![0; 64 << 10];
        while self.stream.read(&mut bytes).unwrap_or(0) > 0 {}
    }
}

/// Checks something with a cgroup for each attempt, where there can be one, and without.
pub fn both(check: impl Fn(Rig)) {
    for options in [&[][..], &["--without-cgroups"]] {
        check(Rig::with(options));
    }
}

/// A text that is in no other process's arguments. It is no number that `sleep` does not take.
pub fn unique() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    format!("1{:06}{number:03}.5", std::process::id())
}

/// Nanoseconds of the shim's clock.
pub fn boottime() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Waits until a task has made this file.
pub fn wait_for_file(path: &Path) -> String {
    let start = Instant::now();
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(start.elapsed() < PATIENCE, "{} is not made", path.display()),
        }
        std::thread::yield_now();
    }
}

impl Rig {
    pub fn new() -> Self {
        Self::with(&[])
    }

    pub fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::start(&folder.path().join("shim"), options);
        let caller = Caller::connect(&shim.folder);
        Self { shim, caller, folder }
    }

    /// Waits until the end of an attempt is on the disk: then it is in the table no more.
    pub fn written(&self, id: AttemptId) {
        let table = self.shim.folder.join("tasks.table");
        let mut entry = id.task.job.0.to_le_bytes().to_vec();
        entry.extend(id.task.index.to_le_bytes());
        entry.extend(id.number.to_le_bytes());
        while std::fs::read(&table).unwrap().chunks(entry.len()).any(|it| it == entry) {
            std::thread::yield_now();
        }
    }

    /// The shim dies, and another one begins.
    pub fn replace(&mut self, options: &[&str]) {
        self.shim.kill();
        self.shim = Shim::start(&self.shim.folder, options);
        self.caller = Caller::connect(&self.shim.folder);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.caller.call(Call::Stop);
        if std::thread::panicking() {
            let notes = std::fs::read_to_string(self.shim.folder.join("notes"));
            let notes = notes.unwrap_or_default();
            drop(writeln!(std::io::stderr(), "{notes}"));
            let _ = self.shim.process.kill();
        }
        let _ = self.shim.process.wait();
    }
}

/// Processes of this machine that have `text` among their arguments.
pub fn processes_with(text: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.flatten().filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(text.len()).any(|window| window == text.as_bytes())
    })
    .collect()
}
