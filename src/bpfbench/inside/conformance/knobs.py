# SPDX-License-Identifier: Apache-2.0
"""Cases of the knobs, the options that a tracer may lack: what one does is seen, and no event is lost by it.

A tracepoint takes 64 programs, so that a case has no more than 7 settings, with 8 setups that have all knobs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bpfbench.inside.conformance import loads, program, rings
from bpfbench.inside.conformance.alone import alone, check_full_disk
from bpfbench.inside.conformance.driven import COMM, DELIVERED_S, RINGBUF_BYTES, Driven, Left
from bpfbench.inside.conformance.judge import expect
from bpfbench.inside.conformance.together import (
    TINY,
    Judge,
    failures_of,
    judged,
    together,
    watch_events,
    watch_overflow,
)
from bpfbench.inside.kernel import bpf, epoll, perf_buffer, tasks
from bpfbench.model import EVENT_BYTES, EVENT_TOOLS, Format, RingAccount, Tool, TracerSummary

READS, PROCESSES = 2003, 8
"""Of one process; and how many there are where each ring is to have events."""
FEWER_READS = 251
"""Of one of those, which together fill no more than half of anything."""

MIB = 2**20
NEVER, BEYOND = {"--wakeup": "never"}, {"--wakeup": f"watermark:{RINGBUF_BYTES - 1}"}
LOW, BUSY = {"--wakeup": "watermark:4096"}, {"--wakeup": "poll"}

RING = {"--ringbuf-bytes": str(4 * MIB)}
THREE, EACH_CPU, CONSUMERS = {"--rings": "3", **RING}, {"--rings": "cpu", **RING}, {"--consumers": "ring"}
SEVERAL = (THREE, {**THREE, **CONSUMERS})
OF_SEVERAL = tuple({**wakeup, **several} for wakeup in (NEVER, LOW, BUSY) for several in SEVERAL)
RINGS = (*SEVERAL, EACH_CPU, {**EACH_CPU, **CONSUMERS}, {**THREE, **CONSUMERS, **TINY})

LARGE_BUFFER = {"--output-bytes": str(MIB)}
SMALL_BUFFER = {"--output-bytes": "4096"}
FEW_WRITES = 20
"""What a tracer may write besides, be it to wake itself."""

PERF = {"--buffer": "perf"}
PERF_BUFFERS = {**PERF, "--ringbuf-bytes": str(MIB)}
"""Less than half of one is filled, so that whoever wakes the consumer for that does not."""
PERF_BEYOND = {"--wakeup": f"watermark:{MIB - 1}"}
EDGE = {"--epoll": "edge"}
LATE = {**EDGE, "--poll-ms": "60000"}
"""No wait ends by its time-out before what was read has to be taken."""
EDGES = (LATE, {**LATE, "--wakeup": "watermark:1"}, {**LATE, **THREE}, {**LATE, **THREE, **CONSUMERS})
QUICK_LOADS, QUICK_READS, SINGLE_READS, SINGLE_PAUSE_S = 5, 10007, 1009, 0.0001

FEW = 5
"""Reads that fill nothing."""
LONG_MS, LATE_S = 2000, 2.0
"""A time-out that no library has by itself; and how late a tracer may be, beside fifty, some of which never sleep."""
TIME_OUTS = (
    {**NEVER, "--poll-ms": "10"},
    *({**wakeup, "--poll-ms": str(LONG_MS)} for wakeup in (NEVER, LOW, BUSY, EDGE)),
    {**NEVER, **THREE, **CONSUMERS, "--poll-ms": str(LONG_MS)},
)
IDLE_S, AWAKE = 1.0, 0.5
"""For how long nothing comes; and for which share of it a tracer is awake that spins, and none that sleeps for a tenth
of a second at a time: the one is so all the time, be it in wait for a CPU, the other as long as ten looks take."""

IDLE = (BUSY, NEVER, {**PERF_BUFFERS, **BUSY}, *({**wakeup, **THREE, **CONSUMERS} for wakeup in (BUSY, NEVER)))

VARIABLE = {"--records": "variable"}
SHORT_READS = 1009
"""Of 512 bytes each: so many records fit into a ring of 1 MiB, if each takes no more than it needs."""


def _watch_wakeups(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """All that was read comes out, by and by and at the end, and wakes whom it is to wake."""

    def load() -> None:
        loads.reads(COMM, work, FEWER_READS, PROCESSES)

    reads = PROCESSES * FEWER_READS
    with contextlib.ExitStack() as watching:
        for tracer in tracers:
            watching.enter_context(tracer.frozen())
        watched = {tracer: watching.enter_context(_waiting(tracer)) for tracer in tracers}
        load()
        woken = {tracer for tracer, is_woken in watched.items() if is_woken()}
    failures = _undelivered(tracers, reads)

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        _expect_all(tracer, left, summary, 2 * reads)
        right = (tracer in woken) == (tracer.options["--wakeup"] == LOW["--wakeup"])
        expect(right, f"{reads} events in rings {'woke' if tracer in woken else 'did not wake'} who waited for them")

    return _stopped_with_full_rings(tracers, load, judge_one) | failures


@contextlib.contextmanager
def _waiting(tracer: Driven) -> Iterator[Callable[[], bool]]:
    """Wait as it does for its rings, or perf buffers, but by edges; yield what tells whether an event has woken.

    What rings hold is nothing then. Of a perf event without a buffer there is only that, a hang-up; and of one with a
    buffer a wake-up is told once, to whoever asks first: the tracer does not learn of it.
    """
    pid = tracer.pid_tracing
    with select.epoll() as waiting, contextlib.ExitStack() as opened:
        maps, events = map(bpf.open_map, bpf.ring_buffers_of(pid)), perf_buffer.events_of(pid)
        for fd in itertools.chain(maps, events):
            opened.callback(os.close, fd)
            waiting.register(fd, select.EPOLLIN | select.EPOLLET)
        waiting.poll(0)
        yield lambda: any(mask & select.EPOLLIN for _, mask in waiting.poll(0))


def _undelivered(tracers: Sequence[Driven], events: int) -> dict[Driven, str]:
    """Wait until so many events are in each output, while all go on, and return the failures of each."""
    until_s = time.monotonic() + DELIVERED_S

    def wait(tracer: Driven) -> None:
        while (written := _written(tracer)) < events and time.monotonic() < until_s:
            time.sleep(0.1)
        expect(written >= events, f"{written} events of {events} were in the output after {DELIVERED_S:g} s")

    return failures_of(tracers, wait)


def _written(tracer: Driven) -> int:
    data = Path(tracer.options["--output"]).read_bytes()
    return data.count(b"\n") if tracer.form is Format.TEXT else len(data) // EVENT_BYTES


def _stopped_with_full_rings(
    tracers: Sequence[Driven], load: Callable[[], None], judge_one: Judge
) -> dict[Driven, str]:
    """Stop all with events in their rings that they have not seen yet, and return the failures of each."""
    with contextlib.ExitStack() as frozen:
        for tracer in tracers:
            frozen.enter_context(tracer.frozen())
        load()
        for tracer in tracers:
            tracer.send(signal.SIGINT)
    return failures_of(tracers, lambda tracer: judge_one(tracer, *tracer.stop_well()))


def _expect_all(tracer: Driven, left: Left, summary: TracerSummary, reads: int) -> None:
    found, said = len(tracer.events(left)), summary.intercepted.get("read", 0)
    expect(
        said == summary.saved == found == reads,
        f"{said} intercepted, {summary.saved} saved, {found} in the output of {reads} reads; lost {summary.lost}",
    )


def _watch_edges(tracers: list[Driven], __: Tool, work: Path) -> dict[Driven, str]:
    """All that was read is taken, though nothing but a wake-up ends a wait, and who misses one is not woken again.

    While one process reads as fast as it can, a consumer falls asleep just as an event comes, now and then. Several
    fill all rings. Single events find it asleep.
    """
    failures: dict[Driven, str] = {}
    for _ in range(QUICK_LOADS):
        loads.reads(COMM, work, QUICK_READS)
        failures |= rings.untaken(tracer for tracer in tracers if tracer not in failures)
    loads.reads(COMM, work, READS, PROCESSES)
    loads.reads(COMM, work, SINGLE_READS, pause_s=SINGLE_PAUSE_S)
    failures = failures_of(tracers, _expect_edges) | rings.untaken(tracers) | failures

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        _expect_all(tracer, left, summary, QUICK_LOADS * QUICK_READS + PROCESSES * READS + SINGLE_READS)

    return judged(tracers, judge_one) | failures


def _expect_edges(tracer: Driven) -> None:
    """Make sure that it waits for each of its rings by edges."""
    number_of, awaited = rings.descriptors(tracer), epoll.edge_triggered(tracer.pid_tracing)
    all_rings = set(number_of.values())
    by_level = all_rings - {number for fd, number in number_of.items() if fd in awaited}
    expect(not by_level, f"{len(by_level)} of {len(all_rings)} rings are not waited for by edges")


def _watch_rings(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """All events come out of as many rings as were asked for, by as many threads, and as much in order as can be."""
    before = {tracer: tasks.scheduled_threads(tracer.pid_tracing) for tracer in tracers}
    found: dict[Driven, tuple[RingAccount, ...]] = {}

    def load() -> None:
        loads.reads(COMM, work, READS, PROCESSES, moving=True)

    def look(tracer: Driven) -> None:
        found[tracer] = rings.accounts(tracer)

    def load_and_look() -> None:
        load()
        failures.update(failures_of(tracers, look))

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        events, reads = tracer.events(left), 2 * (PROCESSES + 1) * READS
        rings.expect_order(tracer, events)
        rings.expect_as_asked(tracer, found.get(tracer, ()), events)
        if tracer.options["--ringbuf-bytes"] == RING["--ringbuf-bytes"]:
            _expect_all(tracer, left, summary, reads)
        else:
            full = summary.lost["ring_full"] or 0
            expect(full > 0 and summary.saved == len(events), f"{full} lost by rings of a page; saved {summary.saved}")
            expect(summary.intercepted.get("read") == reads, f"intercepted {summary.intercepted}")

    load()
    failures = rings.untaken(tracers)
    several = [tracer for tracer in tracers if tracer.options.get("--consumers") == CONSUMERS["--consumers"]]
    failures |= failures_of(several, lambda tracer: rings.expect_threads(tracer, before[tracer]))
    return _stopped_with_full_rings(tracers, load_and_look, judge_one) | failures


def _watch_time_outs(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """Output is written when nothing has been added for --poll-ms: that long after a read at least.

    At most it takes twice that, as what comes may have to wait for as long until it is taken.
    """
    since_s = time.monotonic()
    loads.reads(COMM, work, FEW)
    loaded_s = time.monotonic()
    written_s: dict[Driven, float] = {}
    while len(written_s) < len(tracers) and time.monotonic() < loaded_s + 2 * LONG_MS / 1000 + LATE_S:
        for tracer in tracers:
            if tracer not in written_s and Path(tracer.options["--output"]).stat().st_size:
                written_s[tracer] = time.monotonic()
        time.sleep(0.01)

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        _expect_all(tracer, left, summary, FEW)
        poll_s, when_s = int(tracer.options["--poll-ms"]) / 1000, written_s.get(tracer, float("inf"))
        expect(when_s >= since_s + poll_s, f"its output was written {when_s - since_s:.2f} s after reads, or sooner")
        late_s = when_s - loaded_s
        expect(late_s <= 2 * poll_s + LATE_S, f"nothing was written until {late_s:.2f} s after all reads")

    return judged(tracers, judge_one)


def _watch_idle(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """While nothing comes, who looks without a pause does not sleep, and who sleeps for --poll-ms does little else."""
    before = {tracer: (time.monotonic_ns(), _awake_ns(tracer)) for tracer in tracers}
    time.sleep(IDLE_S)
    awake = {
        tracer: (_awake_ns(tracer) - awake_ns) / (time.monotonic_ns() - then_ns)
        for tracer, (then_ns, awake_ns) in before.items()
    }
    loads.reads(COMM, work, FEW)

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        _expect_all(tracer, left, summary, FEW)
        right = (awake[tracer] > AWAKE) == (tracer.options["--wakeup"] == BUSY["--wakeup"])
        expect(right, f"it was awake for {awake[tracer]:.0%} of a second in which nothing came")

    return judged(tracers, judge_one)


def _awake_ns(tracer: Driven) -> int:
    """Return for how long its threads have run or waited for a CPU, of which those that spin here have too few."""
    return sum(own.ran_ns + own.delayed_ns for own in tasks.scheduled_threads(tracer.pid_tracing).values())


def _watch_writes(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """What was collected in the ring is written in as many pieces as the buffer makes of it."""
    before, reads = {}, PROCESSES * READS
    with contextlib.ExitStack() as frozen:
        for tracer in tracers:
            frozen.enter_context(tracer.frozen())
            before[tracer] = tasks.io(tracer.pid_tracing).write_calls
        loads.reads(COMM, work, reads)
    failures = _undelivered(tracers, reads)
    writes = {tracer: tasks.io(tracer.pid_tracing).write_calls - before[tracer] for tracer in tracers}

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        _expect_all(tracer, left, summary, reads)
        size, buffer, calls = len(left.output), int(tracer.options["--output-bytes"]), writes[tracer]
        right = calls >= size // buffer if buffer < MIB else calls <= size // buffer + FEW_WRITES
        expect(right, f"{size} bytes were written by {calls} calls, with a buffer of {buffer} bytes")

    return judged(tracers, judge_one) | failures


def _watch_short(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """A ring has room for more records where they are shorter."""
    with contextlib.ExitStack() as frozen:
        for tracer in tracers:
            frozen.enter_context(tracer.frozen())
        loads.reads(COMM, work, SHORT_READS)

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        _expect_all(tracer, left, summary, SHORT_READS)

    return judged(tracers, judge_one)


CASES = {
    "wake-ups": together((Tool.RW_TRACER,), COMM, _watch_wakeups, NEVER, BEYOND, LOW, BUSY, {**LOW, **EDGE}),
    "wake-ups of rings": together((Tool.RW_TRACER,), COMM, _watch_wakeups, *OF_SEVERAL),
    "edges": together((Tool.RW_TRACER,), COMM, _watch_edges, *EDGES),
    "time-out": together((Tool.RW_TRACER,), COMM, _watch_time_outs, *TIME_OUTS),
    "idle": together((Tool.RW_TRACER,), COMM, _watch_idle, *IDLE),
    "rings": together((Tool.RW_TRACER,), COMM, _watch_rings, *RINGS),
    "output buffer": together((Tool.RW_TRACER,), COMM, _watch_writes, LARGE_BUFFER, SMALL_BUFFER),
    "larger than the buffer": together((Tool.RW_TRACER_ALL,), program.COMM, watch_events, SMALL_BUFFER),
    "variable records": together((Tool.RW_TRACER_ALL,), program.COMM, watch_events, VARIABLE),
    "variable records overflow": together((Tool.RW_TRACER_ALL,), program.COMM, watch_overflow, {**VARIABLE, **TINY}),
    "short records": together((Tool.RW_TRACER_ALL,), COMM, _watch_short, {**VARIABLE, "--ringbuf-bytes": str(MIB)}),
    "full disk of rings": alone(lambda subject, work: check_full_disk(subject, work, {**THREE, **CONSUMERS})),
    "perf events": together((Tool.RW_TRACER_ALL,), program.COMM, watch_events, PERF),
    "perf overflow": together(EVENT_TOOLS, program.COMM, watch_overflow, {**PERF, **TINY}),
    "perf wake-ups": together(
        (Tool.RW_TRACER,),
        COMM,
        _watch_wakeups,
        *({**PERF_BUFFERS, **wakeup} for wakeup in (NEVER, PERF_BEYOND, LOW, BUSY)),
    ),
    "perf buffers": together((Tool.RW_TRACER,), COMM, _watch_rings, {**PERF, **RING}, {**PERF, **TINY}),
    "full disk of perf buffers": alone(lambda subject, work: check_full_disk(subject, work, PERF)),
}
