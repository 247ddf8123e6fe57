# SPDX-License-Identifier: Apache-2.0
"""Every key of a study, one row each: how it is read, its default, its option, and of a factor how it is called.

Study files, options, plans, the columns of tables and the labels of trials are all made from these rows. A factor is a
row here, a field of `model.Factors` and of what it is part of (`Workload` or `TracerConfig`), and a line where it takes
effect. The field has a default, which is what trials were before there was the factor, and `repr=False`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from bpfbench import catalogue, units
from bpfbench.model import (
    BLOCK_BYTES,
    EVENT_TOOLS,
    OUTPUT_BYTES,
    PAPER_TOOLS,
    PER_CPU,
    UNLIMITED,
    VANILLA,
    Accelerator,
    Assignment,
    Attach,
    Boot,
    Buffer,
    Consumers,
    Criteria,
    Epoll,
    Format,
    Machine,
    Placement,
    RateProcess,
    Settings,
    Slots,
    Tool,
    TracerConfig,
    Trial,
    Variant,
    Waking,
    Workload,
)
from bpfbench.values import (
    RINGBUF_BYTES_MAX,
    Reader,
    existing_directory,
    file_name,
    flag,
    host_names,
    number,
    one_of,
    power_of_two,
    rings,
    several,
    shown,
    size,
    text,
    wakeup,
    whole,
)

REQUIRED: Any = object()
"""The default of a key that has none."""
BELOW = ("host", "vm")
"""The testbeds that hosts of a cluster can have."""
RATE_IOPS_MIN = 2
"""One in each direction."""
RATE_IOPS_MAX = 10**9
"""fio counts in nanoseconds."""
POISSON_IOPS_MAX = 20_000
"""Up to there, by cutting off fractions of a microsecond, fio exceeds the mean rate by 1 to 3 %."""
OUTPUT_BYTES_MOST = 2**26
WAKINGS = (Waking.ADAPTIVE.value, Waking.NEVER.value, Waking.POLL.value)
LEAST_SCALE = BLOCK_BYTES / catalogue.FULL_BYTES_PER_PROCESS
"""One block per process."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a study."""

    dotted: str
    """Its name, behind that of its table and a dot unless it stands at the top."""
    read: Reader
    default: Any = REQUIRED
    help: str = ""
    """What its option is said to be; empty: it has none."""
    option: str = ""
    """The name of its option; empty: --KEY."""

    @property
    def table(self) -> str:
        """The table it stands in; empty: at the top."""
        return self.dotted.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its name in its table."""
        return self.dotted.rpartition(".")[2]

    @property
    def flag(self) -> str:
        """Its option, as it is typed."""
        return self.option or f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Knob:
    """What `tune` may do with a factor: a row has one where a tracer is no other for it, and costs or saves another."""

    values: tuple[Any, ...]
    """Those that are worth trying. Ones that are evenly spaced on a scale make that scale: powers of two a log one."""
    ordered: bool = True
    """Whether a value between two others can be expected to do what lies between."""
    locks: Callable[[Any], int] = lambda _: 0
    """Returns the bytes of memory that a value locks: it is not tried where so much is not free."""
    holds: Callable[[Any], int] = lambda _: 0
    """Returns the bytes of events that a value can keep: what would keep most of a trial's is not tried. It would say
    nothing of a target that runs for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor(Key):
    """A key of [factors]: one value or a list of values, which is crossed with the others."""

    part: type
    """What a value is part of: Workload, TracerConfig, or Trial itself."""
    field: str
    """Its name there."""
    choices: tuple[str, ...] = ()
    """What it can be; empty: a number."""
    tools: tuple[Tool, ...] = tuple(Tool)
    """Those whose tracers have a use for it."""
    slug: str = "{}"
    """How a value is called in the id of a trial, where it varies."""
    label: str = "{}"
    """How a value is called in tables: {size} is a number of bytes in words, {mib} it in MiB."""
    clause: str = ""
    """How an unusual value is told behind the size of a workload."""
    of_driven: str = ""
    """The same of a declared target."""
    knob: Knob | None = None
    """None: it is not for tuning."""

    @property
    def usual(self) -> Any:
        """What goes without saying: what every trial had before there was the factor, its field's default."""
        return next(own.default for own in fields(self.part) if own.name == self.field)

    def slugged(self, value: Any) -> str:
        """Call a value as the id of a trial does, which is a name of files."""
        return self.slug.format(value).replace(":", "-")

    def called(self, value: Any, *, driven: bool = False) -> str:
        """Call a value as tables do; `driven`: of a declared target."""
        if driven and self.of_driven:
            return self.of_driven.format(value)
        count = value if isinstance(value, int) else 0
        return self.label.format("no" if value is None else value, size=units.size(count), mib=count >> 20)


