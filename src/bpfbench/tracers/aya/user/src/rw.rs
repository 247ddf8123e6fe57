// SPDX-License-Identifier: Apache-2.0
//! rw-tracer and rw-tracer-all: from the ring into the file.

use aya::include_bytes_aligned;
use shared::{OPS, RwCounters};

use crate::ring::{KINDS, RingTool};
use crate::run::Run;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("BPF_OBJECTS"), "/rw"));

/// Fails if the programs cannot be loaded; whatever fails later is noted in the run.
pub fn run(run: &mut Run) -> Result<(), String> {
    let (mut tool, ring) = RingTool::load(run, OBJECT, &[("PAYLOAD_BYTES", run.kept_payload())])?;

    tool.follow(run, ring);
    run.finish_output();
    if let Err(error) = count(&mut tool, run) {
        run.fail(error);
    }
    Ok(())
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
