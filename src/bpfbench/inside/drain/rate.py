# SPDX-License-Identifier: Apache-2.0
"""The drain rate of one tracer, in bursts; and what an event takes on the kernel side, by run-time counters."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import tracer
from bpfbench.inside.drain import least
from bpfbench.inside.drain.at_work import AtWork, at_work, chosen, cpus_apart, drain_repeatedly, fill, refresh
from bpfbench.inside.kernel import bpf
from bpfbench.inside.kernel.bpf import RunTimes
from bpfbench.inside.kernel.ring import wait_empty
from bpfbench.inside.kernel.tasks import stopped
from bpfbench.model import TracerSummary
from bpfbench.model.drain import DrainResult, DrainSpec, KernelTime
from bpfbench.model.roofline import Roofline, Sink, together

KERNEL_ROUNDS_MAX = 200
WAKE_UPS = 500
"""How many events are to wake the tracer up."""
ASLEEP_S = 0.0002
"""After so long with an empty ring, a tracer that sleeps at all is asleep."""


def run(spec: DrainSpec) -> DrainResult:
    """Measure one tracer, and right before and right after it the least that one can do.

    Raises:
        StepError: a step could not be done.
    """
    cpus = cpus_apart(os.sched_getaffinity(0))
    output, summary = (Path(spec.output_dir) / name for name in ("out", "summary.json"))
    options = tracer.arguments(spec.tool, spec.config, output, summary)
    before = _allowed(spec, cpus, Sink.CACHED, Sink.NULL)
    if spec.timed:
        refresh(output.parent, spec.config)
    with at_work(spec, (*spec.tracer_command, *options), cpus) as found:
        drain_repeatedly(found)
        kernel = _kernel_side(found) if spec.kernel_events else None
        status = found.traced.stop(spec.drain_s)
    account = tracer.read_summary(summary)
    problems = tuple(_problems(found, account, status, output))
    allowed = together(before, _allowed(spec, cpus, Sink.CACHED))
    return _result(found, cpus, kernel, allowed, account, problems)


def _allowed(spec: DrainSpec, cpus: dict[str, Set[int]], *sinks: Sink) -> Roofline:
    """Return what the least that a tracer can do comes to, where that counts."""
    return least.beside(spec, cpus, sinks) if spec.timed else Roofline()


@dataclass(frozen=True, slots=True)
class Grown:
    """By how much run-time counters have grown during reads of one kind."""

    reads: int = 0
    programs: RunTimes = field(default_factory=dict)


def _kernel_side(run: AtWork) -> KernelTime:
    """Take the run time of the tracer's programs per event in each state of the ring."""
    programs = bpf.programs_of(run.traced.pid_tracing, run.traced.pid)
    grown: defaultdict[str, Grown] = defaultdict(Grown)
    wanted = run.spec.kernel_events
    events = min(run.slots // 2, wanted)

    def take(kind: str, times: int, read: Callable[[int], None]) -> None:
        so_far = grown[kind]
        before = bpf.run_times(programs, since=so_far.programs)  # less what they had grown by already
        read(times)
        grown[kind] = Grown(so_far.reads + times, bpf.run_times(programs, since=before))

    with bpf.run_time_counted():
        wait_empty(run.ring, run.spec.drain_s)
        take("other", wanted, _read_as_other)
        take("waiting", WAKE_UPS, lambda times: _read_slowly(run, times))
        for _ in range(min(-(-wanted // events), KERNEL_ROUNDS_MAX)):
            with stopped(run.traced.pid_tracing):
                fill(run, 1)  # the one that would wake the tracer up
                take("busy", events, run.producer.read)
            wait_empty(run.ring, run.spec.drain_s)
        with stopped(run.traced.pid_tracing):
            fill(run, run.slots)
            take("full", wanted, run.producer.read)
            run.refused += wanted
    wait_empty(run.ring, run.spec.drain_s)
    return kernel_time(grown)


def kernel_time(grown: Mapping[str, Grown]) -> KernelTime:
    """Work out the run time per read.

    Counted are the programs that ran for every read of every kind: the tracer's others are for calls we do not make.
    They also run for other processes on the machine; that is taken off, at what the reads of an unwatched process cost.

    Raises:
        StepError: there are no such programs.
    """
    others = grown["other"].programs
    every = [number for number in others if all(kind.programs[number][1] >= kind.reads for kind in grown.values())]
    if not every:
        raise StepError(f"none of the {len(others)} programs of the tracer ran for each of our reads")

    def per_read(kind: Grown) -> float:
        total_ns = 0.0
        for number in every:
            ns, runs = kind.programs[number]
            other_ns, other_runs = others[number]
            total_ns += (ns - (runs - kind.reads) * other_ns / other_runs) / kind.reads
        return total_ns

    return KernelTime(**{f"{kind}_ns": per_read(grown[kind]) for kind in ("waiting", "busy", "full", "other")})


def _read_as_other(times: int) -> None:
    """Read as a process that is not the target."""
    with Path("/proc/self/comm").open("rb") as file:
        for _ in range(times):
            os.pread(file.fileno(), 1, 0)


def _read_slowly(run: AtWork, times: int) -> None:
    """Have it read, each time when the tracer has saved the event before and gone to sleep."""
    for _ in range(times):
        run.producer.read(1)
        wait_empty(run.ring, run.spec.drain_s)
        time.sleep(ASLEEP_S)


def _result(
    run: AtWork,
    cpus: dict[str, Set[int]],
    kernel: KernelTime | None,
    allowed: Roofline,
    summary: TracerSummary,
    problems: tuple[str, ...],
) -> DrainResult:
    counting = chosen(run.bursts)
    rates = [burst.events_per_s for burst in counting]
    return DrainResult(
        slot_bytes=run.slot_bytes,
        slots=run.slots,
        bursts=len(counting),
        disturbed=len(run.bursts) - len(counting),
        coarse=any(burst.coarse for burst in counting),
        events=sum(burst.events for burst in counting),
        seconds=sum(burst.ns for burst in counting) / 1e9,
        cpu_s=sum(burst.cpu_ns for burst in run.bursts) / 1e9,
        cpu_events=sum(burst.cpu_events for burst in run.bursts),
        burst_events_per_s=(min(rates), statistics.median(rates), max(rates)) if rates else None,
        events_total=run.producer.reads,
        kernel=kernel,
        allowed=allowed,
        problems=problems,
        versions=summary.versions,
        cpus={role: tuple(sorted(numbers)) for role, numbers in cpus.items()},
    )


def _problems(run: AtWork, summary: TracerSummary, status: int, output: Path) -> list[str]:
    """Check what must hold: nothing but what met a full ring was lost, and the output has everything else."""
    spec = run.spec
    written = tracer.count_events(output, spec.tool, spec.config)
    reads, saved = run.producer.reads, run.producer.reads - run.refused
    lost = {cause: n for cause, n in {**summary.lost, "ring_full": 0}.items() if n}
    demands = {
        f"the tracer ended with status {status}, error: {summary.error}": status == 0 and summary.error is None,
        f"{reads} reads were done, the tracer intercepted {summary.intercepted_total}": reads
        == summary.intercepted_total,
        f"{saved} events fitted, the tracer saved {summary.saved}": saved == summary.saved,
        f"{run.refused} events met a full ring, the tracer lost {summary.lost}": not lost
        and summary.lost.get("ring_full") in (run.refused, None),
        f"the tracer saved {summary.saved} events, the output has {written}": written == summary.saved,
        f"all {len(run.bursts)} bursts were disturbed": any(burst.counts for burst in run.bursts),
    }
    return [text for text, holds in demands.items() if not holds]
