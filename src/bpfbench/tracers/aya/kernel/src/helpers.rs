// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How programs get at data, as `direct` does, but by the functions and methods that Aya's book and examples use.

use core::ffi::c_void;
use core::mem::{transmute, zeroed};
use core::ptr::null;
use core::slice;

use aya_ebpf::helpers::{
    bpf_get_current_comm, bpf_probe_read_kernel, bpf_probe_read_kernel_str_bytes, bpf_probe_read_user_buf,
};
use aya_ebpf::programs::{ProbeContext, TracePointContext};
use shared::CommWords;

/// The comm of the current task.
#[inline(always)]
pub fn comm() -> Option<CommWords> {
    bpf_get_current_comm().ok().map(|comm| unsafe { transmute::<[u8; 16], CommWords>(comm) })
}

/// What lies at an offset in the program's context.
///
/// # Safety
/// The context must have a word there.
#[inline(always)]
pub unsafe fn context(ctx: &TracePointContext, offset: usize) -> u64 {
    ctx.read_at(offset).unwrap_or_default()
}

/// A pointer that a function was given.
#[inline(always)]
pub fn pointer(ctx: &ProbeContext, argument: usize) -> *const c_void {
    ctx.arg(argument).unwrap_or(null())
}

/// What lies at an offset in a structure of the kernel; 0 if it cannot be read.
///
/// # Safety
/// T must be valid whatever its bits.
#[inline(always)]
pub unsafe fn read<T>(structure: *const c_void, offset: u32) -> T {
    let address = structure.wrapping_byte_add(offset as usize);
    bpf_probe_read_kernel(address.cast()).unwrap_or_else(|_| zeroed())
}

/// Copies a string of the kernel, as much as there is room for.
///
/// # Safety
/// There must be room for so many bytes.
#[inline(always)]
pub unsafe fn read_string(to: *mut u8, bytes: usize, from: *const c_void) {
    let _ = bpf_probe_read_kernel_str_bytes(from.cast(), slice::from_raw_parts_mut(to, bytes));
}

/// Copies memory of the user, and tells whether it could.
///
/// # Safety
/// There must be room for so many bytes.
#[inline(always)]
pub unsafe fn read_user(to: *mut c_void, bytes: u64, from: *const c_void) -> bool {
    bpf_probe_read_user_buf(from.cast(), slice::from_raw_parts_mut(to.cast(), bytes as usize)).is_ok()
}
