# SPDX-License-Identifier: Apache-2.0
"""The drain rate of one tracer, in bursts; and what an event takes on the kernel side, by run-time counters."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import tracer
from bpfbench.inside.child import Launch
from bpfbench.inside.drain.burst import Burst, Producer, watch
from bpfbench.inside.kernel import bpf
from bpfbench.inside.kernel.bpf import RunTimes
from bpfbench.inside.kernel.ring import Ring, wait_empty
from bpfbench.inside.kernel.tasks import stopped
from bpfbench.inside.tracer import TracerProcess
from bpfbench.model import TARGET_COMM, TracerSummary
from bpfbench.model.drain import DrainResult, DrainSpec, KernelTime

ENOUGH_S = 0.3
ENOUGH_EVENTS = 200_000
ENOUGH_BYTES = 128 * 2**20
ENOUGH_BURSTS = 256
ENOUGH_ELAPSED_S = 2.0
"""Bursts go on until one of these is reached: time draining, events, their bytes, bursts, time altogether."""
PATIENCE_S = 20.0
"""How long bursts go on where not one was undisturbed. They have to: with a large ring there is time for few."""

KERNEL_ROUNDS_MAX = 200
WAKE_UPS = 500
"""How many events are to wake the tracer up."""
ASLEEP_S = 0.0002
"""After so long with an empty ring, a tracer that sleeps at all is asleep."""


@dataclass
class _Run:
    """One tracer at work."""

    spec: DrainSpec
    traced: TracerProcess
    ring: Ring
    producer: Producer
    slot_bytes: int = 0
    slots: int = 0
    bursts: list[Burst] = field(default_factory=list)
    refused: int = 0
    """Events that met a full ring, as they were to."""
    kernel: KernelTime | None = None


def run(spec: DrainSpec) -> DrainResult:
    """Measure one tracer.

    Raises:
        StepError: a step could not be done.
    """
    cpus = cpus_apart(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cpus["others"])
    output, summary, stderr, data = (Path(spec.output_dir) / name for name in ("out", "summary.json", "stderr", "data"))
    options = tracer.arguments(spec.tool, spec.config, output, summary)
    with (
        Producer(TARGET_COMM, data, cpus["others"]) as producer,
        TracerProcess(Launch((*spec.tracer_command, *options), cpus["tracer"], stderr)) as traced,
    ):
        traced.wait_ready(spec.ready_s)
        os.setpriority(os.PRIO_PROCESS, 0, -20)  # only of this process, which is to be there when something happens
        with Ring(_ring_of(traced.pid_tracing)) as ring:
            found = _Run(spec, traced, ring, producer)
            _measure_slot(found)
            _drain_repeatedly(found)
            if spec.kernel_events:
                found.kernel = _kernel_side(found)
        status = traced.stop(spec.drain_s)
    return _result(found, cpus, tracer.read_summary(summary), status, output)


def cpus_apart(allowed: Set[int]) -> dict[str, Set[int]]:
    """Say which CPU the tracer has for itself, and which everything else.

    Raises:
        StepError: there is only one.
    """
    last = {max(allowed)}
    if not allowed - last:
        raise StepError("the drain rate needs 2 CPUs: one for the tracer, one to watch it from")
    return {"tracer": last, "others": allowed - last}


def chosen(bursts: Sequence[Burst]) -> list[Burst]:
    """Return the bursts that count: fine or coarse, whichever more are, as the two do not mix."""
    fine, coarse = ([burst for burst in bursts if burst.counts and burst.coarse is kind] for kind in (False, True))
    return fine if len(fine) >= len(coarse) else coarse


def enough(bursts: Sequence[Burst], event_bytes: int, elapsed_s: float) -> bool:
    """Tell whether there are enough bursts."""
    counting = chosen(bursts)
    if not counting:
        return elapsed_s >= PATIENCE_S
    events = sum(burst.events for burst in bursts)
    return (
        sum(burst.ns for burst in counting) >= ENOUGH_S * 1e9
        or events >= ENOUGH_EVENTS
        or events * event_bytes >= ENOUGH_BYTES
        or len(bursts) >= ENOUGH_BURSTS
        or elapsed_s >= ENOUGH_ELAPSED_S
    )


def _ring_of(pid: int) -> int:
    rings = bpf.ring_buffers_of(pid)
    if len(rings) != 1:
        raise StepError(
            f"the tracing process, {pid}, holds {len(rings)} BPF ring buffers open; it takes one to measure"
        )
    return next(iter(rings))


def _measure_slot(run: _Run) -> None:
    """See what one event takes in the ring. bpftrace's are larger than the others'."""
    before = run.ring.produced
    run.producer.read(1)
    wait_empty(run.ring, run.spec.drain_s)
    run.slot_bytes = run.ring.produced - before
    if run.slot_bytes <= 0:
        raise StepError("the tracer does not see the producer's reads")
    size = run.spec.config.ringbuf_bytes or tracer.DEFAULT_RINGBUF_BYTES
    run.slots = (size - 1) // run.slot_bytes  # the kernel never lets a ring be filled to the last byte
    if run.slots < 2:
        raise StepError(f"a ring of {size} bytes holds {run.slots} events of {run.slot_bytes} bytes; 2 are wanted")


def _drain_repeatedly(run: _Run) -> None:
    begin_s = time.monotonic()
    # Not always the same: what is done every so many events, such as to write the output, has to fall anywhere.
    shortfall = random.Random(0)  # noqa: S311 - the same every time
    most_short = min(run.slots // 4, 16)
    pid = run.traced.pid_tracing
    with stopped(pid):
        while not enough(run.bursts, run.spec.config.event_bytes, time.monotonic() - begin_s):
            _fill(run, run.slots - shortfall.randint(0, most_short))
            run.bursts.append(watch(run.ring, pid, run.slot_bytes, run.spec.drain_s, run.traced.alive))


def _fill(run: _Run, events: int) -> None:
    """Put so many events into the ring of a stopped tracer."""
    before = run.ring.produced
    run.producer.read(events)
    made = (run.ring.produced - before) / run.slot_bytes
    if made != events:
        raise StepError(f"{events} reads made {made:g} events; is another process named {TARGET_COMM} at work?")


@dataclass(frozen=True, slots=True)
class Grown:
    """By how much run-time counters have grown during reads of one kind."""

    reads: int = 0
    programs: RunTimes = field(default_factory=dict)


def _kernel_side(run: _Run) -> KernelTime:
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
                _fill(run, 1)  # the one that would wake the tracer up
                take("busy", events, run.producer.read)
            wait_empty(run.ring, run.spec.drain_s)
        with stopped(run.traced.pid_tracing):
            _fill(run, run.slots)
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


def _read_slowly(run: _Run, times: int) -> None:
    """Have it read, each time when the tracer has saved the event before and gone to sleep."""
    for _ in range(times):
        run.producer.read(1)
        wait_empty(run.ring, run.spec.drain_s)
        time.sleep(ASLEEP_S)


def _result(run: _Run, cpus: dict[str, Set[int]], summary: TracerSummary, status: int, output: Path) -> DrainResult:
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
        kernel=run.kernel,
        problems=tuple(_problems(run, summary, status, output)),
        versions=summary.versions,
        cpus={role: tuple(sorted(numbers)) for role, numbers in cpus.items()},
    )


def _problems(run: _Run, summary: TracerSummary, status: int, output: Path) -> list[str]:
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
