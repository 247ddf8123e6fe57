// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! rw-tracer and rw-tracer-all. Between entry and exit lies the join map, behind them the ring.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::ptr::null;

use aya_ebpf::helpers::gen::{
    bpf_get_current_task, bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_ringbuf_reserve, bpf_ringbuf_submit,
};
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_ktime_get_ns};
use aya_ebpf::macros::{map, tracepoint};
use aya_ebpf::maps::{HashMap, PerCpuArray, RingBuf};
use aya_ebpf::programs::TracePointContext;
use kernel::{context, count_one, global, is_target, read, target_comm};
use shared::context::{ARGS, RET};
use shared::{CommWords, Offsets, RwCounters, RwEvent, JOIN_ENTRIES, NAME_BYTES, READ, WRITE};

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
struct Slot {
    event: RwEvent,
}

/// Set before loading; 0 for rw-tracer.
#[no_mangle]
static PAYLOAD_BYTES: u32 = 0;

/// Set before loading: rustc has no means to emit CO-RE relocations, so user space looks the offsets up in the running
/// kernel's BTF. To the verifier they are constants all the same.
#[no_mangle]
static OFFSETS: Offsets = Offsets {
    task_files: 0,
    files_fdt: 0,
    fdt_max_fds: 0,
    fdt_fd: 0,
    file_inode: 0,
    file_flags: 0,
    file_pos: 0,
    file_dentry: 0,
    dentry_name: 0,
    inode_sb: 0,
    inode_ino: 0,
    sb_dev: 0,
};

#[map]
static CALLS: HashMap<u64, Call> = HashMap::with_max_entries(JOIN_ENTRIES, 0);

/// The size is that of --ringbuf-bytes, set before loading.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

#[map]
static COUNTERS: PerCpuArray<RwCounters> = PerCpuArray::with_max_entries(1, 0);

/// The file behind a descriptor of the current task, or null.
#[inline(always)]
unsafe fn file_of(fd: u32) -> *const c_void {
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
unsafe fn argument<T>(ctx: &TracePointContext, index: usize) -> T {
    context(ctx, ARGS + 8 * index)
}

/// read and write
#[inline(always)]
unsafe fn enter(op: u32, ctx: &TracePointContext) -> u32 {
    if is_target() {
        let file = file_of(argument::<u64>(ctx, 0) as u32);
        let offset = if file.is_null() { 0 } else { read(file, global(&OFFSETS.file_pos)) };
        rw_enter(op, file, argument(ctx, 1), argument(ctx, 2), offset);
    }
    0
}

/// pread64 and pwrite64
#[inline(always)]
unsafe fn enter_at(op: u32, ctx: &TracePointContext) -> u32 {
    if is_target() {
        let file = file_of(argument::<u64>(ctx, 0) as u32);
        rw_enter(op, file, argument(ctx, 1), argument(ctx, 2), argument(ctx, 3));
    }
    0
}

#[inline(always)]
unsafe fn rw_enter(op: u32, file: *const c_void, buf: *const c_void, count: u64, offset: u64) {
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
unsafe fn rw_exit(op: u32, ctx: &TracePointContext) -> u32 {
    let id = bpf_get_current_pid_tgid();
    let Some(call) = CALLS.get_ptr(&id) else {
        return 0;
    };
    // Another op is left over from a call whose exit the kernel skipped.
    if (*call).op == op.into() {
        submit_event(call, op, id, bpf_ktime_get_ns(), context(ctx, RET));
    }
    let _ = CALLS.remove(&id);
    0
}

#[inline(always)]
unsafe fn submit_event(call: *const Call, op: u32, id: u64, exit_ns: u64, ret: i64) {
    let Some(counters) = COUNTERS.get_ptr_mut(0) else {
        return;
    };
    count_one(&raw mut (*counters).intercepted[op as usize]);

    // RingBuf::reserve takes a type's size, but this one is known only when the program is loaded.
    let ring = (&raw const EVENTS).cast_mut().cast();
    let size = size_of::<RwEvent>() as u64 + u64::from(global(&PAYLOAD_BYTES));
    let slot: *mut Slot = bpf_ringbuf_reserve(ring, size, 0).cast();
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
    (&raw mut (*slot).event.comm).cast::<CommWords>().write(target_comm()); // rw_enter() is for the target only
    read_identity(slot, (*call).file);
    (*slot).event.payload_len = read_payload(slot.byte_add(size_of::<RwEvent>()).cast(), (*call).buf, ret);
    bpf_ringbuf_submit(slot.cast(), 0);
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
    bpf_probe_read_kernel_str(name.cast(), NAME_BYTES as u32, string);
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
    if bpf_probe_read_user(to, bytes as u32, from) != 0 {
        return 0;
    }
    bytes as u32
}

#[tracepoint]
fn read_exit(ctx: TracePointContext) -> u32 {
    unsafe { rw_exit(READ, &ctx) }
}

#[tracepoint]
fn pread64_exit(ctx: TracePointContext) -> u32 {
    unsafe { rw_exit(READ, &ctx) }
}

#[tracepoint]
fn write_exit(ctx: TracePointContext) -> u32 {
    unsafe { rw_exit(WRITE, &ctx) }
}

#[tracepoint]
fn pwrite64_exit(ctx: TracePointContext) -> u32 {
    unsafe { rw_exit(WRITE, &ctx) }
}

#[tracepoint]
fn read_enter(ctx: TracePointContext) -> u32 {
    unsafe { enter(READ, &ctx) }
}

#[tracepoint]
fn pread64_enter(ctx: TracePointContext) -> u32 {
    unsafe { enter_at(READ, &ctx) }
}

#[tracepoint]
fn write_enter(ctx: TracePointContext) -> u32 {
    unsafe { enter(WRITE, &ctx) }
}

#[tracepoint]
fn pwrite64_enter(ctx: TracePointContext) -> u32 {
    unsafe { enter_at(WRITE, &ctx) }
}
