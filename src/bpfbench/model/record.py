# SPDX-License-Identifier: Apache-2.0
"""A record, what a trial leaves: of its steps, of fio, of the tracer, of the machine, and of what was checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bpfbench.model.choices import Accelerator
from bpfbench.model.command import CommandAccount
from bpfbench.model.content import Content
from bpfbench.model.delivery import Delivery
from bpfbench.model.driven import DrivenResult, enough
from bpfbench.model.trial import Predecessor, Trial

RECORD_FORMAT = 6
"""Version of record.json. History: 1 (first); 2 (hosts, kernels, variants, environment, energy, accounting, programs);
3 (rate-limited workloads); 4 (predecessor and place, conditions, the kernel's account of calls, of hooks and of the
ring, content); 5 (targets besides fio); 6 (tracers that are commands; targets at a rate, CPU time by role,
profile, delivery).

What a newer version added has a default here, so that records of older ones are read as they are.
"""


class Status(StrEnum):
    """How a trial ended. Only `ok` is ever averaged."""

    OK = "ok"
    FAILED = "failed"
    """A step could not be done or ran into its deadline."""
    INVALID = "invalid"
    """Every step was done, but an invariant does not hold, so the numbers cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the trial protocol."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant, checked."""

    name: str
    ok: bool
    detail: str
    """The numbers compared, for a reader who doubts."""


@dataclass(frozen=True, slots=True)
class FioResult:
    """What fio measured, all processes and directions together. Source: fio's json+ (kept whole beside the record)."""

    version: str
    started_at_s: float
    """When its processes began, seconds since the epoch (`job_start`, of fio 3.36 and newer)."""
    runtime_s: float
    read_ios: int
    write_ios: int
    bytes: int
    throughput_bytes_per_s: float
    iops: float
    latency_mean_us: float
    """Mean completion latency, submission to completion, of fio's `lat_ns`."""
    latency_sd_us: float
    latency_percentiles_us: dict[str, float]
    """fio's `clat_ns` percentiles, keyed as fio keys them ("99.000000")."""
    user_cpu_percent: float = field(metadata={"fio": "usr_cpu"})
    """Of its processes. The metadata has fio's own key, by which it is read as it is."""
    system_cpu_percent: float = field(metadata={"fio": "sys_cpu"})

    @property
    def ios(self) -> int:
        """Reads and writes fio completed."""
        return self.read_ios + self.write_ios

    @property
    def operations(self) -> int:
        """The same, as other targets have it."""
        return self.ios

    def percentile_us(self, percent: str) -> float | None:
        """Return a percentile ("99.9") of the completion latency; None where too little stands behind it."""
        return self.latency_percentiles_us.get(f"{float(percent):.6f}") if enough(percent, self.ios) else None


@dataclass(frozen=True, slots=True)
class TracerTimes:
    """CLOCK_MONOTONIC nanoseconds: first instruction, READY, stop signal, output flushed."""

    start: int
    ready: int | None
    stop: int | None
    drained: int | None


@dataclass(frozen=True, slots=True)
class TracerSummary:
    """A tracer's own account, as it wrote it; tracers/README.md defines every field."""

    contract: int
    setup: str
    tool: str
    attach: str
    format: str
    intercepted: dict[str, int]
    saved: int
    lost: dict[str, int | None]
    unavailable: dict[str, str]
    syscalls: dict[str, int] | None
    bytes: int
    versions: dict[str, str]
    times_ns: TracerTimes
    error: str | None

    @property
    def intercepted_total(self) -> int:
        """Events of every kind the tracer saw."""
        return sum(self.intercepted.values())

    @property
    def lost_total(self) -> int:
        """Events lost by every cause that could be counted."""
        return sum(n for n in self.lost.values() if n is not None)


