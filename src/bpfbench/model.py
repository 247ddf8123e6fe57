# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of bpfbench as frozen dataclasses and enums. Standard library only; imports nothing of ours.

These types are used on both sides of the machine boundary: by the controller (study, plan, store, analysis) and by the
trial runner inside the image. Whatever crosses the boundary or is stored is one of them, as JSON (see codec.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

RECORD_FORMAT = 4
"""Version of record.json. History: 1 (first); 2 (hosts, kernels, variants, environment, energy, accounting, programs);
3 (rate-limited workloads); 4 (predecessor and place, conditions, the kernel's account of calls, of hooks and of the
ring, content).

What a newer version added has a default here, so that records of older ones are read as they are.
"""

BLOCK_BYTES = 4096
"""fio's block size, as in the paper."""

EVENT_BYTES = 156
"""An rw event without payload; tracers/common/rw_event.h."""

VANILLA = "vanilla"
"""The setup without a tracer, that everything is compared with."""

UNLIMITED = "unlimited"
"""How a study writes a rate without a limit, which is None here."""

LOCAL = "local"
"""The host of a study that names none."""


class Tool(StrEnum):
    """What a tracer observes."""

    SYSCOUNT = "syscount"
    RW_TRACER = "rw-tracer"
    RW_TRACER_ALL = "rw-tracer-all"


class Attach(StrEnum):
    """The hook flavour."""

    TRACEPOINT = "tracepoint"
    KPROBE = "kprobe"
    FENTRY = "fentry"
    AUTO = "auto"
    """In a study only: kprobe where the kernel has it, as in the paper, else tracepoint. Resolved before planning."""


class Format(StrEnum):
    """How a tracer writes its records."""

    TEXT = "text"
    BINARY = "binary"


class Variant(StrEnum):
    """How much of a tracer's work is done, so that what hook, ring and user space cost can be told apart."""

    FULL = "full"
    """Everything: the only variant that is a measurement of the setup as such."""
    NO_OUTPUT = "no-output"
    """Events are drained and formatted, and written to /dev/null."""
    NO_CONSUMER = "no-consumer"
    """The probes are attached and nothing drains the ring: the tracer is stopped while fio runs."""
    RUN_TIME = "run-time"
    """Everything, with the kernel's run-time counters of BPF programs on, which costs time itself."""


class Assignment(StrEnum):
    """Which host runs which trials."""

    CROSSED = "crossed"
    """Whole blocks in turn: every setup runs on every host."""
    BY_SETUP = "by-setup"
    """As in the paper: each setup has one host, and vanilla runs on every host."""


class Accelerator(StrEnum):
    """How a virtual machine's CPU is had."""

    AUTO = "auto"
    """In a study only: KVM where it really works, else TCG."""
    KVM = "kvm"
    TCG = "tcg"
    """Emulated: correctness only (EMULATED_BECAUSE)."""


EMULATED = "emulated: correctness only"
"""What is said wherever something is of a machine whose CPU is emulated."""

EMULATED_BECAUSE = (
    "shares of saved events and timings depend on the relative speed of consumer and producer, which emulation changes"
)
"""Why. What is shown of such a machine: interception, reconciliation and content of the output."""

EMULATED_REMARK = f"{EMULATED.capitalize()}; {EMULATED_BECAUSE}."
"""Both, as a sentence."""


class Boot(StrEnum):
    """How long one boot of a virtual machine serves."""

    BLOCK = "block"
    TRIAL = "trial"


class Placement(StrEnum):
    """Which CPUs do what: monitors on CPU 0 and the rest for the others, everything everywhere, or by the CPU count."""

    PAPER = "paper"
    SHARED = "shared"
    AUTO = "auto"


class Status(StrEnum):
    """How a trial ended. Only `ok` is ever averaged."""

    OK = "ok"
    FAILED = "failed"
    """A step could not be done or ran into its deadline."""
    INVALID = "invalid"
    """Every step was done, but an invariant does not hold, so the numbers cannot be trusted."""


@dataclass(frozen=True, slots=True)
class TracerConfig:
    """The factors a tracer is run with. One that its tool does not use is None, so that equal trials compare equal."""

    attach: Attach
    format: Format
    ringbuf_bytes: int | None = None
    poll_ms: int | None = None
    payload_bytes: int | None = None
    variant: Variant = field(default=Variant.FULL, repr=False)
    """Not in repr(), which decides the order of a plan, so that orders stay what they were."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a tracer is built and driven."""

    name: str
    description: str
    formats: tuple[Format, ...] = (Format.TEXT, Format.BINARY)
    attaches: tuple[Attach, ...] = (Attach.TRACEPOINT,)
    poll_ms: tuple[int, ...] | None = None
    """The poll time-outs the library can be set to; None: any."""
    tools: tuple[Tool, ...] = tuple(Tool)
    command: tuple[str, ...] = ()
    """Of a user's own: the path of an executable on the host, and what it is given before the contract's options. Empty
    where the image has the tracer."""
    alternative_to: str | None = None
    """The setup that it equals but for one choice, whose effect it shows; None: a setup in its own right."""

    def refusal(self, tool: Tool, config: TracerConfig) -> str | None:
        """Say why this setup cannot run `tool` with `config`; None where it can."""
        if tool not in self.tools:
            return f"{self.name} has no {tool}"
        if config.format not in self.formats:
            return f"{self.name} cannot write {config.format}"
        if config.attach not in (*self.attaches, Attach.AUTO):
            return f"{self.name} cannot attach by {config.attach}"
        if config.poll_ms is not None and self.poll_ms is not None and config.poll_ms not in self.poll_ms:
            return f"{self.name} cannot poll every {config.poll_ms} ms"
        return None


@dataclass(frozen=True, slots=True)
class Workload:
    """An fio job file plus scale."""

    name: str
    processes: int
    bytes_per_process: int
    rate_iops: int | None = field(default=None, repr=False)
    """The most I/Os per second that each process does, reads and writes together (2 or more); None: as many as it can.

    Not in repr(), as TracerConfig's variant."""

    @property
    def total_bytes(self) -> int:
        """Bytes read and written by all processes together."""
        return self.processes * self.bytes_per_process

    @property
    def extent(self) -> tuple[int, int, float]:
        """What workloads of one name are sorted by: processes, size, and rate, the unlimited last."""
        return self.processes, self.bytes_per_process, self.rate_iops or math.inf


@dataclass(frozen=True, slots=True)
class Trial:
    """One tracer (or vanilla) x one workload x one repetition.

    `tool` names the tool of the trial's block, also for vanilla, whose trial has no `config`.
    """

    id: str
    index: int
    """Position in the plan, from 0."""
    block: int
    """Trials of one block run one after the other and are compared with each other only."""
    repetition: int
    """From 1."""
    setup: str
    tool: Tool
    workload: Workload
    config: TracerConfig | None
    host: str = LOCAL
    """Which of the study's hosts runs it. All trials that are compared with each other share it."""
    kernel: str | None = None
    """Which of the image's kernels it runs on; None: the one that is running."""
    warm_up: bool = False
    """True for a vanilla trial that only brings the machine into the state that the next one repeats: in no plan, and
    counted nowhere."""

    @property
    def is_vanilla(self) -> bool:
        """True where no tracer runs."""
        return self.config is None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a step may take, in seconds, before the trial is given up as failed."""

    ready_s: float = 90.0
    workload_s: float = 3600.0
    drain_s: float = 300.0
    layout_s: float = 7200.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How every trial of a study is run; not a factor."""

    placement: Placement = Placement.AUTO
    idle_s: float = 0.1
    """Length of the idle baseline between READY and fio."""
    sample_interval_s: float = 0.1
    keep_output: bool = False
    deadlines: Deadlines = field(default_factory=Deadlines)


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The trial that ran on the same machine right before, whatever it left behind."""

    trial: str
    """Its id."""
    setup: str
    tool: Tool
    workload: Workload
    warm_up: bool


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """All that the trial runner is told. Paths are as seen inside the image."""

    trial: Trial
    settings: Settings
    job_file: str
    tracer_command: tuple[str, ...] | None
    session: str
    output_disk_bytes: int | None
    """The most of the disk that the tracer's output may take. What outgrows it is checked and given back while the
    tracer writes; None: it is checked once fio has ended."""
    data_dir: str
    output_dir: str
    record_dir: str
    accelerator: Accelerator | None = None
    """Of the virtual machine that the trial runs in, which cannot tell itself."""
    predecessor: Predecessor | None = None
    """None: nothing ran since the session, or the virtual machine, began."""
    place: int | None = None
    """In its block, from 1; None for a warm-up."""


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
class Defect:
    """Records that are wrong in one way."""

    count: int
    record: int
    """The first of them, from 1."""
    example: str
    """What is wrong with that one, with its values."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A time without a record of the data files, by CLOCK_MONOTONIC."""

    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Content:
    """What reading all records of a tracer's output found; the program is tracers/audit.

    A *data record* is one of a data file, by inode and device; all others are the target's own accesses.
    """

    output_bytes: int
    """Size of the output."""
    records: int
    """Whole ones, good or bad."""
    record_bytes: int
    """Of those alone."""
    notices: int
    """Lines of bpftrace's among the records, where its adapter has not taken them out."""
    data_reads: int
    data_writes: int
    other_records: int
    uncopied: int
    """Other records that lack their payload: it could not be copied."""
    comparable: int
    """Data records with a payload whose file holds it still."""
    compared: int
    """Those that were compared with the file, a sample: the first, and every compare_every-th after it."""
    compare_every: int
    """0: none."""
    first_ns: int | None
    """When the first call on the data ended; None without one."""
    last_ns: int | None
    peak_bytes: int | None
    """The most the output took on the disk; None where nobody followed it."""
    released_bytes: int | None
    """What was given back to the disk while it was written."""
    silences: tuple[Silence, ...]
    """Between calls on the data: the eight longest, the longest first."""
    defects: dict[str, Defect]
    """By kind, as tracers/audit/defects.h names them; those that were found."""


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
    user_cpu_percent: float
    system_cpu_percent: float

    @property
    def ios(self) -> int:
        """Reads and writes fio completed."""
        return self.read_ios + self.write_ios


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

    @property
    def packages_joules(self) -> float | None:
        """Of all CPU packages together, the paper's; None where no package is counted."""
        found = [domain.joules for domain in self.domains if domain.name.startswith("package")]
        return sum(found) if found else None

    @property
    def packages_w(self) -> float | None:
        """Mean power of all CPU packages together, the paper's; None where no package is counted."""
        found = [domain.mean_w for domain in self.domains if domain.name.startswith("package")]
        return sum(found) if found else None


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
    """The kernel's own count of what fio called, all its processes together. Source: /proc/PID/io, proc_pid_io(5).

    Counted are calls of read, write and their kin that reached a file, from the moment fio was executed until its first
    process had ended, which by then had reaped all others and taken over their counts.
    """

    reads: int
    """`syscr`."""
    writes: int
    """`syscw`."""

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
    """Of the tracer's output; None for vanilla, syscount, and the variant no-output."""

    @property
    def seconds(self) -> float:
        """Length of the whole trial."""
        return sum(step.seconds for step in self.steps)

    @property
    def emulated(self) -> bool:
        """True where it proves correctness only (EMULATED_BECAUSE)."""
        return self.environment is not None and self.environment.emulated


@dataclass(frozen=True, slots=True)
class Factors:
    """What a study varies; every combination is tried. Setups do not include vanilla, which is in every block."""

    setups: tuple[str, ...]
    tools: tuple[Tool, ...]
    workloads: tuple[str, ...]
    processes: tuple[int, ...]
    scale: tuple[float, ...]
    attach: tuple[Attach, ...]
    format: tuple[Format, ...]
    ringbuf_bytes: tuple[int, ...]
    poll_ms: tuple[int, ...]
    payload_bytes: tuple[int, ...]
    variants: tuple[Variant, ...] = (Variant.FULL,)
    rate_iops: tuple[int | None, ...] = (None,)
    """Of each process; None: unlimited."""
    kernels: tuple[str, ...] = ()
    """Names of the image's kernels; empty: the one that is running."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine of the `vm` testbed."""

    cpus: int = 2
    memory_bytes: int = 4 * 2**30
    accelerator: Accelerator = Accelerator.AUTO
    boot: Boot = Boot.BLOCK


@dataclass(frozen=True, slots=True)
class Paths:
    """What is written where, on the host. None: below bpfbench's cache directory."""

    data: str | None = None
    """fio's files: laid out once, reused while valid."""
    output: str | None = None
    """Tracer output, deleted after each trial unless settings.keep_output."""


@dataclass(frozen=True, slots=True)
class Study:
    """The declared experiment, resolved: every key has its value."""

    name: str
    description: str
    image: str
    testbed: str
    seed: int
    repetitions: int
    factors: Factors
    settings: Settings
    paths: Paths
    output_limit_bytes: int | None
    """Room to demand for one trial's tracer output; None: enough for every event."""
    setups: tuple[Setup, ...] = ()
    """Those the study brings."""
    hosts: tuple[str, ...] = (LOCAL,)
    """The servers: virtual machines of these names with the testbed `vm`."""
    assignment: Assignment = Assignment.CROSSED
    machine: Machine = field(default_factory=Machine)
    """What each virtual machine is; the testbed `host` does not use it."""
