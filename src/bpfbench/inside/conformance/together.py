# SPDX-License-Identifier: Apache-2.0
"""Cases that let all tracers watch the same calls at once. A new one: a load, a judge, a line of CASES."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bpfbench.inside.conformance import judge, loads, output, program
from bpfbench.inside.conformance.case import COMM, RW_TOOLS, ContractCase, Runner, made, verdict
from bpfbench.inside.conformance.driven import Driven, Left
from bpfbench.inside.conformance.judge import FailedError, expect
from bpfbench.inside.conformance.output import Event, MalformedError
from bpfbench.model import Attach, Tool, TracerSummary
from bpfbench.model.check import CaseVerdict, Ended, Subject

PROCESSES, READS_EACH = 307, 7
JOIN_ENTRIES, SYSCALL_ENTRIES = 10240, 1024  # of the maps, as the contract has it
JOIN_BEYOND = 61
"""More calls in flight than the join map has entries."""
WAITING = 307 + 4 * (os.cpu_count() or 1)
"""More calls at once than a kretprobe has instances, which are at least 10, and two for each CPU."""
OTHER_NUMBERS = 10  # system calls that a load makes besides
OTHERS = 1000
"""Most calls of others that a probe may miss while its instances are taken; it counts them too."""
FIRST_CALLS = range(2000, 2000 + 900)
MANY_CALLS = range(2000, 2000 + SYSCALL_ENTRIES + 500)
"""Numbers of system calls, none of which exists."""
TINY_RING_BYTES = 4096

Watch = Callable[[list[Driven], Tool, Path], dict[Driven, str]]
"""Does something before the eyes of tracers that are READY, in a directory; returns how those failed that did."""
Judge = Callable[[Driven, Left, TracerSummary], None]
"""Raises where a tracer failed, given what it left and its account."""


def _together(
    tools: Iterable[Tool],
    watch: Watch,
    *,
    all_formats: bool = False,
    changed: dict[str, str] | None = None,
    comm: str = COMM,
) -> Runner:
    """Make a case of a function that does something before the eyes of all tracers and tells the failure of each."""

    def run(name: str, subjects: Sequence[Subject]) -> Iterator[CaseVerdict]:
        for tool in tools:
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
                tracers = []
                for subject in _with(tool, subjects):
                    for form in subject.formats if all_formats else subject.formats[:1]:
                        work = made(Path(folder) / f"{subject.setup}-{subject.attach}-{form}")
                        tracer = Driven(subject, work, tool, form, comm, changed)
                        ending.callback(tracer.kill)
                        tracers.append(tracer)
                failures = _failures(tracers, Driven.start)
                failures |= _failures((t for t in tracers if t not in failures), Driven.wait_ready)
                ready = [tracer for tracer in tracers if tracer not in failures]
                if ready:
                    failures |= watch(ready, tool, Path(folder))
                for tracer in tracers:
                    ended = Ended.FAILED if tracer in failures else Ended.PASSED
                    yield verdict(name, tracer.subject, ended, failures.get(tracer, ""), f"{tool} {tracer.form}")

    return run


def _with(tool: Tool, subjects: Iterable[Subject]) -> Iterator[Subject]:
    """Yield those that have the tool. Syscount has one hook, a tracepoint, whatever the others of its setup are."""
    if tool is Tool.SYSCOUNT:
        subjects = dict.fromkeys(replace(subject, attach=Attach.TRACEPOINT) for subject in subjects)
    return (subject for subject in subjects if tool in subject.tools)


def _failures(tracers: Iterable[Driven], attempt: Callable[[Driven], object]) -> dict[Driven, str]:
    """Return the failures that an attempt raises, by tracer."""
    failures = {}
    for tracer in tracers:
        try:
            attempt(tracer)
        except (FailedError, MalformedError) as error:
            failures[tracer] = str(error)
    return failures


def _judged(tracers: Sequence[Driven], judge_one: Judge, sign: signal.Signals = signal.SIGINT) -> dict[Driven, str]:
    """Stop all, at the same time, as to detach takes longest, and return the failures of each."""
    for tracer in tracers:
        tracer.send(sign)

    def attempt(tracer: Driven) -> None:
        left = tracer.stop()
        judge_one(tracer, left, tracer.account(left))

    return _failures(tracers, attempt)


def _after(load: Callable[[Path], object], judge_one: Judge) -> Watch:
    """Watch a load, and judge each tracer by itself."""

    def watch(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
        load(work)
        return _judged(tracers, judge_one)

    return watch


def _watch_events(tracers: list[Driven], tool: Tool, work: Path) -> dict[Driven, str]:
    """Every event of the program, with a ring that has room for all."""
    did = program.run(made(work / "program"), 4096)
    return _judge_events(tracers, tool, did, signal.SIGINT, 4096, complete=True)


def _watch_overflow(tracers: list[Driven], tool: Tool, work: Path) -> dict[Driven, str]:
    """A ring with room for a few events, which nobody empties during the first of two rounds."""
    with contextlib.ExitStack() as frozen:
        for tracer in tracers:
            frozen.enter_context(tracer.frozen())
        first = program.run(made(work / "first"), 100)
    second = program.run(made(work / "second"), 100)
    return _judge_events(tracers, tool, _both(first, second), signal.SIGTERM, 100, complete=False)


def _both(first: program.Did, second: program.Did) -> program.Did:
    """Take two rounds of the program for one with twice the threads."""
    processes = 1 + max(thread.process for thread in first.threads)
    later = (program.Thread(thread.process + processes, thread.is_main, thread.calls) for thread in second.threads)
    return program.Did((*first.threads, *later), first.unused_syscalls + second.unused_syscalls)


def _judge_events(
    tracers: list[Driven], tool: Tool, did: program.Did, sign: signal.Signals, payload_bytes: int, *, complete: bool
) -> dict[Driven, str]:
    ids: dict[Driven, dict[int, int]] = {}
    by_tracepoints: list[Event] = []

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        seen = did.seen_by(tracer.subject.attach)
        reads, writes = seen.of_kind("read", "pread64"), seen.of_kind("write", "pwrite64")
        said = {kind: summary.intercepted.get(kind, 0) for kind in ("read", "write")}
        events = output.events(left.output or b"", tool, tracer.form, payload_bytes)
        ids[tracer] = judge.match(events, seen, tool, complete=complete)
        expect(said == {"read": reads, "write": writes}, f"intercepted {said}; done: {reads} reads, {writes} writes")
        expect(summary.saved == len(events), f"saved {summary.saved}, and {len(events)} events are in the output")
        full, size = summary.lost["ring_full"] or 0, tracer.options["--ringbuf-bytes"]
        expect((full == 0) == complete, f"{full} events lost by ring_full, with a ring of {size}")
        expect(not complete or summary.lost_total == 0, f"lost {summary.lost}, with room for all")
        if complete and tracer.subject.attach is Attach.TRACEPOINT:
            by_tracepoints[:] = events
        elif complete and by_tracepoints:
            judge.agree(events, by_tracepoints)

    tracepoints_first = sorted(tracers, key=lambda tracer: tracer.subject.attach is not Attach.TRACEPOINT)
    failures = _judged(tracepoints_first, judge_one, sign)
    return judge.outliers(ids, "tids") | failures if complete else failures


def _watch_counts(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """Every system call of the program by its number."""
    did = program.run(made(work / "program"), 4096)
    counts: dict[Driven, dict[int, int]] = {}

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        found, refused = _counts(tracer, left, summary), _refused(tracer, summary)
        judge.match_counts(found, did, program.NUMBERS, program.UNUSED_SYSCALL, refused)
        if not refused:
            counts[tracer] = found

    failures = _judged(tracers, judge_one)
    return judge.outliers(counts, "system calls") | failures


def _counts(tracer: Driven, left: Left, summary: TracerSummary) -> dict[int, int]:
    """Return syscount's counts, which output and summary must have alike."""
    counts = output.counts(left.output or b"", tracer.form)
    said = {int(number): count for number, count in (summary.syscalls or {}).items()}
    expect(said == counts, f"syscalls in the summary, {said}, are not those of the output, {counts}")
    expect(summary.saved == sum(counts.values()), f"saved {summary.saved}; the counts are {sum(counts.values())}")
    expect(set(summary.intercepted) <= {"syscall", "unknown"}, f"intercepted is of {sorted(summary.intercepted)}")
    return counts


