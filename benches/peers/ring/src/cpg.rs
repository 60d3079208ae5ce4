//! Corosync's closed process groups: as much of libcpg as a generator needs.
#![expect(unsafe_code, reason = "the audited module that calls libcpg")]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr::null_mut;
use std::slice;
use std::time::Duration;

use anyhow::{bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Who hears what a group delivers.
pub trait Listener {
    /// A message of a member's process on the node with this number.
    fn deliver(&mut self, node: u32, message: &[u8]);
    /// So many are in the group from now on; whether somebody left it.
    fn change(&mut self, members: usize, has_shrunk: bool);
}

/// A member of a group. The library's table of handles is not made for threads: none may be made
/// or dropped while another thread uses another.
///
/// `listener` is a `Box` turned into a pointer, which nobody but the callbacks follows while
/// `cpg_dispatch` runs, and nobody but `self` else.
pub struct Group<L: Listener> {
    handle: u64,
    listener: *mut L,
    _own: PhantomData<L>,
}

// SAFETY: a handle belongs to no thread, and is used by one at a time, since all that uses it
// borrows `self` mutably, or only reads its descriptor.
unsafe impl<L: Listener + Send> Send for Group<L> {}

/// `cs_error_t` and others of `<corosync/corotypes.h>`.
const CS_OK: c_int = 1;
const CS_ERR_LIBRARY: c_int = 2;
const CS_ERR_TRY_AGAIN: c_int = 6;
const CS_DISPATCH_ALL: c_int = 2;

/// Of `<corosync/cpg.h>`.
const CPG_MODEL_V1: c_int = 1;
const CPG_TYPE_AGREED: c_int = 2;
const NAME_BYTES: usize = 128;

/// `struct cpg_name`.
#[repr(C)]
struct Name {
    length: u32,
    value: [c_char; NAME_BYTES],
}

/// `struct cpg_address`.
#[repr(C)]
struct Address {
    node: u32,
    process: u32,
    reason: u32,
}

/// `struct iovec`.
#[repr(C)]
struct Slice {
    base: *const c_void,
    length: usize,
}

type Deliver = unsafe extern "C" fn(u64, *const Name, u32, u32, *mut c_void, usize);
type Change = unsafe extern "C" fn(
    u64,
    *const Name,
    *const Address,
    usize,
    *const Address,
    usize,
    *const Address,
    usize,
);

/// `cpg_model_v1_data_t`. The ring's own changes are not asked for.
#[repr(C)]
struct Model {
    version: c_int,
    deliver: Deliver,
    change: Change,
    ring_change: Option<unsafe extern "C" fn()>,
    flags: c_uint,
}

#[link(name = "cpg")]
unsafe extern "C" {
    fn cpg_model_initialize(h: *mut u64, m: c_int, data: *mut Model, context: *mut c_void)
    -> c_int;
    fn cpg_finalize(h: u64) -> c_int;
    fn cpg_fd_get(h: u64, fd: *mut c_int) -> c_int;
    fn cpg_context_get(h: u64, context: *mut *mut c_void) -> c_int;
    fn cpg_join(h: u64, group: *const Name) -> c_int;
    fn cpg_dispatch(h: u64, kinds: c_int) -> c_int;
    fn cpg_mcast_joined(h: u64, guarantee: c_int, parts: *const Slice, count: c_uint) -> c_int;
}

impl<L: Listener> Group<L> {
    /// Joins the group `name` by the corosync of this thread's network namespace. `None`: there
    /// is none yet, or it is not ready.
    pub fn join(name: &str, listener: L) -> anyhow::Result<Option<Self>> {
        ensure!(name.len() < NAME_BYTES, "a group's name has less than {NAME_BYTES} bytes");
        let mut model = Model {
            version: CPG_MODEL_V1,
            deliver: deliver::<L>,
            change: change::<L>,
            ring_change: None,
            flags: 0,
        };
        let listener = Box::into_raw(Box::new(listener));
        let mut handle = 0;
        // SAFETY: all pointers are to values that live through the call; the library keeps the
        // two functions and the context, which lives as long as the handle.
        let done = unsafe {
            cpg_model_initialize(&raw mut handle, CPG_MODEL_V1, &raw mut model, listener.cast())
        };
        if done != CS_OK {
            // SAFETY: it is the box from above, and without a handle nobody else has it.
            drop(unsafe { Box::from_raw(listener) });
            return retry(done, "cpg_model_initialize").map(|()| None);
        }
        let group = Self { handle, listener, _own: PhantomData };
        let mut name_of_it = Name { length: name.len() as u32, value: [0; NAME_BYTES] };
        for (to, from) in name_of_it.value.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        // SAFETY: the handle is open, the name lives through the call.
        match unsafe { cpg_join(handle, &raw const name_of_it) } {
            CS_OK => Ok(Some(group)),
            refused => retry(refused, "cpg_join").map(|()| None),
        }
    }

    /// Sends to the group; whether there was room for it.
    pub fn send(&mut self, message: &[u8]) -> anyhow::Result<bool> {
        let part = Slice { base: message.as_ptr().cast(), length: message.len() };
        // SAFETY: the handle is open, and the one part lives through the call, which copies it.
        match unsafe { cpg_mcast_joined(self.handle, CPG_TYPE_AGREED, &raw const part, 1) } {
            CS_OK => Ok(true),
            CS_ERR_TRY_AGAIN => Ok(false),
            error => bail!("cpg_mcast_joined: error {error}"),
        }
    }

    /// Tells the listener all that is there.
    pub fn dispatch(&mut self) -> anyhow::Result<()> {
        // SAFETY: the handle is open; the callbacks follow the listener's pointer meanwhile, and
        // nobody else does, since `self` is borrowed.
        match unsafe { cpg_dispatch(self.handle, CS_DISPATCH_ALL) } {
            CS_OK | CS_ERR_TRY_AGAIN => Ok(()),
            error => bail!("cpg_dispatch: error {error}"),
        }
    }

    /// Waits until there is something to dispatch, for `time` at most.
    pub fn wait(&self, time: Duration) -> anyhow::Result<()> {
        let mut fd: RawFd = -1;
        // SAFETY: the handle is open, and `fd` lives through the call.
        let done = unsafe { cpg_fd_get(self.handle, &raw mut fd) };
        ensure!(done == CS_OK && fd >= 0, "cpg_fd_get: error {done}");
        // SAFETY: the library keeps it open as long as the handle, which `self` does.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let time = Timespec::try_from(time)?;
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&time))?;
        Ok(())
    }

    /// The listener.
    pub fn listener(&self) -> &L {
        // SAFETY: the box is there until `self` is dropped, and outside `dispatch`, which borrows
        // `self` mutably, no callback runs.
        unsafe { &*self.listener }
    }
}

