# SPDX-License-Identifier: Apache-2.0
"""The rings of a tracer, or its perf buffers, and who empties them: as the kernel tells of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from bpfbench.inside.conformance import judge, loads
from bpfbench.inside.conformance.driven import DELIVERED_S, Driven
from bpfbench.inside.conformance.judge import FailedError, expect
from bpfbench.inside.conformance.output import Event
from bpfbench.inside.conformance.together import failures_of
from bpfbench.inside.kernel import bpf, perf_buffer, tasks
from bpfbench.inside.kernel.perf_buffer import PerfBuffer
from bpfbench.inside.kernel.ring import Ring
from bpfbench.inside.kernel.tasks import Scheduled
from bpfbench.model import EVENT_BYTES, PER_CPU, RING_HEADER_BYTES, Buffer, RingAccount

Threads = Mapping[int, Scheduled]


@contextlib.contextmanager
def watched(tracer: Driven) -> Iterator[Callable[[], tuple[RingAccount, ...]]]:
    """Keep its rings, or perf buffers, from vanishing; yield what tells what has gone through each so far.

    Raises:
        StepError: it has ended, or one cannot be mapped.
    """
    with contextlib.ExitStack() as opened:
        found: list[tuple[int, Ring | PerfBuffer]] = []
        for size, own in _of(tracer):
            opened.push(own)
            found.append((size, own))
        yield lambda: tuple(RingAccount(size, own.produced, own.consumed) for size, own in found)


def _of(tracer: Driven) -> Iterator[tuple[int, Ring | PerfBuffer]]:
    if tracer.options.get("--buffer") == Buffer.PERF:
        yield from ((own.bytes, own) for own in perf_buffer.buffers_of(tracer.pid_tracing))
    else:
        sizes, numbers = bpf.ring_buffers(), set(descriptors(tracer).values())
        yield from ((sizes[number], Ring(number)) for number in numbers)


def descriptors(tracer: Driven) -> dict[int, int]:
    """Return the ids of its rings by its descriptors.

    Raises:
        StepError: it has none, as one that has ended.
    """
    with contextlib.suppress(FileNotFoundError):
        if found := bpf.ring_descriptors_of(tracer.pid_tracing):
            return found
    raise FailedError("it has no rings any more")


def accounts(tracer: Driven) -> tuple[RingAccount, ...]:
    """Return what has gone through each so far.

    Raises:
        StepError: it has ended, or one cannot be mapped.
    """
    with watched(tracer) as told:
        return told()


def untaken(tracers: Iterable[Driven]) -> dict[Driven, str]:
    """Wait until the rings of all are empty, while all go on, and return the failures of each."""
    until_s = time.monotonic() + DELIVERED_S

    def wait(tracer: Driven) -> None:
        with watched(tracer) as told:
            while (left := _left(told())) and time.monotonic() < until_s:
                time.sleep(0.01)
        expect(not left, f"{left} bytes of events were still in the rings after {DELIVERED_S:g} s")

    return failures_of(tracers, wait)


def _left(found: Iterable[RingAccount]) -> int:
    return sum(own.produced_bytes - own.consumed_bytes for own in found)


def expect_as_asked(tracer: Driven, found: Sequence[RingAccount], events: Sequence[Event]) -> None:
    """Make sure that there are as many rings as were asked for, and that events went through the right ones.

    Which one is whose, nobody tells. But no ring can have had less than its events take: of none, where nothing tells
    which those are.
    """
    size, cpus = int(tracer.options["--ringbuf-bytes"]), sorted(os.sched_getaffinity(0))
    wanted = _wanted(tracer)
    sizes = [own.bytes for own in found]
    expect(sizes == wanted * [size], f"its rings are of {sizes} bytes, where {wanted} of {size} were asked for")
    if tracer.by_cpu:
        least = Counter(loads.cpu_of(event.offset, cpus) for event in events if event.offset)
    else:
        least = Counter(event.tid % wanted for event in events)
    held = sorted((own.produced_bytes for own in found), reverse=True)
    needed = sorted((n * (EVENT_BYTES + RING_HEADER_BYTES) for n in least.values()), reverse=True)
    enough = len(needed) <= len(held) and all(has >= needs for has, needs in zip(held, needed, strict=False))
    expect(enough, f"{held} bytes went through its rings, where these events take {needed} of different ones")


def _wanted(tracer: Driven) -> int:
    if tracer.options.get("--buffer") == Buffer.PERF:
        return os.sysconf("SC_NPROCESSORS_ONLN")
    rings = tracer.options["--rings"]
    return bpf.possible_cpus() if rings == PER_CPU else int(rings)


def expect_order(tracer: Driven, events: Sequence[Event]) -> None:
    """Make sure that the events of who moves, and of all others, are in the order that the contract has."""
    cpus = sorted(os.sched_getaffinity(0)) if tracer.by_cpu else [0]
    judge.in_order(events, lambda event: loads.cpu_of(event.offset, cpus))
    judge.numbered(events)


def expect_threads(tracer: Driven, before: Threads) -> None:
    """Make sure that as many threads have run since as had rings to empty, or as there are CPUs if those are fewer.

    A library's tasks, which need no thread each, take as many as can run at once.
    """
    used = sum(own.produced_bytes > 0 for own in accounts(tracer))
    now = tasks.scheduled_threads(tracer.pid_tracing)
    ran = sum(own.ran_ns > (before[thread].ran_ns if thread in before else 0) for thread, own in now.items())
    wanted = min(used, len(os.sched_getaffinity(0)))
    expect(ran >= wanted, f"{ran} of its threads ran, where {used} rings had events, each for a consumer of its own")
