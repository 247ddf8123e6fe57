# SPDX-License-Identifier: Apache-2.0
"""Overheads whose truth is known: a target, tracers that cost so and so much, a machine that drifts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bpfbench.model import Status, TargetMetric
from bpfbench.model.command import BpfObject, BpfUse, CommandTracer
from bpfbench.model.target import (
    CommandTarget,
    OverheadRecord,
    OverheadResult,
    OverheadStudy,
    Subject,
    TargetRun,
    TracerRun,
)

TPS = TargetMetric("tps", "1/s", pattern="tps = (.*)")
BPF = BpfUse((BpfObject("kprobe", "read", 4096),), (BpfObject("hash", "counts", 8192), BpfObject("ringbuf", "r", 8192)))


def study(
    *tracers: str, metrics: Sequence[TargetMetric] = (), rounds: int | None = None, together: bool = False
) -> OverheadStudy:
    """These tracers, of a target that is called `work`."""
    commands = tuple(CommandTracer(called, () if called == "none" else (called,)) for called in tracers)
    return OverheadStudy(
        CommandTarget("work", ("work",), metrics=tuple(metrics)), commands, rounds=rounds, together=together
    )


def ran(time_s: float, *, traced: int = 0, **values: float) -> OverheadResult:
    """A trial that worked."""
    target = TargetRun({"time": time_s, "CPU": time_s / 2, **values}, time_s / 4, time_s / 4, "cgroup-v2")
    tracer = TracerRun("links 1", 0.2, 0.1, 0.01 * time_s, 0.02 * time_s, 2**20, None, 0.1, BPF)
    return OverheadResult(Status.OK, None, target, (tracer,) * traced)


def failed(reason: str) -> OverheadResult:
    """One that did not."""
    return OverheadResult(Status.FAILED, reason, None, (), {"tracer": ("first line", "last line")})


def record(number: int, tracer: Subject | int, result: OverheadResult, place: int = 1) -> OverheadRecord:
    """The record of a trial."""
    tracers = (tracer,) if isinstance(tracer, int) else tracer
    return OverheadRecord(number, place, tracers, "2026-01-02T03:04:05+00:00", 2.0, result)


def rounds(
    costs: Mapping[int, float] | Mapping[Subject, float],
    count: int,
    *,
    sd: float = 0.02,
    seed: int = 1,
    drift: float = 0.1,
) -> list[OverheadRecord]:
    """So many rounds of tracers that take so many times as long as bare.

    Args:
        costs: by position, or by those that run at once.
        count: of rounds.
        sd: of the logarithm of a run's time.
        seed: of all that is random.
        drift: SD of the logarithm of what a round takes.
    """
    rng = np.random.default_rng(seed)
    found = []
    for number in range(1, count + 1):
        level = 10 * math.exp(drift * rng.standard_normal())
        for tracer, cost in (((), 1.0), ((), 1.0), *costs.items()):
            time_s = level * cost * math.exp(sd * rng.standard_normal())
            traced = 1 if isinstance(tracer, int) else len(tracer)
            found.append(record(number, tracer, ran(time_s, traced=traced, tps=1000 / time_s)))
    return found
