//! From a job's command to what the system needs to start it: program, environment, folder, input
//! and output.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dx_agents::NodeId;
use rustix::fs::{Access, MemfdFlags, access, memfd_create};
use rustix::io::ioctl_fionbio;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::end::NotStarted;
use crate::id::AttemptId;
use crate::job::{Capture, Stdin};

use super::cgroup::{Cgroup, Cgroups};
use super::core::Start;
use super::fault;
use super::places::Places;
use super::spawn::{self, Child, Ready};

/// Where tasks run.
#[derive(Debug)]
pub struct Surroundings {
    /// The shim's folder.
    pub folder: PathBuf,
    /// Its node.
    pub node: NodeId,
    /// What every task finds in its environment, unless its job says otherwise.
    pub environment: BTreeMap<OsString, OsString>,
    /// By which processes of this shim's tasks are known, wherever they went.
    pub secret: String,
    /// A folder for each attempt.
    pub places: Arc<Places>,
    /// A cgroup for each attempt, where there can be.
    pub cgroups: Option<Cgroups>,
    /// How processes are started.
    pub way: spawn::Way,
    /// How many descriptors a task may have, if the shim has more.
    pub descriptors: Option<spawn::Descriptors>,
}

/// A command that runs.
#[derive(Debug)]
pub struct Launched {
    /// Its process.
    pub child: Child,
    /// What it prints.
    pub stdout: Option<OwnedFd>,
    /// What it prints onto standard error, if that is kept apart.
    pub stderr: Option<OwnedFd>,
    /// The file of the node that it prints into, if it is the first command.
    pub file: Option<File>,
    /// Where it runs.
    pub cgroup: Option<Cgroup>,
}

/// The name of the environment's variable by which processes are known.
pub const SECRET: &str = "DX_SHIM";

/// The name of the environment's variable by which their attempt is known.
pub const ATTEMPT: &str = "DX_ATTEMPT_ID";

/// What is taken over from the shim's own environment.
const INHERITED: [&str; 7] =
    ["PATH", "HOME", "USER", "LANG", "TMPDIR", "XDG_STATE_HOME", "DX_CLUSTER"];

/// Where programs are looked up if nobody says.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of every task, from this process's own.
pub fn inherited() -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> = INHERITED
        .into_iter()
        .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
        .collect();
    environment.entry("PATH".into()).or_insert_with(|| DEFAULT_PATH.into());
    environment
}

/// An attempt as a file's name.
pub fn file_name(id: AttemptId) -> String {
    format!("{}.{}.{}", id.task.job, id.task.index, id.number)
}

/// The attempt that a file is named after.
pub fn parse_file_name(name: &str) -> Option<AttemptId> {
    let mut parts = name.split('.').map(str::parse::<u64>);
    let mut part = || parts.next()?.ok();
    let (job, index, number) = (part()?, part()?, part()?);
    let (index, number) = (u32::try_from(index).ok()?, u32::try_from(number).ok()?);
    parts.next().is_none().then(|| crate::id::JobId(job).task(index).attempt(number))
}

impl Surroundings {
    /// Where tasks say how far they are.
    pub fn progress(&self) -> PathBuf {
        self.folder.join("progress")
    }

