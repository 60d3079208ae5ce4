//! Starts a process as `vfork` does, but into a cgroup and with a descriptor of the process: by
//! `clone3`, for which neither the standard library nor the C library has a function.
//!
//! The child runs in this process's memory, on a stack of its own, while the calling thread
//! stands still, until it has become another program or has ended. So nothing is copied, however
//! much memory this process has. What the child does is in [`child`]: system calls only. It
//! allocates nothing, takes no lock, cannot panic, and writes nowhere but to its stack, to
//! `Errand::errno` and to the errno of the thread that stands still.
#![expect(unsafe_code, reason = "each block says why it is sound")]

use std::arch::asm;
use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::process::Pid;

/// Bytes of the child's stack. Its system calls need some hundred; the rest is for a C library
/// that is larger than ours.
const STACK: usize = 64 << 10;

/// From linux/sched.h; the last does not fit into the C library's type of flags.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Signals that the child has as every program expects to find them. What has a handler gets rid
/// of it with the new program; what is ignored does not.
const DEFAULTS: [c_int; 6] =
    [libc::SIGPIPE, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGCHLD];

/// What to start.
#[derive(Debug)]
pub struct Newborn<'a> {
    /// The file to run.
    pub program: &'a CStr,
    /// Its arguments, with its name.
    pub argv: &'a [CString],
    /// Its environment, as `NAME=value`.
    pub environment: &'a [CString],
    /// Its working directory.
    pub cwd: &'a CStr,
    /// What it reads, and where it prints: none of these is below 3.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Where it is put before it runs.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// How many descriptors it may have: this process may have more.
    pub descriptors: Option<libc::rlimit>,
}

/// `struct clone_args` of linux/sched.h, in its second extension.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// What the child needs, laid out before it is there.
struct Errand {
    program: *const c_char,
    argv: *const *const c_char,
    environment: *const *const c_char,
    cwd: *const c_char,
    stdio: [c_int; 3],
    parent: libc::pid_t,
    descriptors: Option<libc::rlimit>,
    /// What went wrong; 0 if nothing did.
    errno: c_int,
}

/// Whether the kernel has `clone3`, and nobody forbids it.
pub fn is_there() -> bool {
    // SAFETY: with no arguments of size 0, the kernel touches nothing, and refuses.
    let result = unsafe { libc::syscall(libc::SYS_clone3, ptr::null::<CloneArgs>(), 0_usize) };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}

/// Starts it, the leader of a process group, which is killed when the calling thread ends.
///
/// # Errors
/// If it did not become the program.
pub fn start(newborn: &Newborn<'_>) -> io::Result<(Pid, OwnedFd)> {
    let stdio = newborn.stdio.map(|fd| fd.as_raw_fd());
    assert!(stdio.iter().all(|fd| *fd > 2), "standard streams are open in a shim");
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, environment) = (pointers(newborn.argv), pointers(newborn.environment));
    let mut errand = Errand {
        program: newborn.program.as_ptr(),
        argv: argv.as_ptr(),
        environment: environment.as_ptr(),
        cwd: newborn.cwd.as_ptr(),
        stdio,
        // SAFETY: it cannot fail.
        parent: unsafe { libc::getpid() },
        descriptors: newborn.descriptors,
        errno: 0,
    };
    let mut stack = vec![MaybeUninit::<u128>::uninit(); STACK / size_of::<u128>()];
    let mut pidfd: c_int = -1;
    let mut flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    if newborn.cgroup.is_some() {
        flags |= CLONE_INTO_CGROUP;
    }
    let args = CloneArgs {
        flags,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: STACK as u64,
        cgroup: newborn.cgroup.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
        ..CloneArgs::default()
    };
    let before = block_signals();
    // SAFETY: `args` is a `clone_args` of its size. The child has a stack of its own, aligned as
    // the architecture wants it, and all that `errand` points to outlives it: this thread goes on
    // only when the child has left this memory. All signals are blocked, so no handler runs there.
    let pid = unsafe { clone(&args, &raw mut errand) };
    restore_signals(&before);
    if pid < 0 {
        return Err(io::Error::from_raw_os_error(-pid as i32));
    }
    // SAFETY: the kernel made this descriptor for us, as it made the process.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = Pid::from_raw(pid as i32).expect("the number of a process is positive");
    // SAFETY: the child has written to it, or has not, and is gone from this memory.
    match unsafe { ptr::read_volatile(&raw const errand.errno) } {
        0 => Ok((pid, pidfd)),
        errno => {
            // It ends, or has ended; nobody else reaps it, as nobody has heard of it.
            super::reap_surely(pid);
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}

/// The process's number in the parent; in the child, it does not return.
///
/// # Safety
/// `args` must give the child a stack of its own, and with `CLONE_VM` also `CLONE_VFORK`; `errand`
/// must be valid until the child has left this memory.
unsafe fn clone(args: &CloneArgs, errand: *mut Errand) -> i64 {
    let result: i64;
    // SAFETY: by the caller. The kernel keeps all registers but these three. The child begins with
    // an empty stack, whose end is a multiple of 16, and only calls `child`, which does not return.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") errand,
            in("r13") child as extern "C" fn(*mut Errand) -> !,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// What the child does: see the [module](self) for what it may.
extern "C" fn child(errand: *mut Errand) -> ! {
    // SAFETY: `start` laid it out, and stands still. All calls are system calls without locks or
    // memory of the C library, which POSIX allows after a fork of a process with threads.
    unsafe {
        if run(&*errand).is_none() {
            (*errand).errno = *libc::__errno_location();
        }
        libc::_exit(127)
    }
}

/// Becomes the program; returns only if something failed, which errno has.
///
/// # Safety
/// Only for [`child`].
unsafe fn run(errand: &Errand) -> Option<()> {
    let done = |result: c_int| (result >= 0).then_some(());
    // SAFETY: by the caller; all pointers are those of `start`, and end with zeros.
    unsafe {
        done(libc::setpgid(0, 0))?;
        done(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        if libc::getppid() != errand.parent {
            // The parent died before the kernel knew that this is to die with it.
            libc::_exit(127);
        }
        for signal in DEFAULTS {
            libc::signal(signal, libc::SIG_DFL);
        }
        done(libc::chdir(errand.cwd))?;
        for (fd, at) in errand.stdio.into_iter().zip(0..) {
            done(libc::dup2(fd, at))?;
        }
        if let Some(limit) = &errand.descriptors {
            done(libc::setrlimit(libc::RLIMIT_NOFILE, limit))?;
        }
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        done(libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()))?;
        done(libc::execve(errand.program, errand.argv, errand.environment))
    }
}

/// Blocks all signals of this thread; what was blocked before.
fn block_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both are places for signal sets; the calls fill them in and cannot fail.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: it is what `block_signals` was given.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut());
    }
}
