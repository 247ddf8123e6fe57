# SPDX-License-Identifier: Apache-2.0
"""Trials of tracers with a ring: how the tracer was set, how events came, and what was saved of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from bpfbench.analysis.metrics import OFFERED, TRACER_CPU
from bpfbench.analysis.results import Cell, Results
from bpfbench.factors import KNOBS
from bpfbench.model import (
    COUNTING_TOOLS,
    FioResult,
    RateProcess,
    Record,
    TracerConfig,
    Waking,
    Workload,
    ring_record_bytes,
)


@dataclass(frozen=True, slots=True)
class Tracer:
    """What drains the ring."""

    setup: str
    attach: str
    format: str
    event_bytes: int
    """As the contract has them, payload included."""
    ringbuf_bytes: int
    """Of each of its rings."""
    rings: int = 1
    """Those that the target's CPUs fill."""
    knobs: str = ""
    """What else it is set to other than by default, as tables call it: it drains as it is set to."""

    @classmethod
    def of(cls, setup: str, config: TracerConfig, event_bytes: int, cpus: int) -> Tracer | None:
        """Return a setup as it is configured, beside a target on so many CPUs; None of one without a ring."""
        if not config.attach or not config.format or not config.ringbuf_bytes:
            return None
        knobs = ", ".join(KNOBS[name].called(value) for name, value in _turned(config).items())
        rings = config.rings_on(cpus)
        return cls(setup, config.attach, config.format, event_bytes, config.ringbuf_bytes, rings, knobs)

    @property
    def slots(self) -> float:
        """How many events fit into its rings, taken to be filled alike."""
        return self.rings * self.ringbuf_bytes / ring_record_bytes(self.event_bytes)

    @property
    def kind(self) -> tuple[object, ...]:
        """What has to be the same for a drain rate to say something of it; sizes may be others."""
        return self.setup, self.attach, self.format, self.rings, self.knobs


def _turned(config: TracerConfig) -> dict[str, object]:
    """Return what is set other than by default and has to do with how fast a tracer drains.

    The time-out has where an event need not wake: it is how long who drains may sleep.
    """
    turned, poll = config.options, KNOBS["poll_ms"]
    asleep = config.wakeup == Waking.NEVER or config.watermark_bytes is not None
    if asleep and config.poll_ms not in (None, *poll.default):
        turned[poll.name] = config.poll_ms
    return turned


class Target(NamedTuple):
    """What makes the events."""

    workload: str
    processes: int
    rate_iops: int | None
    """What the rate of each process is limited to, or what a declared target is driven at."""
    burst_ios: int = 1
    duty_percent: float = 100.0
    rate_process: RateProcess = RateProcess.LINEAR

    @property
    def work(self) -> Workload:
        """It as a workload, of no size."""
        return Workload(self.workload, self.processes, 0, *self[2:])

    @property
    def limited(self) -> bool:
        """Whether it has a rate of its own: by a limit, or of a declared target by what it does between its calls."""
        return self.rate_iops is not None or not self.work.is_fio

    @property
    def steady(self) -> bool:
        """Whether it leaves the tracer a CPU when it needs one: its rate is limited, and it is not in bursts."""
        return self.rate_iops is not None and self.burst_ios == 1


class Stream(NamedTuple):
    """Events as they come."""

    rate_per_s: float
    events: float = math.inf
    """How many of them, before there is a pause."""
    mean_per_s: float = 0.0
    """Their rate, pauses included; 0 where there are none."""
    steady: bool = True
    """Whether the rate is the target's own, rather than the fastest that it can."""


@dataclass(frozen=True, slots=True)
class RingTrial:
    """What counts of a trial of a tracer with a ring."""

    tracer: Tracer
    target: Target
    runtime_s: float
    rate_per_s: float
    """Of the events that were offered: the mean."""
    peak_per_s: float
    """The same within bursts; of what is steady, the mean."""
    bursts: float
    """How many there were; 1: all events together are one."""
    events: int
    """Those."""
    saved: int
    lost: int
    cpu_share: float | None
    """How much of one CPU the tracer had; None where that was not measured."""

    @property
    def stream(self) -> Stream:
        """How its events came."""
        mean_per_s = self.rate_per_s if self.bursts > 1 else 0.0
        return Stream(self.peak_per_s, self.events / self.bursts, mean_per_s, self.target.steady)


def trials(results: Results) -> tuple[RingTrial, ...]:
    """Return the ok trials of full tracers with a ring that were offered events."""
    cells = (cell for cell in results.cells if cell.is_full and not cell.emulated and cell.tool not in COUNTING_TOOLS)
    return tuple(filter(None, (ring_trial(cell, record) for cell in cells for record in results.counted(cell))))


def ring_trial(cell: Cell, record: Record) -> RingTrial | None:
    """Return what counts of a full tracer's trial; None where it has no ring, or was offered no events."""
    config, summary, rate, percent = cell.config, record.summary, OFFERED.read(record), TRACER_CPU.read(record)
    tracer = Tracer.of(cell.setup, config, config.event_bytes, target_cpus(record)) if config else None
    if tracer is None or summary is None or record.outcome is None or not rate:
        return None
    work, runtime_s = cell.workload, record.outcome.runtime_s
    bursts, busy_s = _in_bursts(work, record.fio) if record.fio and work.in_bursts else (1.0, runtime_s)
    pace = work.pace if record.driven is None or record.driven.kept_rate else work.pace._replace(rate_iops=None)
    return RingTrial(
        tracer,
        Target(work.name, work.processes, *pace),
        runtime_s,
        rate,
        rate * runtime_s / busy_s,
        bursts,
        summary.intercepted_total,
        summary.saved,
        summary.lost_total,
        cpu_share=None if percent is None else percent / 100,
    )


def target_cpus(record: Record) -> int:
    """Return on how many CPUs the target of a trial was."""
    return len(record.cpus.get("workload", ())) or 1


def _in_bursts(work: Workload, fio: FioResult) -> tuple[float, float]:
    """Return how many bursts there were, and how long they took together."""
    ios = fio.ios / work.processes
    # Where it could not do as many as it was to within a burst, it took longer, and paused as long.
    return (bursts := ios / work.burst_ios), max(
        fio.runtime_s - math.floor(bursts) * work.pause_s, ios / (work.peak_iops or math.inf)
    )