    /// Starts a command. Waits until its program is loaded, which takes a millisecond, and forever
    /// if it is on a disk that does not answer.
    ///
    /// # Errors
    /// Why it was not started, and whose fault that is.
    pub fn launch(&self, start: &Start) -> Result<Launched, NotStarted> {
        let id = start.attempt;
        let spec = &start.work.spec;
        let is_first = start.command == 0;
        let own = if is_first { None } else { self.places.of(id) };
        let own = own.map_or_else(|| self.places.take(id), Ok);
        let own =
            own.map_err(|error| fault::of_node("failed to make the task's folder", &error))?;
        let cwd = spec.cwd.clone().unwrap_or_else(|| own.clone());
        if spec.cwd.is_some() {
            check_folder(&cwd)?;
        }
        let environment = self.environment_of(start, &own);
        let argv = &spec.commands[start.command as usize].exec;
        let program = look_up(&argv[0], environment.get(OsStr::new("PATH")), &cwd)?;
        let stdin = input(spec.stdin.as_ref().filter(|_| is_first), &cwd)?;
        let output = Outputs::open(&spec.output.capture, id, is_first, &cwd)?;
        let what = "failed to make the task's cgroup";
        let memory = spec.resources.memory.0;
        let cgroup = self.cgroups.as_ref().map(|all| all.take(memory));
        let cgroup = cgroup.transpose().map_err(|error| fault::of_node(what, &error))?;
        let ready = Ready {
            program: &program,
            argv,
            environment: &environment,
            cwd: &cwd,
            stdin,
            stdout: output.stdout,
            stderr: output.stderr,
            cgroup: cgroup.as_ref(),
            descriptors: self.descriptors,
        };
        let what = failed_to_start(&argv[0], spec.cwd.is_some());
        let child = spawn::start(&ready, self.way).map_err(|error| fault::by_errno(&what, &error));
        match child {
            Ok(child) => Ok(Launched {
                child,
                stdout: output.from_stdout,
                stderr: output.from_stderr,
                file: output.file,
                cgroup,
            }),
            Err(why) => {
                if let (Some(all), Some(mut cgroup)) = (&self.cgroups, cgroup) {
                    // What it took to find that out is of no attempt.
                    cgroup.take_cpu();
                    all.give_back(cgroup);
                }
                Err(why)
            }
        }
    }

    /// Literally what the job says, and what is the shim's to say.
    fn environment_of(&self, start: &Start, own: &Path) -> BTreeMap<OsString, OsString> {
        let id = start.attempt;
        let mut all = self.environment.clone();
        let job = start.work.spec.environment.iter();
        all.extend(job.map(|(name, value)| (name.into(), value.into())));
        let own_of_task = start.work.spec.variables(id.task.index);
        all.extend(own_of_task.into_iter().map(|(name, value)| (name.into(), value.into())));
        if !start.gpus.is_empty() {
            let gpus: Vec<_> = start.gpus.iter().map(ToString::to_string).collect();
            all.insert("CUDA_VISIBLE_DEVICES".into(), gpus.join(",").into());
        }
        let ours: [(&str, OsString); 8] = [
            ("DX_JOB_ID", id.task.job.to_string().into()),
            ("DX_TASK_INDEX", id.task.index.to_string().into()),
            ("DX_ATTEMPT", id.number.to_string().into()),
            ("DX_NODE", self.node.0.to_string().into()),
            ("DX_PROGRESS", self.progress().join(file_name(id)).into()),
            ("DX_TASK_DIR", own.into()),
            (ATTEMPT, file_name(id).into()),
            (SECRET, self.secret.clone().into()),
        ];
        all.extend(ours.map(|(name, value)| (name.into(), value)));
        all
    }
}

/// Says where a program was looked for whose user may have thought of another folder.
fn failed_to_start(program: &str, has_cwd: bool) -> String {
    let is_relative = program.contains('/') && !program.starts_with('/');
    if is_relative && !has_cwd {
        return format!(
            "failed to start `{program}` in the task's own fresh folder (without `cwd`)"
        );
    }
    format!("failed to start `{program}`")
}

fn check_folder(cwd: &Path) -> Result<(), NotStarted> {
    let what = format!("failed to enter `cwd` {}", cwd.display());
    let metadata = fs::metadata(cwd).map_err(|error| fault::by_errno(&what, &error))?;
    if metadata.is_dir() {
        return access(cwd, Access::EXEC_OK).map_err(|errno| fault::by_errno(&what, &errno.into()));
    }
    Err(fault::by_errno(&what, &io::Error::from(rustix::io::Errno::NOTDIR)))
}