def _refused(tracer: Driven, summary: TracerSummary) -> int:
    """Return how many calls syscount's map refused though it had room: bpftrace before 0.24 may lose first calls so."""
    refused = summary.lost["map_full"] or 0
    expect(summary.lost_total == (refused if tracer.is_adapter else 0), f"lost {summary.lost}, with room for all")
    return refused


def _judge_first_calls(tracer: Driven, left: Left, summary: TracerSummary) -> None:
    """System calls made for the first time on two CPUs at once: each has to make the entry, and one of them does."""
    found, refused = _counts(tracer, left, summary), _refused(tracer, summary)
    counted, did = sum(found.get(number, 0) for number in FIRST_CALLS), 2 * len(FIRST_CALLS)
    # The two make calls of other numbers, too, a few of them for the first time.
    expect(
        counted <= did <= counted + refused <= did + OTHER_NUMBERS, f"{counted} counted, {refused} refused, {did} made"
    )


def _judge_many(tracer: Driven, left: Left, summary: TracerSummary) -> None:
    """Hundreds of processes at once."""
    events = output.events(left.output or b"", tracer.tool, tracer.form, 4096)
    by_pid: dict[int, int] = {}
    for event in events:
        expect(event.pid == event.tid, f"pid {event.pid} and tid {event.tid} in a process of one thread")
        by_pid[event.pid] = by_pid.get(event.pid, 0) + 1
    # So many processes may exhaust a kretprobe, where the kernel lets others run in the middle of a read.
    missed = summary.lost["missed"]
    expect(
        max(by_pid.values(), default=0) <= READS_EACH
        and (missed is None or len(events) + missed >= PROCESSES * READS_EACH),
        f"{len(events)} events of {len(by_pid)} processes, where {PROCESSES} did {READS_EACH} reads each; "
        f"{missed} lost by missed",
    )


