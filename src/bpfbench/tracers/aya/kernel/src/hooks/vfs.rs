// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Entry and exit of vfs_read and vfs_write, by kprobe and kretprobe, and by fentry and fexit.
//!
//! fexit gets the arguments once more, but the time of the entry is kept in the join map all the same, so that the flavours
//! differ in their hooks alone.

use aya_ebpf::macros::{fentry, fexit, kprobe, kretprobe};
use aya_ebpf::programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext};
use aya_ebpf::EbpfContext;
use kernel::{is_target, pointer};
use shared::{READ, WRITE};

use crate::{enter_vfs, leave};

/// (file, buf, count, pos) of vfs_read and vfs_write, and what they return comes after them in fexit's context.
const RET: usize = 4;

#[inline(always)]
unsafe fn kprobe_enter(op: u32, ctx: &ProbeContext) -> u32 {
    if is_target() {
        enter_vfs(op, pointer(ctx, 0), pointer(ctx, 1), ctx.arg(2).unwrap_or_default(), pointer(ctx, 3));
    }
    0
}

#[inline(always)]
unsafe fn kprobe_exit(op: u32, ctx: &RetProbeContext) -> u32 {
    leave(ctx.as_ptr(), op, ctx.ret().unwrap_or_default());
    0
}

#[inline(always)]
unsafe fn fentry_enter(op: u32, ctx: &FEntryContext) -> i32 {
    if is_target() {
        enter_vfs(op, ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    }
    0
}

#[inline(always)]
unsafe fn fentry_exit(op: u32, ctx: &FExitContext) -> i32 {
    leave(ctx.as_ptr(), op, ctx.arg(RET));
    0
}

#[kretprobe]
fn kprobe_read_exit(ctx: RetProbeContext) -> u32 {
    unsafe { kprobe_exit(READ, &ctx) }
}

#[kretprobe]
fn kprobe_write_exit(ctx: RetProbeContext) -> u32 {
    unsafe { kprobe_exit(WRITE, &ctx) }
}

#[kprobe]
fn kprobe_read_enter(ctx: ProbeContext) -> u32 {
    unsafe { kprobe_enter(READ, &ctx) }
}

#[kprobe]
fn kprobe_write_enter(ctx: ProbeContext) -> u32 {
    unsafe { kprobe_enter(WRITE, &ctx) }
}

#[fexit]
fn fentry_read_exit(ctx: FExitContext) -> i32 {
    unsafe { fentry_exit(READ, &ctx) }
}

#[fexit]
fn fentry_write_exit(ctx: FExitContext) -> i32 {
    unsafe { fentry_exit(WRITE, &ctx) }
}

#[fentry]
fn fentry_read_enter(ctx: FEntryContext) -> i32 {
    unsafe { fentry_enter(READ, &ctx) }
}

#[fentry]
fn fentry_write_enter(ctx: FEntryContext) -> i32 {
    unsafe { fentry_enter(WRITE, &ctx) }
}