@dataclass(frozen=True, slots=True)
class TracerUsage:
    """What the tracer burned, measured from outside by the trial runner.

    CPU times are of the tracing process and its children, from /proc/PID/stat (10 ms ticks). Those while fio ran are of
    the tracer's whole control group, to the microsecond, where the record's `accounting` is cgroup-v2.
    """

    startup_s: float
    """From exec to READY."""
    startup_cpu_s: float
    """CPU time until READY."""
    workload_user_s: float | None
    """User CPU time from fio's start to its end, by fio's own account."""
    workload_system_s: float | None
    drain_s: float | None
    """From the stopping signal to the output flushed, by the tracer's own clock: detaching included, exiting not."""
    pss_peak_bytes: int | None
    """Largest of the sampled proportional set sizes (smaps_rollup). RSS would count ring pages twice."""
    code_bytes: int | None = None
    """Size of the files it runs when READY: executables and shared libraries, each once (/proc/PID/maps)."""


@dataclass(frozen=True, slots=True)
class SystemLoad:
    """The whole machine over a span, as dstat shows it."""

    seconds: float
    cpu_percent: float
    """User + system (with nice, irq, softirq), in per cent of all CPUs; /proc/stat, interpolated to the span's ends."""
    memory_bytes: float
    """Mean of the samples of used + buffers; used = total - free - buffers - cached - reclaimable + shared."""
    samples: int


@dataclass(frozen=True, slots=True)
class EnergyDomain:
    """What one RAPL domain counted."""

    name: str
    """The domain, with its package where there are several: package-0, dram-0, psys."""
    joules: float
    """From fio's start to its end by its own account, interpolated between samples."""
    mean_w: float
    """The same over that time."""
    idle_w: float | None
    """Mean power between READY and fio."""


@dataclass(frozen=True, slots=True)
class Energy:
    """What the machine's energy counters say of a trial."""

    source: str
    """perf or powercap."""
    seconds: float
    domains: tuple[EnergyDomain, ...]


@dataclass(frozen=True, slots=True)
class GroupUsage:
    """What a control group (cgroup v2) of fio's or the tracer's used, from its making to the end of the workload.

    What the kernel's hierarchy has no controller for is None.
    """

    user_s: float | None
    system_s: float | None
    memory_peak_bytes: int | None
    """memory.peak: anonymous memory, page cache and kernel memory charged to the group."""
    page_cache_bytes: int | None
    """`file` of memory.stat at the end of the workload."""
    read_bytes: int | None
    """From block devices (io.stat, rbytes)."""
    written_bytes: int | None


@dataclass(frozen=True, slots=True)
class ProgramTime:
    """Run time of one BPF program of the tracer's while fio ran, by the kernel's own counters."""

    name: str
    run_ns: int
    runs: int
    """Of any task, the target or not."""


@dataclass(frozen=True, slots=True)
class Environment:
    """On what a trial ran; environment.json beside the record has all that is known of it."""

    kernel: str
    """Its release, as uname -r has it."""
    boot_id: str
    accelerator: Accelerator | None = None
    """Of the virtual machine bpfbench booted for it; None where it ran on the host's own kernel."""

    @property
    def emulated(self) -> bool:
        """True where it proves correctness only (EMULATED_BECAUSE)."""
        return self.accelerator is Accelerator.TCG


@dataclass(frozen=True, slots=True)
class DiskCounters:
    """What a block device has done since boot. Source: /sys/dev/block/*/stat, the kernel's Documentation/block/stat."""

    read_ios: int
    read_bytes: int
    write_ios: int
    write_bytes: int
    in_flight: int
    """Requests issued and not done, now."""
    busy_s: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """The state of the machine at one moment of a trial. What it cannot tell is None or left out.

    Memory is of /proc/meminfo (Dirty, Writeback, Cached, MemFree).
    """

    monotonic_s: float
    dirty_bytes: int
    writeback_bytes: int
    cached_bytes: int
    free_bytes: int
    steal_s: float
    """CPU time that the hypervisor gave to others since boot, all CPUs together."""
    pressure_s: dict[str, float]
    """Time since boot in which tasks waited, by resource and kind ("io some", "memory full"). Source: /proc/pressure,
    the kernel's Documentation/accounting/psi.rst."""
    cpu_mhz: float | None
    """Mean of what all CPUs run at now; None without a cpufreq driver."""
    disk: DiskCounters | None
    """That of the data files; None where they are on no block device."""