def _judge_full_join(_: Driven, __: Left, summary: TracerSummary) -> None:
    """More calls in flight than the join map has entries."""
    said, full, missed = summary.intercepted, summary.lost["map_full"], summary.lost["missed"]
    expect(full == JOIN_BEYOND, f"{full} lost by map_full, with {JOIN_BEYOND} more calls in flight than entries")
    # bpftrace learns of a full map by a warning that does not say for which call.
    reads = said.get("read", 0) + said.get("unknown", 0)
    done = JOIN_ENTRIES + JOIN_BEYOND
    # So many calls exhaust a kretprobe, too. That loses the same calls once more, and those of others.
    as_many = reads >= done if missed else reads == done
    expect(as_many or missed is None, f"intercepted {said} of {done} reads; {missed} lost by missed")


def _judge_exhausted(tracer: Driven, _: Left, summary: TracerSummary) -> None:
    """More calls in flight than a kretprobe has instances: the kernel misses that the others return."""
    saved, missed = summary.saved, summary.lost["missed"]
    account = f"saved {saved}, lost {summary.lost} of {WAITING} writes in flight at once"
    if tracer.subject.attach is not Attach.KPROBE:
        expect(saved == WAITING and missed == 0, account)
    elif missed is None:  # and a reason is there instead, or the account would have been refused
        expect(saved <= WAITING, account)
    else:
        expect(saved <= WAITING <= saved + missed <= WAITING + OTHERS, account)


def _judge_full_counts(tracer: Driven, left: Left, summary: TracerSummary) -> None:
    """More different system calls than the map has entries."""
    counts, full = _counts(tracer, left, summary), summary.lost["map_full"] or 0
    expect(len(counts) == SYSCALL_ENTRIES, f"{len(counts)} numbers counted; the map has {SYSCALL_ENTRIES} entries")
    missing = len(MANY_CALLS) - sum(number in MANY_CALLS for number in counts)
    expect(full >= missing, f"{full} lost by map_full; {missing} numbers are missing")


CASES = (
    ContractCase(
        "events",
        "every event of a known mixture of calls, in every column",
        _together(RW_TOOLS, _watch_events, all_formats=True, comm=program.COMM),
    ),
    ContractCase(
        "overflow",
        "a ring that overflows loses events, and none without account",
        _together(
            RW_TOOLS,
            _watch_overflow,
            all_formats=True,
            comm=program.COMM,
            changed={"--ringbuf-bytes": str(TINY_RING_BYTES), "--payload-bytes": "100"},
        ),
    ),
    ContractCase(
        "counts",
        "every system call of a known mixture, by number",
        _together((Tool.SYSCOUNT,), _watch_counts, all_formats=True, comm=program.COMM),
    ),
    ContractCase(
        "first calls",
        "system calls that two CPUs make for the first time at once are counted, or counted as lost",
        _together((Tool.SYSCOUNT,), _after(lambda _: loads.syscalls_at_once(COMM, FIRST_CALLS), _judge_first_calls)),
    ),
    ContractCase(
        "processes",
        f"{PROCESSES} processes at once",
        _together(
            (Tool.RW_TRACER,), _after(lambda work: loads.reads_of_many(COMM, work, PROCESSES, READS_EACH), _judge_many)
        ),
    ),
    ContractCase(
        "join map full",
        "more calls in flight than the join map has entries",
        _together(
            (Tool.RW_TRACER,), _after(lambda _: loads.blocked_reads(COMM, JOIN_ENTRIES + JOIN_BEYOND), _judge_full_join)
        ),
    ),
    ContractCase(
        "missed",
        "more calls in flight than a kretprobe has instances: the exits that the kernel misses are counted as lost",
        _together((Tool.RW_TRACER,), _after(lambda _: loads.blocked_writes(COMM, WAITING), _judge_exhausted)),
    ),
    ContractCase(
        "count map full",
        "more different system calls than syscount's map has entries",
        _together((Tool.SYSCOUNT,), _after(lambda _: loads.many_syscalls(COMM, MANY_CALLS), _judge_full_counts)),
    ),
)
