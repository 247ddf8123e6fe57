// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How programs get at data: straight, and by the bindings of the kernel's helpers, as programs in C do.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::gen::{
    bpf_get_current_comm, bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user,
};
use aya_ebpf::programs::{ProbeContext, TracePointContext};
use aya_ebpf::EbpfContext;
use shared::{CommWords, COMM_BYTES};

/// The comm of the current task.
#[inline(always)]
pub fn comm() -> Option<CommWords> {
    let mut comm = MaybeUninit::<CommWords>::uninit();
    let failed = unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), COMM_BYTES as u32) } != 0;
    (!failed).then(|| unsafe { comm.assume_init() })
}

/// What lies at an offset in the program's context, with one load; the method of the context calls a helper instead.
///
/// # Safety
/// The context must have a word there.
#[inline(always)]
pub unsafe fn context(ctx: &TracePointContext, offset: usize) -> u64 {
    ctx.as_ptr().byte_add(offset).cast::<u64>().read()
}

/// A pointer that a function was given, with one load; for a pointer, Aya would call a helper.
#[inline(always)]
pub fn pointer(ctx: &ProbeContext, argument: usize) -> *const c_void {
    ctx.arg::<u64>(argument).unwrap_or_default() as *const c_void
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

/// Copies a string of the kernel, as much as there is room for.
///
/// # Safety
/// There must be room for so many bytes.
#[inline(always)]
pub unsafe fn read_string(to: *mut u8, bytes: usize, from: *const c_void) {
    bpf_probe_read_kernel_str(to.cast(), bytes as u32, from);
}

/// Copies memory of the user, and tells whether it could.
///
/// # Safety
/// There must be room for so many bytes.
#[inline(always)]
pub unsafe fn read_user(to: *mut c_void, bytes: u64, from: *const c_void) -> bool {
    bpf_probe_read_user(to, bytes as u32, from) == 0
}