@dataclass(frozen=True, slots=True)
class CallAccount:
    """The kernel's own count of what the target's processes called, all together. Source: /proc/PID/io, proc_pid_io(5).

    Counted are calls of read, write and their kin that reached a file, from the moment its first process was executed
    until that had ended, which by then had reaped all others and taken over their counts.
    """

    reads: int
    """`syscr`."""
    writes: int
    """`syscw`."""

    @property
    def total(self) -> int:
        """Both."""
        return self.reads + self.writes

    def of(self, kind: str) -> int:
        """Return the count of a kind of event: read or write."""
        return self.reads if kind == "read" else self.writes


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a program of the tracer's is attached, as the kernel tells."""

    kind: str
    """tracepoint, raw-tracepoint, kprobe, kretprobe, fentry, fexit, or what the kernel calls it."""
    target: str
    """The tracepoint or function."""
    program: str
    """The program's name, 15 bytes of it."""


@dataclass(frozen=True, slots=True)
class RingAccount:
    """What went through a tracer's ring buffer, by its own positions, which the kernel and the consumer advance."""

    bytes: int
    produced_bytes: int
    """Reserved by the kernel side since it was made, record headers included."""
    consumed_bytes: int
    """Given back by user space."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a trial leaves, in record.json; fio.json, summary.json, samples.csv and the stderr files lie beside it."""

    format: int
    trial: Trial
    status: Status
    reason: str | None
    """Why the trial is failed or invalid."""
    started_at: str
    """UTC, ISO 8601."""
    session: str
    """One uninterrupted stretch of a campaign. Trials of different sessions are never compared as a pair."""
    host: str
    steps: tuple[Step, ...]
    checks: tuple[Check, ...]
    fio: FioResult | None
    summary: TracerSummary | None
    usage: TracerUsage | None
    idle: SystemLoad | None
    """Between READY and fio."""
    load: SystemLoad | None
    """From fio's start to its end by its own account."""
    monitor_cpu_s: float | None
    """CPU time the trial runner itself took while fio ran."""
    cpus: dict[str, tuple[int, ...]]
    """CPU numbers by role: monitor, workload, tracer."""
    notes: dict[str, str]
    """Facts a reader needs to judge the numbers, e.g. how many tracing programs of others were loaded already."""
    environment: Environment | None = None
    """None where the trial failed before it could look, and in records of format 1."""
    energy: Energy | None = None
    """None where it could not be measured; `notes["energy"]` then says why."""
    accounting: str = "proc"
    """Where the tracer's and fio's resources are from: `cgroup-v2`, or `proc` where the kernel has none."""
    groups: dict[str, GroupUsage] = field(default_factory=dict)
    """By role (tracer, workload); empty with `proc`."""
    programs: tuple[ProgramTime, ...] = ()
    """Of trials of the variant run-time; empty in all others."""
    predecessor: Predecessor | None = None
    place: int | None = None
    """In its block, from 1."""
    drop_gap_s: float | None = None
    """From the data files being dropped from the page cache to fio being executed; alike for vanilla and all setups."""
    at_start: Conditions | None = None
    """Within that gap."""
    at_end: Conditions | None = None
    """Right after fio ended."""
    calls: CallAccount | None = None
    """None where the kernel does not account calls; `notes["calls"]` then says why."""
    hooks: tuple[Hook, ...] = ()
    """Of the tracer, once READY."""
    rings: tuple[RingAccount, ...] = ()
    """After the tracer had ended."""
    written_bytes: int | None = None
    """What the tracer passed to write(2) from READY on, by `wchar` of /proc/PID/io; None for vanilla."""
    content: Content | None = None
    """Of the tracer's output; None for vanilla, syscount, and the variants no-output and delay."""
    delivery: Delivery | None = None
    """How long events took to be read in the tracer's output; of trials of the variant delay."""
    driven: DrivenResult | None = None
    """What came of another target than fio."""
    command: CommandAccount | None = None
    """Of a tracer that is a command, which has no summary."""

    @property
    def outcome(self) -> FioResult | DrivenResult | None:
        """What came of the target, whichever it is; None where it did not end."""
        return self.fio or self.driven

    @property
    def seconds(self) -> float:
        """Length of the whole trial."""
        return sum(step.seconds for step in self.steps)

    @property
    def emulated(self) -> bool:
        """True where it proves correctness only (EMULATED_BECAUSE)."""
        return self.environment is not None and self.environment.emulated
