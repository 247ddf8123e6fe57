// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! rw-tracer and rw-tracer-all: what their hooks hand on. Between entry and exit lies the join map, behind them the ring,
//! which is up to the object: `rw` has it as by default, `rw_knobs` as the knobs of the contract are set, and `rw_perf`
//! has perf buffers instead.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_ktime_get_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray};
use aya_ebpf::programs::TracePointContext;
use kernel::{count_one, global, read, read_string, read_user, target_comm};
use shared::{CommWords, RwCounters, RwEvent, JOIN_ENTRIES, NAME_BYTES};

use crate::hooks::{argument, file_of, OFFSETS};
use crate::ring;

/// A call under way.
#[repr(C)]
struct Call {
    op: u64,
    enter_ns: u64,
    offset: u64,
    count: u64,
    buf: *const c_void,
    file: *const c_void,
}

/// What the pointers point to is never touched through them, only read by helpers.
unsafe impl Sync for Call {}

/// A packed struct has alignment 1, and would be stored byte by byte; a ring slot is aligned to 8.
#[repr(C, align(8))]
pub struct Slot {
    event: RwEvent,
}

/// Set before loading; 0 for rw-tracer.
#[no_mangle]
pub static PAYLOAD_BYTES: u32 = 0;

#[map]
static CALLS: HashMap<u64, Call> = HashMap::with_max_entries(JOIN_ENTRIES, 0);

#[map]
static COUNTERS: PerCpuArray<RwCounters> = PerCpuArray::with_max_entries(1, 0);

#[inline(always)]
pub unsafe fn enter(op: u32, ctx: &TracePointContext) {
    let file = file_of(argument(ctx, 0) as u32);
    let offset = if file.is_null() { 0 } else { read(file, global(&OFFSETS.file_pos)) };
    join(op, file, argument(ctx, 1) as *const c_void, argument(ctx, 2), offset);
}

#[inline(always)]
pub unsafe fn enter_at(op: u32, ctx: &TracePointContext) {
    let file = file_of(argument(ctx, 0) as u32);
    join(op, file, argument(ctx, 1) as *const c_void, argument(ctx, 2), argument(ctx, 3));
}

#[inline(always)]
pub unsafe fn enter_vfs(op: u32, file: *const c_void, buf: *const c_void, count: u64, pos: *const c_void) {
    let offset = if pos.is_null() { read(file, global(&OFFSETS.file_pos)) } else { read(pos, 0) };
    join(op, file, buf, count, offset);
}

#[inline(always)]
unsafe fn join(op: u32, file: *const c_void, buf: *const c_void, count: u64, offset: u64) {
    let id = bpf_get_current_pid_tgid();
    let call = Call { op: op.into(), enter_ns: bpf_ktime_get_ns(), offset, count, buf, file };
    if CALLS.insert(&id, &call, 0).is_ok() {
        return;
    }
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        count_one(&raw mut (*counters).intercepted[op as usize]);
        count_one(&raw mut (*counters).map_full);
    }
}

#[inline(always)]
pub unsafe fn leave(ctx: *mut c_void, op: u32, ret: i64) {
    let id = bpf_get_current_pid_tgid();
    let Some(call) = CALLS.get_ptr(&id) else {
        return;
    };
    // Another op is left over from a call whose exit the kernel skipped.
    if (*call).op == op.into() {
        submit_event(ctx, call, op, id, bpf_ktime_get_ns(), ret);
    }
    let _ = CALLS.remove(&id);
}

#[inline(always)]
unsafe fn submit_event(ctx: *mut c_void, call: *const Call, op: u32, id: u64, exit_ns: u64, ret: i64) {
    let Some(counters) = COUNTERS.get_ptr_mut(0) else {
        return;
    };
    count_one(&raw mut (*counters).intercepted[op as usize]);

    let place = ring::reserve(op, id);
    let slot = place.slot();
    if slot.is_null() {
        count_one(&raw mut (*counters).ring_full);
        return;
    }
    (*slot).event.enter_ns = (*call).enter_ns;
    (*slot).event.exit_ns = exit_ns;
    (*slot).event.offset = (*call).offset;
    (*slot).event.count = (*call).count;
    (*slot).event.ret = ret;
    (*slot).event.pid = (id >> 32) as u32;
    (*slot).event.tid = id as u32;
    (*slot).event.op = op;
    (*slot).event.uid = bpf_get_current_uid_gid() as u32;
    (&raw mut (*slot).event.comm).cast::<CommWords>().write(target_comm()); // what is joined is the target's
    read_identity(slot, (*call).file);
    let payload_len = read_payload(slot.byte_add(size_of::<RwEvent>()).cast(), (*call).buf, ret);
    (*slot).event.payload_len = payload_len;
    if !ring::submit(ctx, &place, payload_len) {
        count_one(&raw mut (*counters).ring_full);
    }
}

#[inline(always)]
unsafe fn read_identity(slot: *mut Slot, file: *const c_void) {
    let name = &raw mut (*slot).event.name;
    name.cast::<[u64; NAME_BYTES / 8]>().write([0; NAME_BYTES / 8]);
    if file.is_null() {
        (*slot).event.inode = 0;
        (*slot).event.dev = 0;
        (*slot).event.flags = 0;
        return;
    }
    let inode: *const c_void = read(file, global(&OFFSETS.file_inode));
    (*slot).event.inode = read(inode, global(&OFFSETS.inode_ino));
    let sb: *const c_void = read(inode, global(&OFFSETS.inode_sb));
    (*slot).event.dev = read(sb, global(&OFFSETS.sb_dev));
    (*slot).event.flags = read(file, global(&OFFSETS.file_flags));
    let dentry: *const c_void = read(file, global(&OFFSETS.file_dentry));
    let string: *const c_void = read(dentry, global(&OFFSETS.dentry_name));
    read_string(name.cast(), NAME_BYTES, string);
}

/// Straight from the user's buffer into the slot. Returns how many bytes.
#[inline(always)]
unsafe fn read_payload(to: *mut c_void, from: *const c_void, ret: i64) -> u32 {
    let mut bytes = u64::from(global(&PAYLOAD_BYTES));
    if bytes == 0 || ret <= 0 {
        return 0;
    }
    if bytes > ret as u64 {
        bytes = ret as u64;
    }
    if read_user(to, bytes, from) {
        bytes as u32
    } else {
        0
    }
}
