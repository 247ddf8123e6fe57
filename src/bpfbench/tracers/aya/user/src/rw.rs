// SPDX-License-Identifier: Apache-2.0
//! rw-tracer and rw-tracer-all: from the ring into the file.

use aya::include_bytes_aligned;
use shared::{BY_CPU, NEVER_WAKE, OPS, RwCounters, WAKE_ADAPTIVELY};

use crate::Ring;
use crate::options::{Buffer, Records, Rings, Wakeup};
use crate::ring::{KINDS, RingTool};
use crate::run::Run;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("BPF_OBJECTS"), "/rw"));
static KNOBS_OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("BPF_OBJECTS"), "/rw_knobs"));
static PERF_OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("BPF_OBJECTS"), "/rw_perf"));

/// Fails if the programs cannot be loaded; whatever fails later is noted in the run.
pub fn run(run: &mut Run) -> Result<(), String> {
    let (mut tool, rings) = load(run)?;

    tool.follow(run, rings);
    run.finish_output();
    if let Err(error) = count(&mut tool, run) {
        run.fail(error);
    }
    Ok(())
}

fn load(run: &Run) -> Result<(RingTool, Vec<Ring>), String> {
    let options = &run.options;
    let payload_bytes = ("PAYLOAD_BYTES", options.kept_payload());
    if options.buffer == Buffer::Perf {
        return RingTool::load(options, PERF_OBJECT, &[payload_bytes]);
    }
    if !options.has_kernel_knobs() {
        return RingTool::load(options, OBJECT, &[payload_bytes]);
    }
    let ring_count = match options.rings {
        Rings::Count(count) => count,
        Rings::Cpu => BY_CPU,
    };
    let wake_bytes = match options.wakeup {
        Wakeup::Adaptive => WAKE_ADAPTIVELY,
        Wakeup::Watermark(bytes) => bytes,
        Wakeup::Never | Wakeup::Poll => NEVER_WAKE,
    };
    let is_variable = u32::from(options.records == Records::Variable);
    let knobs = [("RING_COUNT", ring_count), ("WAKE_BYTES", wake_bytes), ("IS_VARIABLE", is_variable)];
    RingTool::load(options, KNOBS_OBJECT, &[&[payload_bytes], &knobs[..]].concat())
}

fn count(tool: &mut RingTool, run: &mut Run) -> Result<(), String> {
    let mut intercepted = [0; OPS];
    for cpu in tool.counters::<RwCounters>()? {
        for (sum, one) in intercepted.iter_mut().zip(cpu.intercepted) {
            *sum += one;
        }
        run.lost.ring_full += cpu.ring_full;
        run.lost.map_full += cpu.map_full;
    }
    tool.count_skipped(run, &mut intercepted);
    run.intercepted = KINDS.into_iter().zip(intercepted).collect();
    Ok(())
}
