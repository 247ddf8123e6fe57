// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tracepoints at the entry and exit of read, pread64, write and pwrite64.

use core::ffi::c_void;
use core::ptr::null;

use aya_ebpf::helpers::gen::bpf_get_current_task;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use aya_ebpf::EbpfContext;
use kernel::{context, global, is_target, read};
use shared::context::{ARGS, RET};
use shared::{READ, WRITE};

use super::OFFSETS;
use crate::{enter, enter_at, leave};

/// The file behind a descriptor of the current task, or null.
#[inline(always)]
pub unsafe fn file_of(fd: u32) -> *const c_void {
    let files: *const c_void = read(bpf_get_current_task() as *const c_void, global(&OFFSETS.task_files));
    let fdt: *const c_void = read(files, global(&OFFSETS.files_fdt));
    if fd >= read(fdt, global(&OFFSETS.fdt_max_fds)) {
        return null();
    }
    let table: *const *const c_void = read(fdt, global(&OFFSETS.fdt_fd));
    read(table.wrapping_add(fd as usize).cast(), 0)
}

/// The arguments of a call: (fd, buf, count) and, of some calls, pos.
#[inline(always)]
pub unsafe fn argument(ctx: &TracePointContext, index: usize) -> u64 {
    context(ctx, ARGS + 8 * index)
}

#[inline(always)]
unsafe fn exit(op: u32, ctx: &TracePointContext) -> u32 {
    leave(ctx.as_ptr(), op, context(ctx, RET) as i64);
    0
}

#[tracepoint]
fn read_exit(ctx: TracePointContext) -> u32 {
    unsafe { exit(READ, &ctx) }
}

#[tracepoint]
fn pread64_exit(ctx: TracePointContext) -> u32 {
    unsafe { exit(READ, &ctx) }
}

#[tracepoint]
fn write_exit(ctx: TracePointContext) -> u32 {
    unsafe { exit(WRITE, &ctx) }
}

#[tracepoint]
fn pwrite64_exit(ctx: TracePointContext) -> u32 {
    unsafe { exit(WRITE, &ctx) }
}

#[tracepoint]
fn read_enter(ctx: TracePointContext) -> u32 {
    if is_target() {
        unsafe { enter(READ, &ctx) };
    }
    0
}

#[tracepoint]
fn pread64_enter(ctx: TracePointContext) -> u32 {
    if is_target() {
        unsafe { enter_at(READ, &ctx) };
    }
    0
}

#[tracepoint]
fn write_enter(ctx: TracePointContext) -> u32 {
    if is_target() {
        unsafe { enter(WRITE, &ctx) };
    }
    0
}

#[tracepoint]
fn pwrite64_enter(ctx: TracePointContext) -> u32 {
    if is_target() {
        unsafe { enter_at(WRITE, &ctx) };
    }
    0
}
