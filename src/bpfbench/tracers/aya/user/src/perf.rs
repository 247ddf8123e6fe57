// SPDX-License-Identifier: Apache-2.0
//! Perf buffers, one of each CPU that is online.

use aya::Ebpf;
use aya::maps::perf::{PerfBufferError, PerfEventArrayBuffer};
use aya::maps::{MapData, PerfEventArray};
use aya::util::online_cpus;
use bytes::BytesMut;

use crate::kernel::take_map;
use crate::message::reason;
use crate::options::Options;
use crate::rings::Ring;

pub type PerfBuffer = PerfEventArrayBuffer<MapData>;

/// How many events are copied out of a buffer before any of them is written.
const BATCH: usize = 128;

pub fn batch() -> Vec<BytesMut> {
    vec![BytesMut::new(); BATCH]
}

pub fn open(ebpf: &mut Ebpf, options: &Options) -> Result<Vec<Ring>, String> {
    let array = PerfEventArray::try_from(take_map(ebpf, "EVENTS"));
    let mut array = array.map_err(|error| format!("cannot use the map of perf buffers: {}", reason(&error)))?;
    let cpus = online_cpus().map_err(|(what, error)| format!("cannot tell which CPUs are online: {what}: {error}"))?;
    // SAFETY: a plain system call.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    // [snippet buffer]
    let pages = options.ringbuf_bytes as usize / page_bytes;
    let buffers = cpus.into_iter().map(|cpu| array.open(cpu, Some(pages)));
    // [end buffer]
    let buffers = buffers.map(|buffer| buffer.map(Ring::Perf)).collect::<Result<_, PerfBufferError>>();
    buffers.map_err(|error| format!("cannot map the perf buffers: {}", reason(&error)))
}

/// Copies what there is, as far as there is room, and tells how many events that was. What was lost the programs count,
/// where it is refused: that Aya tells of it later is of no use.
pub fn read(buffer: &mut PerfBuffer, batch: &mut [BytesMut]) -> usize {
    // [snippet buffer]
    buffer.read_events(batch).expect("there is what to copy into").read
    // [end buffer]
}
