# SPDX-License-Identifier: Apache-2.0
"""A tracer at work with a CPU of its own, a producer of its events beside it, and bursts of them."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import tracer
from bpfbench.inside.child import Launch
from bpfbench.inside.drain.burst import Burst, Producer, watch
from bpfbench.inside.kernel import bpf
from bpfbench.inside.kernel.ring import Ring, wait_empty
from bpfbench.inside.kernel.tasks import stopped
from bpfbench.inside.tracer import TracerProcess
from bpfbench.model import TARGET_COMM, TracerConfig, least_output_bytes
from bpfbench.model.drain import DrainSpec

ENOUGH_S = 0.3
ENOUGH_EVENTS = 200_000
ENOUGH_BYTES = 128 * 2**20
ENOUGH_BURSTS = 256
ENOUGH_ELAPSED_S = 2.0
"""Bursts go on until one of these is reached: time draining, events, their bytes, bursts, time altogether."""
REFRESHED_BYTES = 2**28
PATIENCE_S = 20.0
"""How long bursts go on where not one was undisturbed. They have to: with a large ring there is time for few."""


@dataclass
class AtWork:
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


def refresh(folder: Path, config: TracerConfig) -> None:
    """Write as much as a tracer will, or more, and delete it, so that each begins with the same free memory.

    A host takes free pages back from a virtual machine, and whoever writes into such a page waits until the host has
    found another: on the 2-CPU machine four times as long for each byte.

    Raises:
        StepError: there is no room.
    """
    most_events = min(ENOUGH_EVENTS, ENOUGH_BYTES // config.event_bytes)
    size = max(REFRESHED_BYTES, most_events * least_output_bytes(config.event_bytes, config.format))
    path, block = folder / "refresh", bytes(2**20)
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(size // len(block)):
                file.write(block)
    except OSError as error:
        raise StepError(f"the output's file system cannot take {size >> 20} MiB: {error.strerror}") from None
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def at_work(spec: DrainSpec, command: tuple[str, ...], cpus: dict[str, Set[int]]) -> Iterator[AtWork]:
    """Have a tracer at work, and know what an event takes in its ring. On leaving, it is gone.

    Raises:
        StepError: it did not start, or does not see the producer's reads.
    """
    stderr, data = (Path(spec.output_dir) / name for name in ("stderr", "data"))
    with (
        _moved_to(cpus["others"]),
        Producer(TARGET_COMM, data, cpus["others"]) as producer,
        TracerProcess(Launch(command, cpus["tracer"], stderr)) as traced,
    ):
        traced.wait_ready(spec.ready_s)
        os.setpriority(os.PRIO_PROCESS, 0, -20)  # only of this process, which is to be there when something happens
        with Ring(_ring_of(traced.pid_tracing)) as ring:
            found = AtWork(spec, traced, ring, producer)
            _measure_slot(found)
            yield found


@contextlib.contextmanager
def _moved_to(cpus: Set[int]) -> Iterator[None]:
    """Have this process on these CPUs; on leaving, both they and its priority are what they were."""
    allowed, niceness = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        os.setpriority(os.PRIO_PROCESS, 0, niceness)


def _ring_of(pid: int) -> int:
    rings = bpf.ring_buffers_of(pid)
    if len(rings) != 1:
        raise StepError(
            f"the tracing process, {pid}, holds {len(rings)} BPF ring buffers open; it takes one to measure"
        )
    return next(iter(rings))


def _measure_slot(run: AtWork) -> None:
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


def drain_repeatedly(run: AtWork) -> None:
    """Fill its ring and have it emptied, until that was done often enough."""
    begin_s = time.monotonic()
    # Not always the same: what is done every so many events, such as to write the output, has to fall anywhere.
    shortfall = random.Random(0)  # noqa: S311 - the same every time
    most_short = min(run.slots // 4, 16)
    pid = run.traced.pid_tracing
    with stopped(pid):
        while not enough(run.bursts, run.spec.config.event_bytes, time.monotonic() - begin_s):
            fill(run, run.slots - shortfall.randint(0, most_short))
            run.bursts.append(watch(run.ring, pid, run.slot_bytes, run.spec.drain_s, run.traced.alive))


def fill(run: AtWork, events: int) -> None:
    """Put so many events into the ring of a stopped tracer."""
    before = run.ring.produced
    run.producer.read(events)
    made = (run.ring.produced - before) / run.slot_bytes
    if made != events:
        raise StepError(f"{events} reads made {made:g} events; is another process named {TARGET_COMM} at work?")
