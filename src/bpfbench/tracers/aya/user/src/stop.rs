// SPDX-License-Identifier: Apache-2.0
//! How the tracer is told to stop: the first SIGINT or SIGTERM asks, the second kills.

use std::ffi::{CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering::SeqCst};

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static TOLD_NS: AtomicU64 = AtomicU64::new(0);
/// By a signal, or because something went wrong.
static OVER: AtomicBool = AtomicBool::new(false);
/// An eventfd that makes readable what ends the run: unlike an interrupted system call, that cannot be missed.
static TOLD: AtomicI32 = AtomicI32::new(-1);
static DOOMED: AtomicPtr<c_char> = AtomicPtr::new(null_mut());

pub fn monotonic_ns() -> u64 {
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the clock exists, so the time is filled in.
    let now = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, now.as_mut_ptr());
        now.assume_init()
    };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

extern "C" fn on_stop(signal: c_int) {
    // SAFETY: all of these may be called by a signal handler.
    unsafe {
        if SIGNAL.load(SeqCst) != 0 {
            let doomed = DOOMED.load(SeqCst);
            if !doomed.is_null() {
                libc::unlink(doomed);
            }
            libc::_exit(128 + signal);
        }
        let errno = *libc::__errno_location();
        TOLD_NS.store(monotonic_ns(), SeqCst);
        SIGNAL.store(signal, SeqCst);
        give_up();
        *libc::__errno_location() = errno;
    }
}

static ONE: u64 = 1;

/// Ends the run, for whatever reason.
pub fn give_up() {
    OVER.store(true, SeqCst);
    // SAFETY: a plain system call.
    unsafe { libc::write(TOLD.load(SeqCst), (&raw const ONE).cast(), size_of_val(&ONE)) };
}

pub fn catch_signals() {
    // SAFETY: plain system calls, and a handler that keeps to what a handler may do.
    unsafe {
        TOLD.store(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK), SeqCst);
        handle(libc::SIGINT, on_stop as libc::sighandler_t);
        handle(libc::SIGTERM, on_stop as libc::sighandler_t);
        // These become errors of write(2), which are reported.
        handle(libc::SIGPIPE, libc::SIG_IGN);
        handle(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

unsafe fn handle(signal: c_int, handler: libc::sighandler_t) {
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler;
        // One at a time, so that each handler sees what the last one did.
        libc::sigaddset(&mut action.sa_mask, libc::SIGINT);
        libc::sigaddset(&mut action.sa_mask, libc::SIGTERM);
        libc::sigaction(signal, &action, null_mut());
    }
}

/// Whether the first signal has come.
#[inline]
pub fn is_told() -> bool {
    SIGNAL.load(SeqCst) != 0
}

/// Whether to stop waiting for events.
#[inline]
pub fn is_over() -> bool {
    OVER.load(SeqCst)
}

/// When it came, or now.
pub fn told_ns() -> u64 {
    if is_told() { TOLD_NS.load(SeqCst) } else { monotonic_ns() }
}

/// Readable once the run is over.
pub fn told() -> RawFd {
    TOLD.load(SeqCst)
}

/// Sleeps until then.
pub fn wait() {
    let mut wait = libc::pollfd { fd: told(), events: libc::POLLIN, revents: 0 };
    while !is_over() {
        // SAFETY: there is one descriptor. An error can only be that a signal has come.
        unsafe { libc::poll(&mut wait, 1, -1) };
    }
}

/// A file that a second signal is to remove; none if there is no longer one.
pub fn remove_when_killed(path: Option<CString>) {
    let path = path.map_or(null_mut(), CString::into_raw);
    // The last one is not freed: a signal may just be using it.
    DOOMED.store(path, SeqCst);
}
