// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One ring, which wakes whoever waits for it; a slot is as long as the longest event.

use core::ffi::c_void;

use aya_ebpf::helpers::gen::{bpf_ringbuf_reserve, bpf_ringbuf_submit};
use aya_ebpf::macros::map;
use aya_ebpf::maps::RingBuf;
use kernel::global;
use shared::RwEvent;

use crate::rw::{Slot, PAYLOAD_BYTES};

// [snippet ringbuf_bytes]
/// The size is that of --ringbuf-bytes, set before loading.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);
// [end ringbuf_bytes]

/// Where an event is put together.
pub struct Place(*mut Slot);

impl Place {
    /// Null if the ring is full.
    #[inline(always)]
    pub fn slot(&self) -> *mut Slot {
        self.0
    }
}

#[inline(always)]
pub unsafe fn reserve(_op: u32, _id: u64) -> Place {
    // RingBuf::reserve takes a type's size, but this one is known only when the program is loaded.
    let ring = (&raw const EVENTS).cast_mut().cast();
    let size = size_of::<RwEvent>() as u64 + u64::from(global(&PAYLOAD_BYTES));
    Place(bpf_ringbuf_reserve(ring, size, 0).cast())
}

/// Whether the ring has taken the event.
#[inline(always)]
pub unsafe fn submit(_ctx: *mut c_void, place: &Place, _payload_len: u32) -> bool {
    bpf_ringbuf_submit(place.0.cast(), 0);
    true
}
