// SPDX-License-Identifier: Apache-2.0
//! fs-profile: slow calls from the ring into the file, and one look at the maps, at the end.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use aya::include_bytes_aligned;
use aya::maps::{HashMap, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues};
use shared::{FsCounters, FsFile, FsKey, FsLatency, FsUse, NAME_BYTES, OPS, SLOTS};

use crate::Global;
use crate::kernel::take_map;
use crate::message::reason;
use crate::ring::{KINDS, RingTool};
use crate::run::Run;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("BPF_OBJECTS"), "/fs_profile"));
const TOP_LINES: usize = 10;

/// Fails if the programs cannot be loaded; whatever fails later is noted in the run.
pub fn run(run: &mut Run) -> Result<(), String> {
    let (mut tool, rings) = RingTool::load(&run.options, OBJECT, &[])?;

    tool.follow(run, rings);
    if let Err(error) = save(&mut tool, run) {
        run.fail(format!("cannot read the maps: {}", reason(&error)));
    }
    run.finish_output();
    if let Err(error) = count(&mut tool, run) {
        run.fail(error);
    }
    Ok(())
}

/// One entry after the other: Aya 0.13 has no batches.
fn save(tool: &mut RingTool, run: &mut Run) -> Result<(), MapError> {
    let mut latencies = BTreeMap::new();
    let others = PerCpuArray::<_, Global<FsLatency>>::try_from(take_map(&mut tool.ebpf, "OTHER"))?;
    for op in 0..OPS as u32 {
        latencies.insert((0, 0, op), sum(&others.get(&op, 0)?));
    }
    let map = PerCpuHashMap::<_, Global<FsKey>, Global<FsLatency>>::try_from(take_map(&mut tool.ebpf, "LATENCY"))?;
    for entry in map.iter() {
        let (Global(key), cpus) = entry?;
        latencies.insert((key.dev, key.inode, key.op), sum(&cpus));
    }
    for ((dev, inode, op), latency) in latencies {
        if latency.count > 0 {
            run.writer().record_latency(dev, inode, op, &latency);
        }
    }

    let map = HashMap::<_, Global<FsFile>, Global<FsUse>>::try_from(take_map(&mut tool.ebpf, "TOP"))?;
    let mut files = Vec::new();
    for entry in map.iter() {
        let (Global(file), Global(used)) = entry?;
        files.push((file.dev, file.inode, used));
    }
    files.sort_unstable_by_key(|(dev, inode, used)| (Reverse(used.calls), *dev, *inode));
    for (dev, inode, used) in files.into_iter().take(TOP_LINES) {
        run.writer().record_top(dev, inode, &used);
    }
    Ok(())
}

/// Over all CPUs.
fn sum(cpus: &PerCpuValues<Global<FsLatency>>) -> FsLatency {
    let mut sum = FsLatency { count: 0, bytes: 0, total_ns: 0, max_ns: 0, slots: [0; SLOTS], name: [0; NAME_BYTES] };
    for Global(cpu) in cpus.iter() {
        sum.count += cpu.count;
        sum.bytes += cpu.bytes;
        sum.total_ns += cpu.total_ns;
        sum.max_ns = sum.max_ns.max(cpu.max_ns);
        for (sum, calls) in sum.slots.iter_mut().zip(cpu.slots) {
            *sum += calls;
        }
        if sum.name[0] == 0 {
            sum.name = cpu.name;
        }
    }
    sum
}

fn count(tool: &mut RingTool, run: &mut Run) -> Result<(), String> {
    let mut intercepted = [0; OPS];
    let mut slow = 0;
    for cpu in tool.counters::<FsCounters>()? {
        for (sum, one) in intercepted.iter_mut().zip(cpu.intercepted) {
            *sum += one;
        }
        slow += cpu.slow;
        run.lost.ring_full += cpu.ring_full;
        run.lost.map_full += cpu.map_full;
    }
    tool.count_skipped(run, &mut intercepted);
    run.intercepted = KINDS.into_iter().zip(intercepted).collect();
    run.intercepted.push(("slow", slow));
    Ok(())
}
