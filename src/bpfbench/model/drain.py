# SPDX-License-Identifier: Apache-2.0
"""The drain rate: what it is measured of, and what comes of it. DrainSpec crosses into the image, DrainResult back.

docs/limits.md, "Drain rate", says what is measured and why so.
"""

from __future__ import annotations

from dataclasses import dataclass

from bpfbench.model.choices import EVENT_BYTES, Tool
from bpfbench.model.factors import TracerConfig
from bpfbench.model.roofline import Roofline

METHOD = 2
"""Version of the method; rates by different versions do not compare. History: 1 (first); 2 (each begins with the same
free memory)."""

PAYLOAD_BYTES = 4096

TOOL_OF_BYTES = {EVENT_BYTES: Tool.RW_TRACER, EVENT_BYTES + PAYLOAD_BYTES: Tool.RW_TRACER_ALL}
"""Size of an event without and with payload -> the tool whose events are so large."""


@dataclass(frozen=True, slots=True)
class DrainSpec:
    """All that is told to the side inside the image. Paths are as seen there."""

    setup: str
    tool: Tool
    config: TracerConfig
    tracer_command: tuple[str, ...]
    output_dir: str
    ready_s: float
    """The deadline for READY."""
    drain_s: float
    """The deadline for a full ring to be emptied."""
    kernel_events: int
    """How many events to take the kernel side's run time of, in each state of the ring; 0: none."""
    timed: bool = True
    """False of an emulated CPU, of which no rate counts: then nothing is done for the sake of one."""


@dataclass(frozen=True, slots=True)
class KernelTime:
    """Run time of the tracer's programs per event, in ns, by the state the ring is in when the event arrives."""

    waiting_ns: float
    """User space waits: the ring is empty, and most events wake the tracer up."""
    busy_ns: float
    """User space is behind: there are events in the ring, and room; nobody is woken up."""
    full_ns: float
    """There is no room: the event is lost."""
    other_ns: float
    """There is no event: the read is that of a process that is not watched."""


@dataclass(frozen=True, slots=True)
class DrainResult:
    """What was measured in one run of a tracer."""

    slot_bytes: int
    """What an event takes in the ring, by the position of the producer."""
    slots: int
    """How many events fill the ring."""
    bursts: int
    """Bursts that count."""
    disturbed: int
    """Bursts that do not, because this process was not there in time to see their beginning or end."""
    coarse: bool
    """In most bursts the tracer moved its position just once. They count from when it was let go on."""
    events: int
    """Those between the first and the last of each burst that counts."""
    seconds: float
    """What draining them took."""
    cpu_s: float
    """CPU time of the tracing process in all bursts, also those that do not count, from being let go on to the end."""
    cpu_events: int
    """How many events that was for."""
    burst_events_per_s: tuple[float, float, float] | None
    """Slowest, median and fastest burst."""
    events_total: int
    """Every event of this run, also those that nothing was measured by."""
    kernel: KernelTime | None
    allowed: Roofline
    """What the least that a tracer can do came to, right before and right after."""
    problems: tuple[str, ...]
    """What does not hold, of what must hold; empty: the result counts."""
    versions: dict[str, str]
    """Of the libraries, as loaded."""
    cpus: dict[str, tuple[int, ...]]
    """CPU numbers by role: tracer, others."""

    @property
    def events_per_s(self) -> float:
        """The drain rate."""
        return self.events / self.seconds

    @property
    def cpu_ns_per_event(self) -> float:
        """CPU time per event."""
        return 1e9 * self.cpu_s / self.cpu_events


@dataclass(frozen=True, slots=True)
class Case:
    """One tracer in one configuration, once."""

    repetition: int
    """From 1."""
    setup: str
    event_bytes: int
    config: TracerConfig
    with_kernel: bool
    tuned: bool = False
    """Whether it is as `tune` found it, and a study says."""

    @property
    def called(self) -> str:
        """The setup, and whether it is tuned."""
        return f"{self.setup} (tuned)" if self.tuned else self.setup

    @property
    def tool(self) -> Tool:
        """The tool whose events are so large."""
        return TOOL_OF_BYTES[self.event_bytes]

    @property
    def name(self) -> str:
        """What to call it."""
        config, ring = self.config, f"ring {(self.config.ringbuf_bytes or 0) // 1024} KiB"
        parts = (self.called, f"{config.attach}", f"{self.event_bytes} B", f"{config.format}", ring)
        return f"{', '.join(parts)}, repetition {self.repetition}"

    @property
    def group(self) -> tuple[object, ...]:
        """What it shares with the cases it is compared with."""
        return self.config.attach, self.event_bytes, self.config.format, self.config.ringbuf_bytes


@dataclass(frozen=True, slots=True)
class Measured:
    """A case and what came of it."""

    case: Case
    started_at: str
    """UTC, ISO 8601."""
    result: DrainResult | None
    reason: str | None
    """Why it does not count."""
