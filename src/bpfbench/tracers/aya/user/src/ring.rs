// SPDX-License-Identifier: Apache-2.0
//! What the tools at the hooks of reads and writes have in common: the programs, and the ring.

use std::mem;

use aya::maps::PerCpuArray;
use aya::{Ebpf, EbpfLoader, Pod};
use shared::{OPS, READ, WRITE};

use crate::hook::{Hook, Probe};
use crate::kernel::{self, take_map};
use crate::message::reason;
use crate::misses::{self, ByProbe};
use crate::options::{Attach, Buffer, Options};
use crate::run::Run;
use crate::{Global, Ring, offsets, rings};

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

/// By op.
pub const KINDS: [&str; OPS] = ["read", "write"];

/// A tool in the kernel.
pub struct RingTool {
    pub ebpf: Ebpf,
    probes: &'static [Probe],
    missed: ByProbe,
}

impl RingTool {
    /// The programs of the flavour that is asked for, and the rings; `globals` are those that only this tool has.
    pub fn load(options: &Options, object: &[u8], globals: &[(&str, u32)]) -> Result<(RingTool, Vec<Ring>), String> {
        let probes = probes(options.attach);
        let offsets = Global(offsets::of_running_kernel()?);
        let target = options.target_words();
        // [snippet ringbuf_bytes]
        let mut loader = EbpfLoader::new();
        loader.set_global("TARGET_COMM", &target, true).set_global("OFFSETS", &offsets, true);
        if options.buffer == Buffer::Ring {
            loader.set_max_entries("EVENTS", options.ringbuf_bytes);
        }
        // [end ringbuf_bytes]
        for (name, value) in globals {
            loader.set_global(name, value, true);
        }
        let mut ebpf = kernel::open(&mut loader, object)?;
        let rings = rings::make(&mut ebpf, options)?;
        kernel::load_programs(&mut ebpf, probes)?;
        Ok((RingTool { ebpf, probes, missed: Ok(Vec::new()) }, rings))
    }

    /// From before READY until all is drained.
    pub fn follow(&mut self, run: &mut Run, rings: Vec<Ring>) {
        let mut links = Vec::new();

        match kernel::attach(&mut self.ebpf, self.probes, &mut links) {
            Ok(()) => run.announce_ready(),
            Err(error) => run.fail(error),
        }
        let consumers = run.follow(rings);
        run.note_stop();
        self.missed = misses::missed(&mut self.ebpf, self.probes);
        drop(links);
        run.wait_for_programs();
        for mut consumer in consumers {
            consumer.drain();
            run.absorb(consumer);
        }
    }

    /// What the programs counted, over all CPUs.
    pub fn counters<T: Clone>(&mut self) -> Result<Vec<T>, String>
    where
        Global<T>: Pod,
    {
        let counters = PerCpuArray::<_, Global<T>>::try_from(take_map(&mut self.ebpf, "COUNTERS"));
        let of_cpus = counters.and_then(|counters| counters.get(&0, 0));
        let of_cpus = of_cpus.map_err(|error| format!("cannot read the counters: {}", reason(&error)))?;
        Ok(of_cpus.iter().map(|Global(one)| one.clone()).collect())
    }

    /// Notes what the kernel did not let the programs see, which was intercepted all the same, by op.
    pub fn count_skipped(&mut self, run: &mut Run, intercepted: &mut [u64; OPS]) {
        let recursion = misses::recursion(&mut self.ebpf, self.probes);
        run.lost.recursion = self.add(intercepted, recursion);
        let missed = mem::replace(&mut self.missed, Ok(Vec::new()));
        run.lost.missed = self.add(intercepted, missed);
    }

    /// Returns the sum.
    fn add(&self, intercepted: &mut [u64; OPS], lost: ByProbe) -> Result<u64, String> {
        let lost = lost?;
        for (probe, lost) in self.probes.iter().zip(&lost) {
            let op = if probe.program.contains("write") { WRITE } else { READ };
            intercepted[op as usize] += lost;
        }
        Ok(lost.iter().sum())
    }
}
