//! What a runner's link and a shim say to each other over their socket.
//!
//! Both begin with [`greeting`]: eight bytes that never change, and a version. After that come
//! frames: a length of four bytes, little-endian, and the encoding of a [`ToShim`] or a [`Told`].

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dx_transport::codec::{self, DecodeError, MAX_ENCODED};
use rustix::fs::{Mode, OFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::AttemptId;
use crate::processor::{Call, Run, Told, VERSION};

/// What every version begins with.
const MAGIC: &[u8; 8] = b"dx-shim\n";

/// Bytes of a greeting.
pub const GREETING: usize = MAGIC.len() + 2;

/// Bytes of a frame's length.
pub const HEAD: usize = 4;

/// The longest frame. No call and nothing told is longer: `MAX_BATCH` is far below it, and so is
/// a [`MAX_LOG_PART`](crate::processor::MAX_LOG_PART).
pub const MAX_FRAME: usize = MAX_ENCODED;

/// Bytes of jobs after which a frame of runs is ended. With the longest job, it is half of the
/// longest frame.
const MAX_BATCH: usize = 7 << 20;

/// Runs in a frame, so that a kill need not wait behind many.
const MAX_RUNS: usize = 4096;

/// What is not understood. The fault of the other side: it is not listened to any more.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It does not begin as this protocol does.
    #[error("it does not speak the shim's protocol")]
    Stranger,
    /// It is of another version.
    #[error("it speaks version {theirs} of the shim's protocol, and this is version {VERSION}")]
    Version {
        /// Which.
        theirs: u16,
    },
    /// A frame is too long.
    #[error("a frame of {len} bytes is longer than {MAX_FRAME}")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// A frame means nothing.
    #[error("a frame cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// A run names a job that was not sent.
    #[error("a run has no job")]
    NoJob,
}

/// A [`Call`], with each job once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToShim {
    /// [`Call::Run`].
    Runs {
        /// The jobs of `runs`.
        jobs: Vec<Arc<str>>,
        /// What to run.
        runs: Vec<WireRun>,
    },
    /// Any other.
    Call(Call),
}

/// A [`Run`] that names its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireRun {
    /// See [`Run::attempt`].
    pub attempt: AttemptId,
    /// See [`Run::shim`].
    pub shim: u64,
    /// Which of the frame's jobs.
    pub job: u32,
    /// See [`Run::gpus`].
    pub gpus: Vec<u32>,
}

/// How this side begins.
#[must_use]
pub fn greeting() -> [u8; GREETING] {
    let mut bytes = [0; GREETING];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// Checks how the other side begins.
///
/// # Errors
/// If it is of another kind or version.
pub fn check_greeting(bytes: [u8; GREETING]) -> Result<(), WireError> {
    let (magic, version) = bytes.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(WireError::Stranger);
    }
    let theirs = u16::from_le_bytes(version.try_into().expect("two bytes follow the magic"));
    if theirs == VERSION { Ok(()) } else { Err(WireError::Version { theirs }) }
}

/// Puts `call` at the end of `out`, in as many frames as it takes.
pub fn put_call(call: Call, out: &mut Vec<u8>) {
    let Call::Run(runs) = call else { return put(&ToShim::Call(call), out) };
    let mut jobs: Vec<Arc<str>> = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for Run { attempt, shim, spec, gpus } in runs {
        let known = jobs.iter().rposition(|job| Arc::ptr_eq(job, &spec) || *job == spec);
        let job = known.unwrap_or_else(|| {
            bytes += spec.len();
            jobs.push(spec);
            jobs.len() - 1
        });
        batch.push(WireRun { attempt, shim, job: job as u32, gpus });
        if bytes >= MAX_BATCH || batch.len() >= MAX_RUNS {
            let (jobs, runs) = (std::mem::take(&mut jobs), std::mem::take(&mut batch));
            put(&ToShim::Runs { jobs, runs }, out);
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        put(&ToShim::Runs { jobs, runs: batch }, out);
    }
}

/// Puts `told` at the end of `out`.
pub fn put_told(told: &Told, out: &mut Vec<u8>) {
    put(told, out);
}

fn put<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    codec::encode_into(value, MAX_FRAME, out).expect("bounded where it was made; has no maps");
    let len = (out.len() - start - HEAD) as u32;
    out[start..start + HEAD].copy_from_slice(&len.to_le_bytes());
}

/// The length of the frame that begins so.
///
/// # Errors
/// If it is too long.
pub fn length(head: [u8; HEAD]) -> Result<usize, WireError> {
    let len = u32::from_le_bytes(head) as usize;
    if len > MAX_FRAME { Err(WireError::TooLong { len }) } else { Ok(len) }
}

/// What a frame says.
///
/// # Errors
/// If it says nothing.
pub fn open<T: DeserializeOwned>(frame: &[u8]) -> Result<T, WireError> {
    Ok(codec::decode(frame)?)
}