/// Where a program is: as a shell looks it up, but for folders in its path that are relative, which
/// are those of the task.
fn look_up(program: &str, path: Option<&OsString>, cwd: &Path) -> Result<PathBuf, NotStarted> {
    if program.contains('/') {
        return Ok(cwd.join(program));
    }
    let path = path.map_or(OsStr::new(DEFAULT_PATH), OsString::as_os_str);
    let mut error = rustix::io::Errno::NOENT;
    for folder in std::env::split_paths(path) {
        let candidate = cwd.join(folder).join(program);
        match access(&candidate, Access::EXEC_OK) {
            Ok(()) if candidate.is_file() => return Ok(candidate),
            Err(rustix::io::Errno::ACCESS) => error = rustix::io::Errno::ACCESS,
            _ => {}
        }
    }
    let what = format!("failed to find `{program}` in PATH");
    Err(fault::by_errno(&what, &error.into()))
}

fn input(stdin: Option<&Stdin>, cwd: &Path) -> Result<OwnedFd, NotStarted> {
    match stdin {
        None => {
            let file = File::open("/dev/null");
            file.map(Into::into).map_err(|error| fault::of_node("failed to open /dev/null", &error))
        }
        Some(Stdin::File(path)) => {
            let path = cwd.join(path);
            let what = format!("failed to open `stdin` {}", path.display());
            File::open(&path).map(Into::into).map_err(|error| fault::by_errno(&what, &error))
        }
        Some(Stdin::Text(text)) => {
            let file = in_memory(text);
            file.map_err(|error| fault::of_node("failed to keep `stdin` in memory", &error))
        }
    }
}

/// A file in memory: nobody needs to write while the task reads.
fn in_memory(text: &str) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

/// Both ends of what a command prints.
struct Outputs {
    stdout: OwnedFd,
    /// Where it is kept apart.
    stderr: Option<OwnedFd>,
    from_stdout: Option<OwnedFd>,
    from_stderr: Option<OwnedFd>,
    file: Option<File>,
}

impl Outputs {
    fn open(
        capture: &Capture,
        id: AttemptId,
        is_first: bool,
        cwd: &Path,
    ) -> Result<Self, NotStarted> {
        let of_node = |error: io::Error| fault::of_node("failed to make a pipe", &error);
        if *capture == Capture::Null {
            let null = || OpenOptions::new().write(true).open("/dev/null").map(OwnedFd::from);
            let stdout = null().map_err(of_node)?;
            return Ok(Self {
                stdout,
                stderr: None,
                from_stdout: None,
                from_stderr: None,
                file: None,
            });
        }
        let file = match capture {
            Capture::File(path) if is_first => Some(output_file(path, id, cwd)?),
            _ => None,
        };
        let (from_stdout, stdout) = pipe().map_err(of_node)?;
        let (from_stderr, stderr) = if *capture == Capture::Split {
            let (read, write) = pipe().map_err(of_node)?;
            (Some(read), Some(write))
        } else {
            (None, None)
        };
        Ok(Self { stdout, stderr, from_stdout: Some(from_stdout), from_stderr, file })
    }
}

/// A pipe whose reader never waits.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

/// The file of the node that output goes into: emptied, as by a shell's `>`.
fn output_file(path: &Path, id: AttemptId, cwd: &Path) -> Result<File, NotStarted> {
    let name = path.to_string_lossy();
    let name = name
        .replace("{job}", &id.task.job.to_string())
        .replace("{index}", &id.task.index.to_string())
        .replace("{attempt}", &id.number.to_string());
    let path = cwd.join(name);
    let what = format!("failed to open `output.capture.file` {}", path.display());
    let emptied = File::create(&path).and_then(|_| OpenOptions::new().append(true).open(&path));
    emptied.map_err(|error| fault::by_errno(&what, &error))
}