def _factor(name: str, each: Reader, default: Any, part: type, help: str, **more: Any) -> Factor:  # noqa: A002
    """Make the row of a factor, whose field of `part` has its name unless it says `field`."""
    return Factor(f"factors.{name}", several(each), default, help, part=part, **{"field": name, **more})


def _words(name: str, words: Iterable[str], default: Any, part: type, help: str, **more: Any) -> Factor:  # noqa: A002
    choices = tuple(words)
    return _factor(name, one_of(choices), default, part, help, choices=choices, **more)


def _rate_iops(value: object) -> int | None:
    """Accept a whole number, or the word for no limit."""
    if value == UNLIMITED:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"a whole number or {UNLIMITED!r} is wanted, not {shown(value)}")
    if not RATE_IOPS_MIN <= value <= RATE_IOPS_MAX:
        raise ValueError(f"{value} is out of range; valid is {RATE_IOPS_MIN} to {RATE_IOPS_MAX}, or {UNLIMITED!r}")
    return value


_SETUPS = (*catalogue.SETUPS, VANILLA)
_SETUPS_HELP = "bpftrace, bcc, libbpf, ebpf-go, aya-sync, …; `bpfbench list` shows them"
_VARIANTS_HELP = "full, no-output, no-consumer, run-time, delay"
_RATE_HELP = "the most I/Os per second of each fio process, or operations per second of a target: numbers, unlimited"
_BURST_HELP = "how many I/Os each process does at once, before it pauses, at the rate of --rate-iops; 1: steady"
_WITH_RING = (*EVENT_TOOLS, Tool.FS_PROFILE)
_TOOLS_HELP = "syscount, rw-tracer, rw-tracer-all, fs-profile"

