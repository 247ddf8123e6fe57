// SPDX-License-Identifier: Apache-2.0
//! rw-tracer and rw-tracer-all: from the ring into the file.

use aya::maps::{Map, MapError, PerCpuArray, RingBuf};
use aya::{Ebpf, EbpfLoader, Pod, include_bytes_aligned};
use shared::{OPS, Offsets, READ, RwCounters, WRITE};

use crate::hook::{Hook, Probe};
use crate::kernel::{self, take_map};
use crate::message::reason;
use crate::misses::{self, ByProbe};
use crate::options::Attach;
use crate::run::Run;
use crate::{Ring, offsets};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("BPF_OBJECTS"), "/rw"));

// Exits come first, because programs are attached in this order and detached in it: at no time is an entry recorded
// whose exit would go unseen while other exits are watched.

static TRACEPOINTS: [Probe; 8] = [
    probe("read_exit", Hook::Tracepoint("syscalls", "sys_exit_read")),
    probe("pread64_exit", Hook::Tracepoint("syscalls", "sys_exit_pread64")),
    probe("write_exit", Hook::Tracepoint("syscalls", "sys_exit_write")),
    probe("pwrite64_exit", Hook::Tracepoint("syscalls", "sys_exit_pwrite64")),
    probe("read_enter", Hook::Tracepoint("syscalls", "sys_enter_read")),
    probe("pread64_enter", Hook::Tracepoint("syscalls", "sys_enter_pread64")),
    probe("write_enter", Hook::Tracepoint("syscalls", "sys_enter_write")),
    probe("pwrite64_enter", Hook::Tracepoint("syscalls", "sys_enter_pwrite64")),
];

static KPROBES: [Probe; 4] = [
    probe("kprobe_read_exit", Hook::Kprobe("vfs_read")),
    probe("kprobe_write_exit", Hook::Kprobe("vfs_write")),
    probe("kprobe_read_enter", Hook::Kprobe("vfs_read")),
    probe("kprobe_write_enter", Hook::Kprobe("vfs_write")),
];

static FENTRIES: [Probe; 4] = [
    probe("fentry_read_exit", Hook::Fexit("vfs_read")),
    probe("fentry_write_exit", Hook::Fexit("vfs_write")),
    probe("fentry_read_enter", Hook::Fentry("vfs_read")),
    probe("fentry_write_enter", Hook::Fentry("vfs_write")),
];

const fn probe(program: &'static str, hook: Hook) -> Probe {
    Probe { program, hook }
}

fn probes(attach: Attach) -> &'static [Probe] {
    match attach {
        Attach::Tracepoint => &TRACEPOINTS,
        Attach::Kprobe => &KPROBES,
        Attach::Fentry => &FENTRIES,
    }
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
    let probes = probes(run.options.attach);
    let (mut ebpf, mut ring) = load(run, probes)?;
    let mut links = Vec::new();

    match kernel::attach(&mut ebpf, probes, &mut links) {
        Ok(()) => {
            run.announce_ready();
            ring = (run.setup.follow)(ring, run);
        }
        Err(error) => run.fail(error),
    }
    run.note_stop();
    let missed = misses::missed(&mut ebpf, probes);
    drop(links);
    run.wait_for_programs();
    while let Some(event) = ring.next() {
        run.record(&event);
    }
    run.finish_output();
    if let Err(error) = count(&mut ebpf, run, probes, missed) {
        run.fail(error);
    }
    Ok(())
}

fn load(run: &Run, probes: &[Probe]) -> Result<(Ebpf, Ring), String> {
    let offsets = Global(offsets::of_running_kernel()?);
    let target = run.options.target_words();
    let payload_bytes = run.kept_payload();
    let mut loader = EbpfLoader::new();
    loader
        .set_global("TARGET_COMM", &target, true)
        .set_global("PAYLOAD_BYTES", &payload_bytes, true)
        .set_global("OFFSETS", &offsets, true)
        .set_max_entries("EVENTS", run.options.ringbuf_bytes);
    let mut ebpf = kernel::load(&mut loader, OBJECT, probes)?;
    let ring = RingBuf::try_from(take_map(&mut ebpf, "EVENTS"));
    Ok((ebpf, ring.map_err(|error| format!("cannot map the ring: {}", reason(&error)))?))
}

fn count(ebpf: &mut Ebpf, run: &mut Run, probes: &[Probe], missed: ByProbe) -> Result<(), String> {
    let counters = sum_counters(take_map(ebpf, "COUNTERS"))
        .map_err(|error| format!("cannot read the counters: {}", reason(&error)))?;
    run.lost.ring_full = counters.ring_full;
    run.lost.map_full = counters.map_full;
    let mut intercepted = counters.intercepted;
    run.lost.recursion = add(&mut intercepted, probes, misses::recursion(ebpf, probes));
    run.lost.missed = add(&mut intercepted, probes, missed);
    run.intercepted = KINDS.into_iter().zip(intercepted).collect();
    Ok(())
}

/// What the programs did not see was intercepted all the same. Returns the sum.
fn add(intercepted: &mut [u64; OPS], probes: &[Probe], lost: ByProbe) -> Result<u64, String> {
    let lost = lost?;
    for (probe, lost) in probes.iter().zip(&lost) {
        let op = if probe.program.contains("write") { WRITE } else { READ };
        intercepted[op as usize] += lost;
    }
    Ok(lost.iter().sum())
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
