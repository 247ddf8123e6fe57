# SPDX-License-Identifier: Apache-2.0
"""Factors: what a study varies, and what a trial has of them, as workload and as configuration of its tracer."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, field
from typing import NamedTuple

from bpfbench.model.choices import (
    BLOCK_BYTES,
    EVENT_BYTES,
    OPTIONS,
    OUTPUT_BYTES,
    PER_CPU,
    Attach,
    Buffer,
    Consumers,
    Epoll,
    Format,
    RateProcess,
    Slots,
    Variant,
    Waking,
    least_output_bytes,
    ring_record_bytes,
)


@dataclass(frozen=True, slots=True)
class TracerConfig:
    """The factors a tracer is run with. One that its tool does not use is None, so that equal trials compare equal."""

    attach: Attach | None
    format: Format | None
    """None, as `attach`, of a tracer that is a command: both are its own affair."""
    ringbuf_bytes: int | None = None
    poll_ms: int | None = None
    payload_bytes: int | None = None
    variant: Variant = field(default=Variant.FULL, repr=False)
    """Not in repr(), which decides the order of a plan, so that orders stay what they were; nor is what follows."""
    wakeup: str = field(default=Waking.ADAPTIVE.value, repr=False)
    """A `Waking`; of a watermark with its bytes, as in watermark:4096."""
    rings: str = field(default="1", repr=False)
    """A number, or `PER_CPU`. Each has `ringbuf_bytes`."""
    consumers: Consumers = field(default=Consumers.ONE, repr=False)
    output_buffer_bytes: int = field(default=OUTPUT_BYTES, repr=False)
    """Of the key and the option output_bytes, which is the name of a metric."""
    records: Slots = field(default=Slots.FIXED, repr=False)
    buffer: Buffer = field(default=Buffer.RING, repr=False)
    epoll: Epoll = field(default=Epoll.LEVEL, repr=False)

    @property
    def options(self) -> dict[str, object]:
        """What it says by options of version 2 of the contract, by name, in their order: what is not the default."""
        fields = ((name, _FIELDS.get(name, name)) for name in OPTIONS)
        return {name: own for name, key in fields if (own := getattr(self, key)) != getattr(_USUAL, key)}

    @property
    def watermark_bytes(self) -> int | None:
        """How full a ring wakes its consumer up; None where that is not what does."""
        kind, _, count = self.wakeup.partition(":")
        return int(count) if kind == Waking.WATERMARK else None

    @property
    def ordered(self) -> bool:
        """Whether the events of a thread come in their order: not where each CPU has a ring, and threads move."""
        return self.rings != PER_CPU and self.buffer is Buffer.RING

    @property
    def contradiction(self) -> str | None:
        """Say why no tracer can be run like this; None where one can."""
        ring, watermark = self.ringbuf_bytes, self.watermark_bytes
        if ring is not None and watermark is not None and watermark >= ring:
            return f"a ring of {ring} bytes never holds more than a watermark of {watermark}"
        if self.rings == "1" and self.consumers is Consumers.RING:
            return "one ring has one consumer"
        if self.buffer is Buffer.PERF and (self.rings != "1" or self.records is not Slots.FIXED):
            return "a perf event array has a buffer for each CPU, and records of one length"
        if self.epoll is Epoll.EDGE and (self.wakeup in (Waking.NEVER, Waking.POLL) or self.buffer is Buffer.PERF):
            return "an edge is when a ring wakes its consumer"
        return None

    def rings_on(self, cpus: int) -> int:
        """Return how many rings, or buffers, it has on a machine of so many CPUs; 0 where its tool has none."""
        if self.ringbuf_bytes is None:
            return 0
        return cpus if self.rings == PER_CPU or self.buffer is Buffer.PERF else int(self.rings)

    def ring_bytes(self, cpus: int) -> int:
        """Return what these take of memory."""
        return (self.ringbuf_bytes or 0) * self.rings_on(cpus)

    def waits_ms(self, events_per_s: float) -> float | None:
        """Return how long an event waits at most before its consumer is woken, by arithmetic and not by a clock.

        The ring fills up to the watermark, or the wait of the consumer times out. None where more decides than the
        rate: with adaptive wake-ups, several rings, a buffer for each CPU, and records of varying length.
        """
        if self.poll_ms is None:
            return None
        if self.wakeup == Waking.NEVER:
            return float(self.poll_ms)
        one_kind = self.rings == "1" and self.buffer is Buffer.RING and self.records is Slots.FIXED
        if self.watermark_bytes is None or not one_kind or events_per_s <= 0:
            return None
        filled_s = self.watermark_bytes / ring_record_bytes(self.event_bytes) / events_per_s
        return min(1000 * filled_s, float(self.poll_ms))

    def delay_ms(self, events_per_s: float | None, cpus: int) -> float:
        """Return how long an event may wait by these settings, by the same arithmetic, of a steady rate.

        First until its consumer is woken, at the latest by its time-out; who is woken by any event, or never sleeps,
        lets none wait. Then until the output buffer is full of events as short as they can be, or nothing has come for
        the time of a time-out.

        Args:
            events_per_s: of all CPUs; None: not known, so that only what holds at any rate counts.
            cpus: on which there are events, each of which may have a ring, and a consumer.
        """
        times_out = float(self.poll_ms or 0)
        if not events_per_s:
            return times_out if self.wakeup == Waking.NEVER else 0.0
        waits = 0.0
        if self.wakeup == Waking.NEVER or self.watermark_bytes is not None:
            known = self.waits_ms(events_per_s)
            waits = times_out if known is None else known
        buffers = self.rings_on(cpus) if self.consumers is Consumers.RING else 1
        between_ms = 1000 * buffers / events_per_s
        full_ms = between_ms * self.output_buffer_bytes / least_output_bytes(self.event_bytes, self.format)
        return waits + (min(full_ms, times_out) if between_ms >= times_out else full_ms)

    @property
    def is_command(self) -> bool:
        """Whether the tracer is a command, which keeps no contract."""
        return self.attach is None

    @property
    def event_bytes(self) -> int:
        """Size of an rw event with its payload, in a binary output and, but for the header, in the ring."""
        return EVENT_BYTES + (self.payload_bytes or 0)


_USUAL = TracerConfig(None, None)
_FIELDS = {"output_bytes": "output_buffer_bytes"}
"""Where a field is not called as its option is."""


class IoPace(NamedTuple):
    """How fast the I/Os of each process come, and how evenly; a field is what the workload's of its name is."""

    rate_iops: int | None
    burst_ios: int
    duty_percent: float
    rate_process: RateProcess = RateProcess.LINEAR

    @property
    def order(self) -> tuple[float | str, ...]:
        """What paces are sorted by, no limit last."""
        return (math.inf if self.rate_iops is None else self.rate_iops, *self[1:])


