// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! fs-profile: latencies of reads and writes, summed for each file in a map; slow ones are sent with their stack.
#![no_std]
#![no_main]

#[path = "../../hooks/mod.rs"]
mod hooks;

use core::ffi::c_void;
use core::mem::offset_of;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::gen::{bpf_get_stack, bpf_ringbuf_output};
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf};
use aya_ebpf::programs::TracePointContext;
use hooks::{argument, file_of, OFFSETS};
use kernel::{add, count_one, global, read, read_string};
use shared::{
    FsCounters, FsFile, FsKey, FsLatency, FsSlow, FsUse, FILES, FRAMES, JOIN_ENTRIES, NAME_BYTES, OPS, SLOTS, SLOW_NS,
    TOP_FILES,
};

/// A call under way.
#[repr(C)]
struct Call {
    op: u64,
    enter_ns: u64,
    file: *const c_void,
}

/// What the pointer points to is never touched through it, only read by helpers.
unsafe impl Sync for Call {}

#[map]
static CALLS: HashMap<u64, Call> = HashMap::with_max_entries(JOIN_ENTRIES, 0);

#[map]
static LATENCY: PerCpuHashMap<FsKey, FsLatency> = PerCpuHashMap::with_max_entries(FILES, 0);

/// By op: calls without a file, and of those that the full map above refuses.
#[map]
static OTHER: PerCpuArray<FsLatency> = PerCpuArray::with_max_entries(OPS as u32, 0);

#[map]
static TOP: LruHashMap<FsFile, FsUse> = LruHashMap::with_max_entries(TOP_FILES, 0);

/// The size is that of --ringbuf-bytes, set before loading.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

/// By op: where a record is put together whose length is known only then.
#[map]
static SCRATCH: PerCpuArray<FsSlow> = PerCpuArray::with_max_entries(OPS as u32, 0);

#[map]
static COUNTERS: PerCpuArray<FsCounters> = PerCpuArray::with_max_entries(1, 0);

/// What a new entry is. Too large for the stack.
static NO_LATENCY: FsLatency =
    FsLatency { count: 0, bytes: 0, total_ns: 0, max_ns: 0, slots: [0; SLOTS], name: [0; NAME_BYTES] };

#[inline(always)]
unsafe fn enter(op: u32, ctx: &TracePointContext) {
    join(op, file_of(argument(ctx, 0) as u32));
}

#[inline(always)]
unsafe fn enter_at(op: u32, ctx: &TracePointContext) {
    enter(op, ctx);
}

#[inline(always)]
unsafe fn enter_vfs(op: u32, file: *const c_void, _buf: *const c_void, _count: u64, _pos: *const c_void) {
    join(op, file);
}

#[inline(always)]
unsafe fn join(op: u32, file: *const c_void) {
    let id = bpf_get_current_pid_tgid();
    let call = Call { op: op.into(), enter_ns: bpf_ktime_get_ns(), file };
    if CALLS.insert(&id, &call, 0).is_ok() {
        return;
    }
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        count_one(&raw mut (*counters).intercepted[op as usize]);
        count_one(&raw mut (*counters).map_full);
    }
}

#[inline(always)]
unsafe fn leave(ctx: *mut c_void, op: u32, ret: i64) {
    let id = bpf_get_current_pid_tgid();
    let Some(call) = CALLS.get_ptr(&id) else {
        return;
    };
    // Another op is left over from a call whose exit the kernel skipped.
    if (*call).op == op.into() {
        profile(ctx, call, op, id, ret);
    }
    let _ = CALLS.remove(&id);
}

#[inline(always)]
unsafe fn profile(ctx: *mut c_void, call: *const Call, op: u32, id: u64, ret: i64) {
    let exit_ns = bpf_ktime_get_ns();
    let ns = exit_ns - (*call).enter_ns;
    let bytes = ret.max(0) as u64;
    let file = (*call).file;
    let mut key = FsKey { dev: 0, op, inode: 0 };

    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        count_one(&raw mut (*counters).intercepted[op as usize]);
    }
    if !file.is_null() {
        let inode: *const c_void = read(file, global(&OFFSETS.file_inode));
        key.inode = read(inode, global(&OFFSETS.inode_ino));
        let sb: *const c_void = read(inode, global(&OFFSETS.inode_sb));
        key.dev = read(sb, global(&OFFSETS.sb_dev));
        add_use(&key, bytes);
    }
    add_latency(&key, file, ns, bytes);
    if ns >= SLOW_NS {
        send_slow(ctx, call, &key, id, exit_ns, ret);
    }
}

