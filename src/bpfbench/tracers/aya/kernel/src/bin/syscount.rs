// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! syscount: the target's system calls, counted by number.
#![no_std]
#![no_main]

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::{map, tracepoint};
use aya_ebpf::maps::{PerCpuArray, PerCpuHashMap};
use aya_ebpf::programs::TracePointContext;
use kernel::{context, count_one, is_target};

// Both maps are per CPU, so that the CPUs do not fight over one cache line.

#[map]
static COUNTS: PerCpuHashMap<u64, u64> = PerCpuHashMap::with_max_entries(shared::SYSCOUNT_ENTRIES, 0);

#[map]
static MAP_FULL: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

#[tracepoint]
fn syscount(ctx: TracePointContext) -> u32 {
    if is_target() {
        let number = unsafe { context(&ctx, shared::context::ID) };
        if let Some(counter) = counter_of(number) {
            unsafe { count_one(counter) };
        }
    }
    0
}

/// Where to count a call: by its number, or as one that the map has no room for.
#[inline(always)]
fn counter_of(number: u64) -> Option<*mut u64> {
    COUNTS.get_ptr_mut(&number).or_else(|| {
        // This fails harmlessly when another CPU was first; a second look tells that from a full map.
        let _ = COUNTS.insert(&number, &0, BPF_NOEXIST.into());
        COUNTS.get_ptr_mut(&number).or_else(|| MAP_FULL.get_ptr_mut(0))
    })
}
