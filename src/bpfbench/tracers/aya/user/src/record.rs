// SPDX-License-Identifier: Apache-2.0
//! Records in the two output formats.

use shared::{FRAMES, FsLatency, FsSlowCall, FsUse, NAME_BYTES, RwEvent, SLOTS};

use crate::output::Output;

/// The longest is that of a latency: its kind, 7 integers of at most 20 characters, the name, and the slots, each with a
/// separator.
const LINE_BYTES: usize = 8 + 7 * 21 + NAME_BYTES + 1 + SLOTS * 21;
const _: () = assert!(LINE_BYTES > 5 + 9 * 21 + FRAMES * 17, "a slow call and its frames");

static DECIMAL_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < pairs.len() {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};

/// Two digits, a space, and one more to make it a word.
static HEX_BYTES: [[u8; 4]; 256] = {
    let digits = b"0123456789abcdef";
    let mut bytes = [[0; 4]; 256];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = [digits[i >> 4], digits[i & 15], b' ', 0];
        i += 1;
    }
    bytes
};

/// A line of text in the making, used again for each.
pub struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Line {
    pub fn new() -> Line {
        Line { bytes: [0; LINE_BYTES], length: 0 }
    }

    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    #[inline(always)]
    fn put_u64(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();

        while value >= 10 {
            start -= 2;
            digits[start..][..2].copy_from_slice(&DECIMAL_PAIRS[(value % 100) as usize]);
            value /= 100;
        }
        // What is left is one digit, or none if the last pair was also the first.
        if value > 0 || start == digits.len() {
            start -= 1;
            digits[start] = b'0' + value as u8;
        }
        self.put(&digits[start..]);
    }

    #[inline(always)]
    fn put_field(&mut self, value: impl Into<u64>) {
        self.put_u64(value.into());
        self.put(b"\t");
    }

    #[inline(always)]
    fn put_signed_field(&mut self, value: i64) {
        if value < 0 {
            self.put(b"-");
        }
        self.put_field(value.unsigned_abs());
    }

    #[inline(always)]
    fn put_string_field(&mut self, string: &[u8]) {
        let length = string.iter().position(|byte| *byte == 0).unwrap_or(string.len());
        self.put(&string[..length]);
        self.put(b"\t");
    }

    /// All columns but the payload.
    fn put_event(&mut self, event: &RwEvent) {
        self.put_field(event.enter_ns);
        self.put_field(event.exit_ns);
        self.put_field(event.offset);
        self.put_field(event.count);
        self.put_signed_field(event.ret);
        self.put_field(event.inode);
        self.put_field(event.dev);
        self.put_field(event.pid);
        self.put_field(event.tid);
        self.put_field(event.op);
        self.put_field(event.flags);
        self.put_field(event.uid);
        self.put_string_field(&event.comm);
        self.put_string_field(&event.name);
        self.put_u64(event.payload_len.into());
    }

    /// An event as it lies in the ring, with its payload, and maybe room for more; rw-tracer keeps none.
    pub fn write_event(&mut self, output: &mut Output, slot: &[u8], payload_bytes: usize) {
        let (event, room) = split(slot);
        let payload = &room[..event.payload_len as usize];

        self.length = 0;
        self.put_event(event);
        let head = &self.bytes[..self.length];
        let tail = if payload_bytes == 0 { 0 } else { 1 + (3 * payload.len()).saturating_sub(1) };
        output.add(head.len() + tail + 1, 1, |to| {
            let (to_head, to_tail) = to.split_at_mut(head.len());
            to_head.copy_from_slice(head);
            if payload_bytes > 0 {
                to_tail[0] = b'\t';
                put_payload(&mut to_tail[1..], payload);
            }
            to_tail[tail] = b'\n';
        });
    }

    /// A slow call as it lies in the ring, and its frames, a line each.
    pub fn write_slow(&mut self, output: &mut Output, slot: &[u8]) {
        let (call, stack) = slot.split_at(size_of::<FsSlowCall>());
        // SAFETY: it has the right size, is aligned as the ring aligns, and is valid whatever its bits.
        let call = unsafe { &*call.as_ptr().cast::<FsSlowCall>() };

        self.length = 0;
        self.put(b"slow\t");
        self.put_field(call.enter_ns);
        self.put_field(call.exit_ns);
        self.put_field(call.dev);
        self.put_field(call.inode);
        self.put_field(call.pid);
        self.put_field(call.tid);
        self.put_field(call.op);
        self.put_signed_field(call.ret);
        self.put_u64(stack.len() as u64 / 8);
        self.put(b"\n");
        for frame in stack.chunks_exact(8) {
            let frame = u64::from_ne_bytes(frame.try_into().expect("eight bytes"));
            self.put(format!("{frame:x}\n").as_bytes());
        }
        self.write(output, 1);
    }

    pub fn write_latency(&mut self, output: &mut Output, dev: u32, inode: u64, op: u32, latency: &FsLatency) {
        self.length = 0;
        self.put(b"latency\t");
        self.put_field(dev);
        self.put_field(inode);
        self.put_field(op);
        self.put_field(latency.count);
        self.put_field(latency.bytes);
        self.put_field(latency.total_ns);
        self.put_field(latency.max_ns);
        self.put_string_field(&latency.name);
        for (slot, calls) in latency.slots.into_iter().enumerate() {
            self.put(if slot > 0 { b" " } else { b"" });
            self.put_u64(calls);
        }
        self.put(b"\n");
        self.write(output, latency.count);
    }

    pub fn write_top(&mut self, output: &mut Output, dev: u32, inode: u64, used: &FsUse) {
        self.length = 0;
        self.put(b"top\t");
        self.put_field(dev);
        self.put_field(inode);
        self.put_field(used.calls);
        self.put_u64(used.bytes);
        self.put(b"\n");
        self.write(output, 0);
    }

    fn write(&self, output: &mut Output, events: u64) {
        output.add(self.length, events, |to| to.copy_from_slice(&self.bytes[..self.length]));
    }

    pub fn write_count(&mut self, output: &mut Output, number: u64, count: u64) {
        self.length = 0;
        self.put_field(number);
        self.put_u64(count);
        self.put(b"\n");
        self.write(output, count);
    }
}

