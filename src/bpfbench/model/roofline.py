# SPDX-License-Identifier: Apache-2.0
"""The roofline: what a machine allows at all, whatever the setup. RooflineSpec crosses into the image, Roofline back.

docs/limits.md, "Roofline", says what is measured and why so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bpfbench.model.choices import Format


class Sink(StrEnum):
    """Where bytes are written."""

    CACHED = "file, page cache"
    DIRECT = "file, no page cache"
    TMPFS = "tmpfs"
    NULL = "/dev/null"


class Woken(StrEnum):
    """When a record wakes the consumer up."""

    NEVER = "never"
    """The consumer polls busily instead."""
    ADAPTIVE = "adaptive"
    """When it has read all before, as all setups have it."""


@dataclass(frozen=True, slots=True)
class SinkSpeed:
    """How fast bytes are written in writes of 64 KiB."""

    sink: Sink
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class CopySpeed:
    """How fast records are copied out of memory of a ring's size into an output buffer, by one CPU."""

    event_bytes: int
    events_per_s: float


@dataclass(frozen=True, slots=True)
class LeastSpeed:
    """How fast the least that a tracer can do empties its ring: it copies each event once, and writes it."""

    event_bytes: int
    format: Format | None
    """It writes as many bytes as such an event takes at least in that format, and formats nothing."""
    sink: Sink
    events_per_s: float


@dataclass(frozen=True, slots=True)
class RingSpeed:
    """How fast a consumer that does nothing empties a ring that producers do their best to keep full."""

    event_bytes: int
    producers: int
    """0: the ring is full, and nobody produces until it is empty."""
    woken: Woken
    events_per_s: float
    produced_per_s: float
    """What found room in the ring, and what did not."""


@dataclass(frozen=True, slots=True)
class WakeUp:
    """What it takes to wake a consumer that sleeps."""

    producer_ns: float
    """What the traced call takes longer for it: the median, less that of a record that wakes nobody."""
    latency_p50_ns: float
    """From the record's reservation to the consumer's looking at it."""
    latency_p99_ns: float


@dataclass(frozen=True, slots=True)
class HookCost:
    """What a pair of hooks takes, at entry and exit, whose programs do nothing."""

    hook: str
    """tracepoint, kprobe, fentry."""
    pair_ns: float
    """What a read of one byte takes longer for it."""


@dataclass(frozen=True, slots=True)
class RooflineSpec:
    """All that is told to the side inside the image. Paths are as seen there."""

    repetitions: int
    seed: int
    output_dir: str


Reading = SinkSpeed | CopySpeed | LeastSpeed | RingSpeed | WakeUp | HookCost
"""One measurement, once."""


@dataclass(frozen=True, slots=True)
class Roofline:
    """All readings, repetition after repetition; and what could not be measured, with the reason."""

    least: tuple[LeastSpeed, ...] = ()
    sinks: tuple[SinkSpeed, ...] = ()
    copies: tuple[CopySpeed, ...] = ()
    rings: tuple[RingSpeed, ...] = ()
    wake_ups: tuple[WakeUp, ...] = ()
    hooks: tuple[HookCost, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)


def together(*parts: Roofline) -> Roofline:
    """Put the readings of several into one."""
    return Roofline(
        least=tuple(own for part in parts for own in part.least),
        sinks=tuple(own for part in parts for own in part.sinks),
        copies=tuple(own for part in parts for own in part.copies),
        rings=tuple(own for part in parts for own in part.rings),
        wake_ups=tuple(own for part in parts for own in part.wake_ups),
        hooks=tuple(own for part in parts for own in part.hooks),
        absent={name: why for part in parts for name, why in part.absent.items()},
    )