FACTORS = (
    _words("setups", _SETUPS, REQUIRED, Trial, _SETUPS_HELP, field="setup"),
    _words("tools", Tool, PAPER_TOOLS, Trial, _TOOLS_HELP, field="tool"),
    _words("workloads", catalogue.WORKLOADS, REQUIRED, Workload, "read, write, mixed", field="name"),
    _factor("processes", whole(1, 1024), (4,), Workload, "number of fio processes", label="{} processes"),
    _factor(
        "scale",
        number(LEAST_SCALE, 1024, "one block of 4 KiB per process"),
        (1.0,),
        Workload,
        "size of the workload; 1 is 32 GiB per process",
        field="bytes_per_process",
        label="{mib} MiB",
    ),
    _words("attach", Attach, (Attach.AUTO,), TracerConfig, "how tracers attach: tracepoint, kprobe, fentry, auto"),
    _words("format", Format, (Format.TEXT,), TracerConfig, "text, binary", knob=Knob(tuple(Format), ordered=False)),
    _factor(
        "ringbuf_bytes",
        size(4096, RINGBUF_BYTES_MAX, power_of_two),
        (2**18,),
        TracerConfig,
        "size of the ring buffer, e.g. 256KiB",
        slug="ring{}",
        label="ring {size}",
        tools=_WITH_RING,
        knob=Knob(tuple(2**power for power in range(16, 29)), locks=int, holds=int),
    ),
    _factor(
        "poll_ms",
        whole(1, 60000),
        (100,),
        TracerConfig,
        "poll timeout in milliseconds",
        slug="poll{}",
        label="poll {} ms",
        tools=_WITH_RING,
        knob=Knob((1, 3, 10, 30, 100, 300, 1000)),
    ),
    _factor(
        "payload_bytes",
        size(1, 16384),
        (4096,),
        TracerConfig,
        "payload kept per event by rw-tracer-all",
        slug="payload{}",
        label="payload {size}",
        tools=(Tool.RW_TRACER_ALL,),
    ),
    _words("variants", Variant, (Variant.FULL,), TracerConfig, _VARIANTS_HELP, field="variant"),
    _factor(
        "rate_iops",
        _rate_iops,
        (None,),
        Workload,
        _RATE_HELP,
        slug="rate{}",
        label="{} IOPS",
        clause="each at most {} IOPS",
        of_driven="at {} operations/s",
    ),
    _factor(
        "burst_ios",
        whole(1, 10**9),
        (1,),
        Workload,
        _BURST_HELP,
        slug="burst{}",
        label="{} I/Os a burst",
        clause="in bursts of {} I/Os",
    ),
    _factor(
        "duty_percent",
        number(0.1, 100),
        (10.0,),
        Workload,
        "share of the time spent in bursts, in per cent",
        slug="duty{:g}",
        label="{:g} % duty",
        clause="{:g} % of the time",
    ),
    _words(
        "rate_process",
        RateProcess,
        (RateProcess.LINEAR,),
        Workload,
        "how I/Os come at the rate of --rate-iops: linear, poisson",
        clause="at random times ({})",
    ),
    _words(
        "targets", catalogue.TARGETS, (), Trial, "targets besides fio; `bpfbench list` shows them", field="workload"
    ),
    _words("kernels", catalogue.KERNELS, (), Trial, "with --testbed vm: trixie, backports, sid", field="kernel"),
    _factor(
        "wakeup",
        wakeup,
        (Waking.ADAPTIVE.value,),
        TracerConfig,
        "when an event wakes the tracer: adaptive, never, watermark:BYTES, poll (it never sleeps)",
        slug="wake-{}",
        label="wake-up {}",
        tools=EVENT_TOOLS,
        knob=Knob((*WAKINGS, *(f"{Waking.WATERMARK}:{2**power}" for power in (12, 16, 20))), ordered=False),
    ),
    _factor(
        "rings",
        rings,
        ("1",),
        TracerConfig,
        "how many rings of that size: 1 to 64, cpu (one for each CPU)",
        slug="rings-{}",
        label="rings {}",
        tools=EVENT_TOOLS,
        knob=Knob(("1", "2", "4", PER_CPU), ordered=False),
    ),
    _words(
        "consumers",
        Consumers,
        (Consumers.ONE,),
        TracerConfig,
        "who empties them: one, ring (a thread for each)",
        slug="consumers-{}",
        label="consumers {}",
        tools=EVENT_TOOLS,
        knob=Knob(tuple(Consumers), ordered=False),
    ),
    _factor(
        "output_bytes",
        size(4096, OUTPUT_BYTES_MOST),
        (OUTPUT_BYTES,),
        TracerConfig,
        "what a tracer collects before it writes, e.g. 1MiB",
        field="output_buffer_bytes",
        slug="output{}",
        label="output buffer {size}",
        tools=EVENT_TOOLS,
        knob=Knob((OUTPUT_BYTES, 2**18, 2**20, 2**22)),
    ),
    _words(
        "records",
        Slots,
        (Slots.FIXED,),
        TracerConfig,
        "what rw-tracer-all takes from the ring: fixed, variable (what an event needs)",
        slug="records-{}",
        label="records {}",
        tools=(Tool.RW_TRACER_ALL,),
        knob=Knob(tuple(Slots), ordered=False),
    ),
    _words(
        "buffer",
        Buffer,
        (Buffer.RING,),
        TracerConfig,
        "what events go through: ring, perf (a perf event array)",
        slug="buffer-{}",
        label="buffer {}",
        tools=EVENT_TOOLS,
        knob=Knob(tuple(Buffer), ordered=False),
    ),
    _words(
        "epoll",
        Epoll,
        (Epoll.LEVEL,),
        TracerConfig,
        "how a tracer waits for its rings: level (as it does by itself), edge (edge-triggered)",
        slug="epoll-{}",
        label="epoll {}",
        tools=EVENT_TOOLS,
        knob=Knob(tuple(Epoll), ordered=False),
    ),
)
"""What a study varies, in the order in which messages list them."""

