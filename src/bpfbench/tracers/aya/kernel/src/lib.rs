// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The kernel side: what the programs of both objects, `rw` and `syscount`, have in common.
#![no_std]
#![allow(internal_features)]
#![feature(core_intrinsics)]

use core::ffi::c_void;
use core::intrinsics::atomic_xadd_relaxed;
use core::mem::MaybeUninit;
use core::ptr::read_volatile;

use aya_ebpf::helpers::gen::{bpf_get_current_comm, bpf_probe_read_kernel};
use aya_ebpf::programs::TracePointContext;
use aya_ebpf::EbpfContext;
use shared::{CommWords, COMM_BYTES};

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
    let mut comm = MaybeUninit::<CommWords>::uninit();
    if unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), COMM_BYTES as u32) } != 0 {
        return false;
    }
    let comm = unsafe { comm.assume_init() };
    let target = target_comm();
    comm[0] == target[0] && comm[1] == target[1]
}

/// What lies at an offset in the program's context, with one load; the method of the context calls a helper instead.
///
/// # Safety
/// The context must have a T there.
#[inline(always)]
pub unsafe fn context<T>(ctx: &TracePointContext, offset: usize) -> T {
    ctx.as_ptr().byte_add(offset).cast::<T>().read()
}

/// What lies at an offset in a structure of the kernel; 0 if it cannot be read, because the helper clears what it could
/// not fill.
///
/// # Safety
/// T must be valid whatever its bits.
#[inline(always)]
pub unsafe fn read<T>(structure: *const c_void, offset: u32) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    bpf_probe_read_kernel(
        value.as_mut_ptr().cast(),
        size_of::<T>() as u32,
        structure.wrapping_byte_add(offset as usize),
    );
    value.assume_init()
}

/// Atomic although per CPU: only some hooks run their programs with preemption off. (The atomic types of `core` do not
/// exist for BPF.)
///
/// # Safety
/// The pointer must be to a map's value.
#[inline(always)]
pub unsafe fn count_one(counter: *mut u64) {
    atomic_xadd_relaxed(counter, 1);
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
