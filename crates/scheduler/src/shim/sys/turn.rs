//! How long this thread runs at a time, while others want to.

use std::mem::{MaybeUninit, size_of};

use libc::{SCHED_FLAG_RESET_ON_FORK, SCHED_OTHER, sched_attr};

/// Nanoseconds: the least that the kernel takes.
const TURN: u64 = 100_000;

/// Asks for turns that are short, and so come soon after this thread was woken: it has little to
/// do, and others wait for that. It has no more of the processor by that, and needs no right. What
/// it starts begins as is usual: with turns as long as everybody's, and with no clamps of a
/// processor's speed. Heeded from Linux 6.12 on (EEVDF's custom slices); where that is refused, and in
/// another scheduling class, nothing changes.
pub fn be_short() {
    let size = u32::try_from(size_of::<sched_attr>()).expect("it has some fields");
    let mut attr = MaybeUninit::<sched_attr>::zeroed();
    // SAFETY: the place is valid for writes of as many bytes as it is said to have; 0 is the
    // calling thread, and there are no flags.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attr.as_mut_ptr(), size, 0) };
    if got < 0 {
        return;
    }
    // SAFETY: zeros are valid numbers, and so is what the kernel wrote over them.
    let mut attr = unsafe { attr.assume_init() };
    // With that flag, a child begins with what is usual. Who has more than that keeps it instead.
    if attr.sched_policy != SCHED_OTHER as u32 || attr.sched_nice < 0 {
        return;
    }
    attr.size = size;
    attr.sched_flags |= SCHED_FLAG_RESET_ON_FORK as u64;
    attr.sched_runtime = TURN;
    // SAFETY: it is of the size that it says.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}
