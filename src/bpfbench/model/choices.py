# SPDX-License-Identifier: Apache-2.0
"""The words of a study that have a fixed meaning: enums, and constants beside them."""

from __future__ import annotations

from enum import StrEnum

BLOCK_BYTES = 4096
"""fio's block size, as in the paper."""

EVENT_BYTES = 156
"""An rw event without payload; tracers/common/rw_event.h."""

RING_HEADER_BYTES = 8
"""Of each record in a BPF ring buffer (BPF_RINGBUF_HDR_SZ)."""

LEAST_TEXT_EVENT_BYTES = 50
"""No text line of an rw event is shorter: fifteen columns, two of them times in nanoseconds."""

VANILLA = "vanilla"
"""The setup without a tracer, that everything is compared with."""

UNLIMITED = "unlimited"
"""How a study writes a rate without a limit, which is None here."""

LOCAL = "local"
"""The host of a study that names none."""


def ring_record_bytes(event_bytes: int) -> int:
    """Return what an event takes in the ring: its header, and up to the next 8 bytes."""
    return -(-(event_bytes + RING_HEADER_BYTES) // 8) * 8


class Tool(StrEnum):
    """What a tracer observes."""

    SYSCOUNT = "syscount"
    RW_TRACER = "rw-tracer"
    RW_TRACER_ALL = "rw-tracer-all"
    FS_PROFILE = "fs-profile"


EVENT_TOOLS = (Tool.RW_TRACER, Tool.RW_TRACER_ALL)
"""Those that write an event for each call."""

COUNTING_TOOLS = (Tool.SYSCOUNT, Tool.FS_PROFILE)
"""Those that count calls in the kernel."""

PAPER_TOOLS = (Tool.SYSCOUNT, *EVENT_TOOLS)
"""Those of the paper: what is meant where none is named, and what a tracer has that does not say."""


def tool_called(name: str) -> str:
    """Return the `Tool` of that name, and of a tool that is none of ours the name itself."""
    return Tool(name) if name in tuple(Tool) else name


class Attach(StrEnum):
    """The hook flavour."""

    TRACEPOINT = "tracepoint"
    KPROBE = "kprobe"
    FENTRY = "fentry"
    AUTO = "auto"
    """In a study only: kprobe where the kernel has it, as in the paper, else tracepoint. Resolved before planning."""


class RateProcess(StrEnum):
    """How the I/Os of a process come whose rate is limited, as fio calls it."""

    LINEAR = "linear"
    """Each as long after the one before."""
    POISSON = "poisson"
    """As if each came by itself: the times between them are random."""


class Format(StrEnum):
    """How a tracer writes its records."""

    TEXT = "text"
    BINARY = "binary"


def least_output_bytes(event_bytes: int, form: Format | None) -> int:
    """Return what an event of this size takes at least in the output: as text, each byte of payload is three."""
    payload_bytes = event_bytes - EVENT_BYTES
    return event_bytes if form is Format.BINARY else LEAST_TEXT_EVENT_BYTES + max(0, 3 * payload_bytes - 1)


class Waking(StrEnum):
    """When a record wakes the consumer of its ring, as far as that is a word: `watermark` has a number behind it."""

    ADAPTIVE = "adaptive"
    """When the consumer has read all before it: the kernel's own way."""
    NEVER = "never"
    """The consumer sleeps for its poll time-out, whatever comes."""
    WATERMARK = "watermark"
    """When the ring holds so many bytes."""
    POLL = "poll"
    """The consumer never sleeps."""


PER_CPU = "cpu"
"""How many rings there are, where each CPU has one."""


class Consumers(StrEnum):
    """Who empties a tracer's rings."""

    ONE = "one"
    RING = "ring"
    """A thread, or what a library has in its place, for each of them."""


class Slots(StrEnum):
    """What an event takes in the ring."""

    FIXED = "fixed"
    VARIABLE = "variable"
    """What it needs: its payload as long as it is."""


class Buffer(StrEnum):
    """What events go through."""

    RING = "ring"
    PERF = "perf"
    """A perf event array: a buffer for each CPU."""


class Epoll(StrEnum):
    """How a sleeping consumer waits for its rings."""

    LEVEL = "level"
    """As it does by itself: but for Tokio's, a wait ends as long as there is something in a ring."""
    EDGE = "edge"
    """By an edge-triggered epoll: a wait ends when a record wakes."""


OUTPUT_BYTES = 65536
"""What a tracer collects before it writes, by version 1 of the contract."""

ANY, MANY = "any", "many"
"""Kinds of values: any size, any number."""

OPTIONS = {
    "wakeup": tuple(map(str, Waking)),
    "rings": ("1", MANY, PER_CPU),
    "consumers": tuple(map(str, Consumers)),
    "output_bytes": (str(OUTPUT_BYTES), ANY),
    "records": tuple(map(str, Slots)),
    "buffer": tuple(map(str, Buffer)),
    "epoll": tuple(map(str, Epoll)),
}
"""What version 2 of the contract has besides version 1, in its order, with the kinds of values that each can have.

The first is what a tracer does without the option, and so by version 1."""


def kind_of(option: str, value: object) -> str:
    """Return of what kind a value of an option of version 2 is."""
    kinds, word = OPTIONS[option], str(value).partition(":")[0]
    return word if word in kinds else MANY if MANY in kinds else ANY


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
    DELAY = "delay"
    """Everything, but the output goes into a pipe, whose reader times when events arrive."""


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
