// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The kernel side: what the programs of all objects, `rw`, `rw_knobs`, `syscount` and `fs_profile`, have in common.
#![no_std]
#![allow(internal_features)]
#![feature(core_intrinsics)]

#[cfg(not(feature = "helpers"))]
mod direct;
#[cfg(feature = "helpers")]
mod helpers;

use core::intrinsics::atomic_xadd_relaxed;
use core::ptr::read_volatile;

use shared::CommWords;

#[cfg(not(feature = "helpers"))]
pub use direct::{comm, context, pointer, read, read_string, read_user};
#[cfg(feature = "helpers")]
pub use helpers::{comm, context, pointer, read, read_string, read_user};

/// Set before loading.
#[no_mangle]
static TARGET_COMM: CommWords = [0; 2];

#[no_mangle]
#[link_section = "license"]
static LICENSE: [u8; 13] = *b"Dual BSD/GPL\0";

/// A read-only global as user space has set it. The verifier knows its value; the compiler must not think that it does.
#[inline(always)]
pub fn global<T: Copy>(value: &'static T) -> T {
    unsafe { read_volatile(value) }
}

#[inline(always)]
pub fn target_comm() -> CommWords {
    global(&TARGET_COMM)
}

/// Whether the current task is one of those that are recorded: those whose comm is exactly the target's.
#[inline(always)]
pub fn is_target() -> bool {
    comm().is_some_and(|comm| {
        let target = target_comm();
        comm[0] == target[0] && comm[1] == target[1]
    })
}

/// Atomic although per CPU: only some hooks run their programs with preemption off.
///
/// # Safety
/// The pointer must be to a map's value.
#[inline(always)]
pub unsafe fn count_one(counter: *mut u64) {
    add(counter, 1);
}

/// Atomic. (The atomic types of `core` do not exist for BPF.)
///
/// # Safety
/// The pointer must be to a map's value.
#[inline(always)]
pub unsafe fn add(sum: *mut u64, number: u64) {
    atomic_xadd_relaxed(sum, number);
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