/// A name for a socket that fits into an address, however deep its folder is.
#[derive(Debug)]
pub struct ShortPath {
    path: PathBuf,
    /// What `path` goes through.
    _folder: OwnedFd,
}

impl ShortPath {
    /// The name; it is good as long as this lives.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Finds a short name for a socket.
///
/// # Errors
/// If its folder cannot be opened.
pub fn short_path(path: &Path) -> io::Result<ShortPath> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let folder = path.parent().ok_or_else(missing)?;
    let name = path.file_name().ok_or_else(missing)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let through = format!("/proc/self/fd/{}", folder.as_raw_fd());
    Ok(ShortPath { path: Path::new(&through).join(name), _folder: folder })
}

/// Takes frames out of what has arrived so far.
#[derive(Debug, Default)]
pub struct Inbound {
    bytes: Vec<u8>,
    at: usize,
    is_greeted: bool,
}

impl Inbound {
    /// Behind a greeting that was read otherwise.
    #[must_use]
    pub fn greeted_already() -> Self {
        Self { is_greeted: true, ..Self::default() }
    }

    /// Adds what has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 && self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, once all of it is there.
    ///
    /// # Errors
    /// If what has arrived is not of this protocol and version.
    pub fn take_frame<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        if !self.greeted()? {
            return Ok(None);
        }
        let rest = &self.bytes[self.at..];
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else { return Ok(self.none()) };
        let len = length(*head)?;
        let Some(frame) = rest.get(..len) else { return Ok(self.none()) };
        let value = open(frame)?;
        self.at += HEAD + len;
        Ok(Some(value))
    }

    /// Whether the greeting has arrived, and is one of this version.
    ///
    /// # Errors
    /// If it is another's.
    pub fn greeted(&mut self) -> Result<bool, WireError> {
        if !self.is_greeted
            && let Some(bytes) = self.take::<GREETING>()
        {
            check_greeting(bytes)?;
            self.is_greeted = true;
        }
        Ok(self.is_greeted)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.bytes[self.at..].first_chunk::<N>()?;
        self.at += N;
        Some(bytes)
    }

    /// Nothing whole is left: what was taken makes room.
    fn none<T>(&mut self) -> Option<T> {
        self.bytes.drain(..self.at);
        self.at = 0;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::JobId;

    fn run(index: u32, spec: &Arc<str>) -> Run {
        let attempt = JobId(1).task(index).attempt(1);
        Run { attempt, shim: 5, spec: Arc::clone(spec), gpus: vec![] }
    }

    fn frames(bytes: &[u8]) -> Vec<ToShim> {
        let mut inbound = Inbound::greeted_already();
        let mut frames = Vec::new();
        for chunk in bytes.chunks(1000) {
            inbound.push(chunk);
            while let Some(frame) = inbound.take_frame().unwrap() {
                frames.push(frame);
            }
        }
        assert!(inbound.bytes.is_empty(), "{} bytes are left", inbound.bytes.len());
        frames
    }

    #[test]
    fn a_job_travels_once_for_all_its_runs() {
        let spec: Arc<str> = "x".repeat(1000).into();
        let mut out = Vec::new();
        put_call(Call::Run((0..100).map(|index| run(index, &spec)).collect()), &mut out);
        assert!(out.len() < 3000, "{}", out.len());
        let [ToShim::Runs { jobs, runs }] = &frames(&out)[..] else { panic!() };
        assert_eq!((jobs.len(), runs.len()), (1, 100));
    }

    #[test]
    fn many_long_jobs_fit_into_frames() {
        let jobs: Vec<Arc<str>> =
            (0..20).map(|n| format!("{n}{}", "x".repeat(crate::job::MAX_SPEC)).into()).collect();
        let mut out = Vec::new();
        put_call(Call::Run(jobs.iter().map(|spec| run(0, spec)).collect()), &mut out);
        let runs: usize = frames(&out)
            .into_iter()
            .map(|frame| match frame {
                ToShim::Runs { jobs, runs } => {
                    assert_eq!(jobs.len(), runs.len());
                    runs.len()
                }
                ToShim::Call(call) => panic!("{call:?}"),
            })
            .sum();
        assert_eq!(runs, 20);
    }

    #[test]
    fn another_version_is_told_from_a_stranger() {
        let mut later = greeting();
        later[8] = 99;
        assert!(matches!(check_greeting(later), Err(WireError::Version { theirs: 99 })));
        assert!(matches!(check_greeting(*b"GET / HTTP"), Err(WireError::Stranger)));
        check_greeting(greeting()).unwrap();
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut inbound = Inbound::default();
        inbound.push(&greeting());
        inbound.push(&u32::MAX.to_le_bytes());
        assert!(matches!(inbound.take_frame::<ToShim>(), Err(WireError::TooLong { .. })));
    }
}
