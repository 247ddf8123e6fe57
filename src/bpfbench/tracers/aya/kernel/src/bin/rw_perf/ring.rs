// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A perf buffer of each CPU instead of the ring. When a record wakes is up to user space, which makes them.

use core::ffi::c_void;
use core::ptr::null_mut;

use aya_ebpf::bindings::BPF_F_CURRENT_CPU;
use aya_ebpf::helpers::gen::bpf_perf_event_output;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, PerfEventArray};
use kernel::global;
use shared::{RwEvent, LONGEST_EVENT, OPS};

use crate::rw::{Slot, PAYLOAD_BYTES};

// [snippet buffer]
#[map]
static EVENTS: PerfEventArray<RwEvent> = PerfEventArray::new(0);
// [end buffer]

/// By op: where an event is put together, as there is no room to reserve, and none for it on the stack.
#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(OPS as u32, 0);

#[repr(C, align(8))]
struct Scratch([u8; LONGEST_EVENT]);

/// Where an event is put together.
pub struct Place(*mut Slot);

impl Place {
    #[inline(always)]
    pub fn slot(&self) -> *mut Slot {
        self.0
    }
}

#[inline(always)]
pub unsafe fn reserve(op: u32, _id: u64) -> Place {
    Place(SCRATCH.get_ptr_mut(op).unwrap_or(null_mut()).cast())
}

/// Whether the buffer has taken the event: it does not where it is full, or the CPU has none. The kernel tells of the
/// former once more, by a record of lost ones, as soon as there is room for that.
#[inline(always)]
pub unsafe fn submit(ctx: *mut c_void, place: &Place, _payload_len: u32) -> bool {
    // [snippet buffer]
    // PerfEventArray::output takes a type's size, and does not say whether there was room.
    let map = (&raw const EVENTS).cast_mut().cast();
    let size = size_of::<RwEvent>() as u64 + u64::from(global(&PAYLOAD_BYTES));
    bpf_perf_event_output(ctx, map, BPF_F_CURRENT_CPU, place.0.cast(), size) == 0
    // [end buffer]
}
