// SPDX-License-Identifier: Apache-2.0
//! syscount: one look at the map, at the end.

use std::collections::BTreeMap;

use aya::maps::{Map, MapError, PerCpuArray, PerCpuHashMap};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};

use crate::hook::{Hook, Probe};
use crate::kernel::{self, take_map};
use crate::message::reason;
use crate::run::Run;
use crate::{misses, offsets, stop};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("BPF_OBJECTS"), "/syscount"));

const PROBES: [Probe; 1] = [Probe { program: "syscount", hook: Hook::Tracepoint("raw_syscalls", "sys_enter") }];

/// Fails if the program cannot be loaded; whatever fails later is noted in the run.
pub fn run(run: &mut Run) -> Result<(), String> {
    let mut ebpf = load(run)?;
    let mut links = Vec::new();

    match kernel::attach(&mut ebpf, &PROBES, &mut links) {
        Ok(()) => {
            run.announce_ready();
            stop::wait();
        }
        Err(error) => run.fail(error),
    }
    run.note_stop();
    drop(links);
    run.wait_for_programs();
    if let Err(error) = collect(&mut ebpf, run) {
        run.fail(error);
    }
    run.finish_output();
    Ok(())
}

fn load(run: &Run) -> Result<Ebpf, String> {
    offsets::check_running_kernel()?;
    let target = run.options.target_words();
    let mut ebpf = kernel::open(EbpfLoader::new().set_global("TARGET_COMM", &target, true), OBJECT)?;
    kernel::load_programs(&mut ebpf, &PROBES)?;
    Ok(ebpf)
}

fn collect(ebpf: &mut Ebpf, run: &mut Run) -> Result<(), String> {
    let counts =
        read_counts(take_map(ebpf, "COUNTS")).map_err(|error| format!("cannot read the counts: {}", reason(&error)))?;
    run.lost.map_full = read_map_full(take_map(ebpf, "MAP_FULL"))
        .map_err(|error| format!("cannot read the counter: {}", reason(&error)))?;
    run.lost.recursion = misses::recursion(ebpf, &PROBES).map(|skipped| skipped.iter().sum());
    run.lost.missed = Ok(0);
    let mut events = run.lost.map_full + run.lost.recursion.as_ref().unwrap_or(&0);
    for (number, count) in &counts {
        events += count;
        run.writer().record_count(*number, *count);
    }
    run.intercepted = vec![("syscall", events)];
    run.syscalls = Some(counts);
    Ok(())
}

/// By number, over all CPUs.
fn read_counts(map: Map) -> Result<BTreeMap<u64, u64>, MapError> {
    let map = PerCpuHashMap::<_, u64, u64>::try_from(map)?;
    map.iter().map(|entry| entry.map(|(number, counts)| (number, counts.iter().sum()))).collect()
}

fn read_map_full(map: Map) -> Result<u64, MapError> {
    Ok(PerCpuArray::<_, u64>::try_from(map)?.get(&0, 0)?.iter().sum())
}