impl<L: Listener> Drop for Group<L> {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and used no more; after it no callback runs, so the box is
        // ours alone.
        unsafe {
            cpg_finalize(self.handle);
            drop(Box::from_raw(self.listener));
        }
    }
}

/// What a corosync answers that is not ready yet is no failure.
fn retry(error: c_int, what: &str) -> anyhow::Result<()> {
    ensure!(matches!(error, CS_ERR_LIBRARY | CS_ERR_TRY_AGAIN), "{what}: error {error}");
    Ok(())
}

/// The listener of a handle, while its library calls back.
unsafe fn listener_of<'a, L>(handle: u64) -> Option<&'a mut L> {
    let mut context: *mut c_void = null_mut();
    // SAFETY: the library has just called back for this handle.
    let done = unsafe { cpg_context_get(handle, &raw mut context) };
    // SAFETY: it is the box of `join`, and see `Group`.
    (done == CS_OK).then(|| unsafe { context.cast::<L>().as_mut() }).flatten()
}

unsafe extern "C" fn deliver<L: Listener>(
    handle: u64,
    _: *const Name,
    node: u32,
    _: u32,
    message: *mut c_void,
    length: usize,
) {
    // SAFETY: `handle` is of a `Group<L>`, since this function was given for it.
    let Some(listener) = (unsafe { listener_of::<L>(handle) }) else { return };
    // SAFETY: the library lends so many bytes for the time of this call.
    listener.deliver(node, unsafe { slice::from_raw_parts(message.cast(), length) });
}

unsafe extern "C" fn change<L: Listener>(
    handle: u64,
    _: *const Name,
    _: *const Address,
    members: usize,
    _: *const Address,
    left: usize,
    _: *const Address,
    _: usize,
) {
    // SAFETY: as in `deliver`.
    let Some(listener) = (unsafe { listener_of::<L>(handle) }) else { return };
    listener.change(members, left > 0);
}