/// Of all CPUs, and so the adds are atomic. Whoever takes an entry over at this moment gets the call.
#[inline(always)]
unsafe fn add_use(key: &FsKey, bytes: u64) {
    let file = FsFile { inode: key.inode, dev: key.dev, unused: 0 };
    // A variable: LLVM would take a constant of 16 zeros for the same as TARGET_COMM, which is not zeros once it is set.
    let unused = FsUse { calls: 0, bytes: 0 };
    let entry = TOP.get_ptr_mut(&file).or_else(|| {
        let _ = TOP.insert(&file, &unused, BPF_NOEXIST.into());
        TOP.get_ptr_mut(&file)
    });
    if let Some(entry) = entry {
        count_one(&raw mut (*entry).calls);
        add(&raw mut (*entry).bytes, bytes);
    }
}

/// The entry of a file, which this makes if need be; none if the map has no room.
#[inline(always)]
fn latency_of(key: &FsKey) -> Option<*mut FsLatency> {
    LATENCY.get_ptr_mut(key).or_else(|| {
        // This fails harmlessly when another CPU was first; a second look tells that from a full map.
        let _ = LATENCY.insert(key, &NO_LATENCY, BPF_NOEXIST.into());
        LATENCY.get_ptr_mut(key)
    })
}

#[inline(always)]
unsafe fn add_latency(key: &FsKey, file: *const c_void, ns: u64, bytes: u64) {
    let own = if file.is_null() { None } else { latency_of(key) };
    if let Some(latency) = own {
        if (*latency).count == 0 {
            let dentry: *const c_void = read(file, global(&OFFSETS.file_dentry));
            let string: *const c_void = read(dentry, global(&OFFSETS.dentry_name));
            read_string((&raw mut (*latency).name).cast(), NAME_BYTES, string);
        }
        add_call(latency, ns, bytes);
    } else if let Some(other) = OTHER.get_ptr_mut(key.op) {
        add_call(other, ns, bytes);
    }
}

/// Plain adds: the value is of one CPU and one op, and never do two programs that watch the same op run on a CPU at once.
/// Those of tracepoints and kprobes run with preemption off, and of the others the kernel skips a second run.
#[inline(always)]
unsafe fn add_call(latency: *mut FsLatency, ns: u64, bytes: u64) {
    (*latency).count += 1;
    (*latency).bytes += bytes;
    (*latency).total_ns += ns;
    if ns > (*latency).max_ns {
        (*latency).max_ns = ns;
    }
    let slot = (ns.checked_ilog2().unwrap_or(0) as usize).min(SLOTS - 1);
    *(&raw mut (*latency).slots).cast::<u64>().add(slot) += 1;
}

#[inline(always)]
unsafe fn send_slow(ctx: *mut c_void, call: *const Call, key: &FsKey, id: u64, exit_ns: u64, ret: i64) {
    let (Some(counters), Some(slow)) = (COUNTERS.get_ptr_mut(0), SCRATCH.get_ptr_mut(key.op)) else {
        return;
    };
    count_one(&raw mut (*counters).slow);
    (*slow).call.enter_ns = (*call).enter_ns;
    (*slow).call.exit_ns = exit_ns;
    (*slow).call.ret = ret;
    (*slow).call.inode = key.inode;
    (*slow).call.dev = key.dev;
    (*slow).call.pid = (id >> 32) as u32;
    (*slow).call.tid = id as u32;
    (*slow).call.op = key.op;
    const STACK_BYTES: i64 = (8 * FRAMES) as i64;
    let mut stack_bytes = bpf_get_stack(ctx, (&raw mut (*slow).stack).cast(), STACK_BYTES as u32, 0);
    if !(0..=STACK_BYTES).contains(&stack_bytes) {
        stack_bytes = 0;
    }
    // RingBuf::output takes a value's size, but this one is known only now.
    let ring = (&raw const EVENTS).cast_mut().cast();
    let size = offset_of!(FsSlow, stack) as u64 + stack_bytes as u64;
    if bpf_ringbuf_output(ring, slow.cast(), size, 0) != 0 {
        count_one(&raw mut (*counters).ring_full);
    }
}