/// Copies words of four bytes in steps of three: the one byte too many is overwritten by what follows, and the last
/// space by the line's end.
fn put_payload(to: &mut [u8], payload: &[u8]) {
    let Some((last, others)) = payload.split_last() else { return };
    let to = &mut to[..3 * payload.len()];
    let start = to.as_mut_ptr();
    for (i, byte) in others.iter().enumerate() {
        // SAFETY: a word ends one byte into the next three, which are there. (Checked word by word, it takes half as
        // long again.)
        unsafe { start.add(3 * i).cast::<[u8; 4]>().write(HEX_BYTES[usize::from(*byte)]) };
    }
    to[3 * others.len()..].copy_from_slice(&HEX_BYTES[usize::from(*last)][..3]);
}

// [snippet format]
pub fn write_event_binary(output: &mut Output, slot: &[u8], payload_bytes: usize) {
    let (event, _) = split(slot);
    let filled = size_of::<RwEvent>() + event.payload_len as usize;
    output.add(size_of::<RwEvent>() + payload_bytes, 1, |to| {
        let (to_filled, to_rest) = to.split_at_mut(filled);
        to_filled.copy_from_slice(&slot[..filled]);
        to_rest.fill(0);
    });
}
// [end format]

pub fn write_count_binary(output: &mut Output, number: u64, count: u64) {
    output.add(16, count, |to| {
        to[..8].copy_from_slice(&number.to_le_bytes());
        to[8..].copy_from_slice(&count.to_le_bytes());
    });
}

fn split(slot: &[u8]) -> (&RwEvent, &[u8]) {
    let (event, room) = slot.split_at(size_of::<RwEvent>());
    // SAFETY: it has the right size, needs no alignment, and is valid whatever its bits.
    (unsafe { &*event.as_ptr().cast() }, room)
}
