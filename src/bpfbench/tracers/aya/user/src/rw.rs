// SPDX-License-Identifier: Apache-2.0
//! rw-tracer and rw-tracer-all: from the ring into the file.

use aya::maps::{Map, MapError, PerCpuArray, RingBuf};
use aya::{Ebpf, EbpfLoader, Pod, include_bytes_aligned};
use shared::{OPS, Offsets, READ, RwCounters, WRITE};

use crate::kernel::{self, Probe, take_map};
use crate::message::reason;
use crate::run::Run;
use crate::{Ring, offsets};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("BPF_OBJECTS"), "/rw"));

/// Exits come first, because programs are attached in this order and detached in it: at no time is an entry recorded
/// whose exit would go unseen while other exits are watched.
const PROBES: [Probe; 8] = [
    syscall("read_exit", "sys_exit_read"),
    syscall("pread64_exit", "sys_exit_pread64"),
    syscall("write_exit", "sys_exit_write"),
    syscall("pwrite64_exit", "sys_exit_pwrite64"),
    syscall("read_enter", "sys_enter_read"),
    syscall("pread64_enter", "sys_enter_pread64"),
    syscall("write_enter", "sys_enter_write"),
    syscall("pwrite64_enter", "sys_enter_pwrite64"),
];

const fn syscall(program: &'static str, tracepoint: &'static str) -> Probe {
    Probe { program, category: "syscalls", tracepoint }
}

const KINDS: [&str; OPS] = ["read", "write"];

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Global<T>(T);
// SAFETY: plain data, without padding.
unsafe impl Pod for Global<Offsets> {}
unsafe impl Pod for Global<RwCounters> {}

/// Fails if the programs cannot be loaded; whatever fails later is noted in the run.
pub fn run(run: &mut Run) -> Result<(), String> {
    let (mut ebpf, mut ring) = load(run)?;
    let mut links = Vec::new();

    match kernel::attach(&mut ebpf, &PROBES, &mut links) {
        Ok(()) => {
            run.announce_ready();
            ring = (run.setup.follow)(ring, run);
        }
        Err(error) => run.fail(error),
    }
    run.note_stop();
    drop(links);
    run.wait_for_programs();
    while let Some(event) = ring.next() {
        run.record(&event);
    }
    run.finish_output();
    if let Err(error) = count(&mut ebpf, run) {
        run.fail(error);
    }
    Ok(())
}

fn load(run: &Run) -> Result<(Ebpf, Ring), String> {
    let offsets = Global(offsets::of_running_kernel()?);
    let target = run.options.target_words();
    let payload_bytes = run.kept_payload();
    let mut loader = EbpfLoader::new();
    loader
        .set_global("TARGET_COMM", &target, true)
        .set_global("PAYLOAD_BYTES", &payload_bytes, true)
        .set_global("OFFSETS", &offsets, true)
        .set_max_entries("EVENTS", run.options.ringbuf_bytes);
    let mut ebpf = kernel::load(&mut loader, OBJECT, &PROBES)?;
    let ring = RingBuf::try_from(take_map(&mut ebpf, "EVENTS"));
    Ok((ebpf, ring.map_err(|error| format!("cannot map the ring: {}", reason(&error)))?))
}

fn count(ebpf: &mut Ebpf, run: &mut Run) -> Result<(), String> {
    let counters = sum_counters(take_map(ebpf, "COUNTERS"))
        .map_err(|error| format!("cannot read the counters: {}", reason(&error)))?;
    run.lost.ring_full = counters.ring_full;
    run.lost.map_full = counters.map_full;
    let mut intercepted = counters.intercepted;
    for probe in &PROBES {
        let op = if probe.program.contains("write") { WRITE } else { READ };
        intercepted[op as usize] += kernel::count_recursion(ebpf, probe, &mut run.lost)?;
    }
    run.intercepted = KINDS.into_iter().zip(intercepted).collect();
    Ok(())
}

/// Over all CPUs.
fn sum_counters(map: Map) -> Result<RwCounters, MapError> {
    let mut sum = RwCounters::default();
    for Global(one) in PerCpuArray::<_, Global<RwCounters>>::try_from(map)?.get(&0, 0)?.iter() {
        for (sum, one) in sum.intercepted.iter_mut().zip(one.intercepted) {
            *sum += one;
        }
        sum.ring_full += one.ring_full;
        sum.map_full += one.map_full;
    }
    Ok(sum)
}