STUDY: tuple[Key, ...] = (
    Key("name", text(file_name)),
    Key("description", text(), ""),
    Key("image", one_of(tuple(catalogue.IMAGES)), "trixie", "Image to run in."),
    Key(
        "testbed",
        one_of(tuple(catalogue.TESTBEDS)),
        "host",
        "host: this machine's kernel; vm: virtual machines; cluster: many hosts.",
    ),
    Key("seed", whole(0), 1, "Seed for the order of trials."),
    Key("repetitions", whole(1, 10000), 3, "How often everything is repeated."),
    Key("output_limit_bytes", size(1), None),
    *FACTORS,
    Key("hosts", host_names, (), "How many hosts, or their names."),
    Key(
        "assignment",
        one_of(tuple(Assignment)),
        Assignment.CROSSED,
        "How trials are assigned to hosts: crossed, by-setup.",
    ),
    Key("below", one_of(BELOW), None, "With --testbed cluster, the testbed on each host: host, vm."),
    Key(
        "settings.placement", one_of(tuple(Placement)), Settings().placement, "Which CPUs do what: paper, shared, auto."
    ),
    Key("settings.idle_s", number(0, 3600), Settings().idle_s),
    Key("settings.rest_s", number(0, 3600), 2.0),  # 0 in the model: what runs before it was there had
    Key("settings.sample_interval_s", number(0.05, 60), Settings().sample_interval_s),
    Key("settings.keep_output", flag, Settings().keep_output, "Keep what tracers write."),
    *(
        Key(f"criteria.{name}", number(0, 100), getattr(Criteria(), name), help_)
        for name, help_ in {
            "runtime_margin_percent": "Overheads and latencies this close count as equal.",
            "fidelity_margin_points": "Shares of events saved this close count as equal.",
            "cpu_margin_percent": "CPU, start-up, power and delay this close count as equal.",
            "memory_margin_percent": "Memory this close counts as equal.",
            "fidelity_floor_percent": "A setup that saves less is no all-round choice.",
        }.items()
    ),
    Key("paths.data", text(existing_directory), None, "Directory for data files.", "--data-dir"),
    Key("paths.output", text(existing_directory), None, "Directory for what tracers write.", "--output-dir"),
    Key("machine.cpus", whole(1, 1024), Machine().cpus, "CPUs of each."),
    Key("machine.memory_bytes", size(2**30), Machine().memory_bytes, "Memory of each, e.g. 4GiB.", "--memory"),
    Key("machine.accelerator", one_of(tuple(Accelerator)), Machine().accelerator, "kvm, tcg (emulated), auto."),
    Key("machine.boot", one_of(tuple(Boot)), Machine().boot, "How long a boot is used: for a block, or a trial."),
)
"""Every key, in the order in which they are read and written."""

KNOBS = {factor.name: factor for factor in FACTORS if factor.knob}
"""What `tune` varies, by name."""


def _only(read: Reader) -> Reader:
    """Accept one value of a factor."""

    def one(value: object) -> Any:
        if isinstance(value, list):
            raise ValueError(f"one value is wanted, not {shown(value)}")
        return read(value)[0]

    return one


TUNED = tuple(Key(knob.name, _only(knob.read), None) for knob in KNOBS.values())
"""The keys of [tuned.SETUP]."""

KEYS = {key.dotted: key for key in STUDY}


def of(part: type) -> tuple[Factor, ...]:
    """Return the factors whose values are part of a Workload, a TracerConfig or a Trial, in the order of its fields."""
    return tuple(factor for factor in FACTORS if factor.part is part)


def unusual(work: Workload) -> list[tuple[Factor, Any]]:
    """Return what a workload is beside its name and size, where that is not the usual."""
    own = ((factor, getattr(work, factor.field)) for factor in of(Workload) if factor.clause)
    return [(factor, value) for factor, value in own if value != factor.usual]


def clauses(work: Workload) -> list[str]:
    """Tell what is unusual about a workload, in the words of its kind."""
    return [(own.clause if work.is_fio else own.of_driven).format(value) for own, value in unusual(work)]