@dataclass(frozen=True, slots=True)
class Workload:
    """An fio job file plus scale, or a declared target by its name, which is nothing else: 0 processes of fio."""

    name: str
    processes: int
    bytes_per_process: int
    rate_iops: int | None = field(default=None, repr=False)
    """The most I/Os per second that each process does, reads and writes together (2 or more); None: as many as it can.
    Of a declared target: the operations per second that its driver offers.

    Not in repr(), as TracerConfig's variant; nor is what follows."""
    burst_ios: int = field(default=1, repr=False)
    """How many I/Os each process does before it pauses, so that its rate is the mean; 1: it is steady."""
    duty_percent: float = field(default=100.0, repr=False)
    """The share of the time in which bursts come, in per cent; 100 of what is steady."""
    rate_process: RateProcess = field(default=RateProcess.LINEAR, repr=False)
    """How I/Os come at that rate; linear where there is none, and in bursts."""

    @property
    def total_bytes(self) -> int:
        """Bytes read and written by all processes together."""
        return self.processes * self.bytes_per_process

    @property
    def ios(self) -> int | None:
        """How many I/Os all processes do; None of a declared target."""
        return self.total_bytes // BLOCK_BYTES if self.is_fio else None

    @property
    def pace(self) -> IoPace:
        """How fast its I/Os come, and how evenly."""
        return IoPace(self.rate_iops, self.burst_ios, self.duty_percent, self.rate_process)

    @property
    def in_bursts(self) -> bool:
        """Whether its I/Os come in bursts, with pauses between them."""
        return self.burst_ios > 1

    @property
    def peak_iops(self) -> int | None:
        """The most I/Os per second that each process does within a burst."""
        return None if self.rate_iops is None else round(self.rate_iops * 100 / self.duty_percent)

    @property
    def pause_s(self) -> float:
        """How long a process pauses between two bursts."""
        return 0.0 if self.rate_iops is None else self.burst_ios / self.rate_iops * (1 - self.duty_percent / 100)

    @property
    def is_fio(self) -> bool:
        """Whether fio is what is traced."""
        return self.processes > 0

    @property
    def extent(self) -> tuple[float, ...]:
        """What workloads of one name are sorted by: processes, size, and all else, no limit last."""
        return tuple(math.inf if value is None else value for value in astuple(self)[1:])


@dataclass(frozen=True, slots=True)
class Factors:
    """What a study varies; every combination is tried. Setups do not include vanilla, which is in every block."""

    setups: tuple[str, ...]
    tools: tuple[str, ...]
    """Ours, and those that commands of the study are."""
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
    """Of each process of fio, or all together of a declared target that has `drive_at`; None: unlimited."""
    burst_ios: tuple[int, ...] = (1,)
    duty_percent: tuple[float, ...] = (10.0,)
    """Of bursts; what is steady has no use for it."""
    rate_process: tuple[RateProcess, ...] = (RateProcess.LINEAR,)
    """Of what has a rate, and is not in bursts."""
    targets: tuple[str, ...] = ()
    """Names of declared targets; each is a workload beside those of fio, to which processes, scale and bursts apply."""
    kernels: tuple[str, ...] = ()
    """Names of the image's kernels; empty: the one that is running."""
    wakeup: tuple[str, ...] = (Waking.ADAPTIVE.value,)
    rings: tuple[str, ...] = ("1",)
    consumers: tuple[Consumers, ...] = (Consumers.ONE,)
    output_bytes: tuple[int, ...] = (OUTPUT_BYTES,)
    records: tuple[Slots, ...] = (Slots.FIXED,)
    buffer: tuple[Buffer, ...] = (Buffer.RING,)
    epoll: tuple[Epoll, ...] = (Epoll.LEVEL,)
