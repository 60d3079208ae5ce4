//! Programs on hosts: killed, paused and resumed.

use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::{io, mem};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::namespace::Namespace;
use crate::{stragglers, sys};

/// A program that runs on a host. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// Why a program could not be started or signalled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It did not start.
    #[error("failed to start `{program}`: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// It has ended already, so it can be neither paused nor resumed.
    #[error("the process has already ended with {0}")]
    Ended(ExitStatus),
    /// The system refused.
    #[error("failed to signal or await the process: {0}")]
    System(#[from] io::Error),
}

impl Process {
    pub(crate) fn spawn(
        namespace: &Namespace,
        command: &mut Command,
    ) -> Result<Self, ProcessError> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.env(stragglers::OWNER, stragglers::owner());
        sys::die_with_the_thread(command);
        // The job must own what it uses, so the command is lent and handed back.
        let mut lent = mem::replace(command, Command::new(""));
        let (lent, child) = namespace.on_resident(move || {
            let child = lent.spawn();
            (lent, child)
        });
        *command = lent;
        child.map(|child| Self { child }).map_err(|source| ProcessError::Spawn { program, source })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL and returns once it is gone.
    ///
    /// # Errors
    /// What the system refuses; none if it has ended already.
    pub fn kill(&mut self) -> Result<ExitStatus, ProcessError> {
        self.child.kill()?;
        self.wait()
    }

    /// Stops it with SIGSTOP and returns once all its threads stand still.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] if there is nothing left to stop.
    pub fn pause(&mut self) -> Result<(), ProcessError> {
        let pid = self.signal(Signal::STOP)?;
        // NOWAIT leaves an exit to be reaped by `wait`.
        let event = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let state = waitid(WaitId::Pid(pid), event).map_err(io::Error::from)?;
        if state.is_some_and(|state| state.stopped()) {
            return Ok(());
        }
        Err(ProcessError::Ended(self.wait()?))
    }

    /// Lets it go on with SIGCONT after [`Process::pause`].
    ///
    /// # Errors
    /// [`ProcessError::Ended`] if there is nothing left to resume.
    pub fn resume(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::CONT).map(drop)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        Ok(self.child.wait()?)
    }

    /// Its standard input, once, if the command piped it.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, if the command piped it.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, once, if the command piped it.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    fn signal(&mut self, signal: Signal) -> Result<Pid, ProcessError> {
        if let Some(status) = self.child.try_wait()? {
            return Err(ProcessError::Ended(status));
        }
        let pid = Pid::from_child(&self.child);
        // The child is not reaped, so its id cannot have been given to another.
        kill_process(pid, signal).map_err(io::Error::from)?;
        Ok(pid)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has been reaped, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
