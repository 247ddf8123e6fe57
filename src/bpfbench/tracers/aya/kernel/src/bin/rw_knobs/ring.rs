// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One ring or several, the wake-up, and the length of a slot, as they are set before loading.

use core::ffi::c_void;
use core::ptr::null_mut;

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::helpers::gen::{
    bpf_map_lookup_elem, bpf_ringbuf_output, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray, RingBuf};
use kernel::global;
use shared::{RwEvent, BY_CPU, LONGEST_EVENT, NEVER_WAKE, OPS, WAKE_ADAPTIVELY};

use crate::rw::{Slot, PAYLOAD_BYTES};

/// The first of the rings. The size is that of --ringbuf-bytes, set before loading.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

// [snippet rings]
/// All of them. Aya does not know arrays of maps: user space puts one in the place of this before
/// programs are loaded.
#[map]
static RINGS: Array<u32> = Array::with_max_entries(1, 0);
// [end rings]

// [snippet records]
/// By op: where an event is put together whose length is known only then.
#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(OPS as u32, 0);
// [end records]

#[repr(C, align(8))]
struct Scratch([u8; LONGEST_EVENT]);

/// How many rings there are, or BY_CPU.
#[no_mangle]
static RING_COUNT: u32 = 1;

/// From how many bytes in the ring on its consumer is woken; or WAKE_ADAPTIVELY, or NEVER_WAKE.
#[no_mangle]
static WAKE_BYTES: u32 = WAKE_ADAPTIVELY;

/// Whether a slot is as long as its event, and not as the longest.
#[no_mangle]
static IS_VARIABLE: u32 = 0;

/// Where an event is put together, and the ring it goes into.
pub struct Place {
    ring: *mut c_void,
    slot: *mut Slot,
}

impl Place {
    /// Null if the ring is full.
    #[inline(always)]
    pub fn slot(&self) -> *mut Slot {
        self.slot
    }
}

#[inline(always)]
pub unsafe fn reserve(op: u32, id: u64) -> Place {
    let ring = ring_of(id as u32);
    let slot = if ring.is_null() {
        null_mut()
    } else if global(&IS_VARIABLE) != 0 {
        SCRATCH.get_ptr_mut(op).unwrap_or(null_mut()).cast()
    } else {
        let size = size_of::<RwEvent>() as u64 + u64::from(global(&PAYLOAD_BYTES));
        bpf_ringbuf_reserve(ring, size, 0).cast()
    };
    Place { ring, slot }
}

// [snippet records]
/// Whether the ring has taken the event.
#[inline(always)]
pub unsafe fn submit(_ctx: *mut c_void, place: &Place, payload_len: u32) -> bool {
    if global(&IS_VARIABLE) == 0 {
        // [snippet wakeup]
        bpf_ringbuf_submit(place.slot.cast(), flags(place.ring, 0));
        // [end wakeup]
        return true;
    }
    // The verifier wants to see that it is not longer.
    let size = (size_of::<RwEvent>() as u64 + u64::from(payload_len)).min(LONGEST_EVENT as u64);
    let flags = flags(place.ring, record_bytes(size));
    bpf_ringbuf_output(place.ring, place.slot.cast(), size, flags) == 0
}
// [end records]

#[inline(always)]
unsafe fn ring_of(tid: u32) -> *mut c_void {
    let rings = global(&RING_COUNT);
    if rings == 1 {
        return (&raw const EVENTS).cast_mut().cast();
    }
    // [snippet rings]
    let index = if rings == BY_CPU { bpf_get_smp_processor_id() } else { tid % rings };
    bpf_map_lookup_elem((&raw const RINGS).cast_mut().cast(), (&raw const index).cast())
    // [end rings]
}

// [snippet wakeup]
/// How the ring wakes once it has so many bytes more.
#[inline(always)]
unsafe fn flags(ring: *mut c_void, more: u64) -> u64 {
    let wake_bytes = global(&WAKE_BYTES);
    if wake_bytes == WAKE_ADAPTIVELY {
        return 0;
    }
    if wake_bytes == NEVER_WAKE {
        return BPF_RB_NO_WAKEUP.into();
    }
    let held = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA.into()) + more;
    u64::from(if held < wake_bytes.into() { BPF_RB_NO_WAKEUP } else { BPF_RB_FORCE_WAKEUP })
}
// [end wakeup]

/// What so long an event takes of a ring.
#[inline(always)]
fn record_bytes(size: u64) -> u64 {
    (8 + size).next_multiple_of(8)
}
