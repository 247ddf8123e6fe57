# SPDX-License-Identifier: Apache-2.0
"""Cases that let all tracers watch the same calls at once. A new one: a load, a judge, a line of CASES."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.conformance import judge, loads, output, program
from bpfbench.inside.conformance.case import Case, verdict
from bpfbench.inside.conformance.driven import COMM, KNOBS, PAYLOAD_BYTES, Driven, Left
from bpfbench.inside.conformance.judge import expect
from bpfbench.inside.conformance.output import Event
from bpfbench.model import EVENT_TOOLS, Attach, Format, Tool, TracerSummary
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
TINY = {"--ringbuf-bytes": "4096", "--payload-bytes": "100"}
"""A ring with room for a few events."""

Watch = Callable[[list[Driven], Tool, Path], dict[Driven, str]]
"""Does something before the eyes of tracers that are READY, in a directory; returns how those failed that did."""
Judge = Callable[[Driven, Left, TracerSummary], None]
"""Raises where a tracer failed, given what it left and its account."""


def together(tools: Iterable[Tool], comm: str, watch: Watch, *settings: Mapping[str, str]) -> Case:
    """Make a case of a function that does something before the eyes of all tracers and tells the failure of each.

    Where that is the program, which has its own comm, they watch in every format. Each does so with each of the
    settings, options in place of the usual ones; those that lack one are skipped.
    """

    def run(name: str, subjects: Sequence[Subject]) -> Iterator[CaseVerdict]:
        for tool in tools:
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
                tracers: list[Driven] = []
                variants: dict[Driven, str] = {}
                for subject in _with(tool, subjects):
                    forms = _forms(tool, subject, every=comm == program.COMM)
                    for number, (form, changed) in enumerate(itertools.product(forms, settings or ({},))):
                        work = Path(folder) / f"{subject.setup}-{subject.attach}-{number}"
                        try:
                            tracer = Driven(subject, work, tool, form=form, comm=comm, changed=changed)
                        except StepError as error:
                            yield verdict(name, subject, Ended.FAILED, error.message, f"{tool} {form}")
                        else:
                            tracers.append(ending.enter_context(tracer))
                            variants[tracer] = " ".join((tool, form, *_knobs(changed)))
                failures = failures_of(tracers, Driven.wait_ready)
                refusals = {tracer: tracer.refusal for tracer in failures if tracer.refusal}
                ready = [tracer for tracer in tracers if tracer not in failures]
                if ready:
                    failures |= watch(ready, tool, Path(folder))
                for tracer in tracers:
                    if tracer in refusals:
                        yield verdict(name, tracer.subject, Ended.SKIPPED, refusals[tracer], variants[tracer])
                        continue
                    ended = Ended.FAILED if tracer in failures else Ended.PASSED
                    yield verdict(name, tracer.subject, ended, failures.get(tracer, ""), variants[tracer])

    return run


def _knobs(changed: Mapping[str, str]) -> Iterator[str]:
    """Yield what is set of the options that a tracer may lack, and the time-out beside them."""
    return (f"{option} {value}" for option, value in changed.items() if option in {*KNOBS, "--poll-ms"})


def _forms(tool: Tool, subject: Subject, *, every: bool) -> tuple[Format, ...]:
    """Return how one writes: in every format, or one. fs-profile has one."""
    if tool is Tool.FS_PROFILE:
        return (Format.TEXT,)
    return subject.formats if every else subject.formats[:1]


def _with(tool: Tool, subjects: Iterable[Subject]) -> Iterator[Subject]:
    """Yield those that have the tool. Syscount has one hook, a tracepoint, whatever the others of its setup are."""
    if tool is Tool.SYSCOUNT:
        subjects = dict.fromkeys(replace(subject, attach=Attach.TRACEPOINT) for subject in subjects)
    return (subject for subject in subjects if tool in subject.tools)


def failures_of(tracers: Iterable[Driven], attempt: Callable[[Driven], object]) -> dict[Driven, str]:
    """Return the failures that an attempt raises, by tracer."""
    failures = {}
    for tracer in tracers:
        try:
            attempt(tracer)
        except StepError as error:
            failures[tracer] = error.message
    return failures


def judged(tracers: Sequence[Driven], judge_one: Judge, sign: signal.Signals = signal.SIGINT) -> dict[Driven, str]:
    """Stop all, at the same time, as to detach takes longest, and return the failures of each."""
    for tracer in tracers:
        tracer.send(sign)
    return failures_of(tracers, lambda tracer: judge_one(tracer, *tracer.stop_well()))


def loaded(tool: Tool, load: Callable[[Path], object], judge_one: Judge) -> Case:
    """Make a case of a load, and of what judges each tracer by itself."""

    def watch(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
        load(work)
        return judged(tracers, judge_one)

    return together((tool,), COMM, watch)


def watch_events(tracers: list[Driven], tool: Tool, work: Path) -> dict[Driven, str]:
    """Every event of a known mixture of calls is reported, in every column, with a ring that has room for all."""
    did = program.run(work / "program", PAYLOAD_BYTES)
    return _judge_events(tracers, tool, did, signal.SIGINT, complete=True)


def watch_overflow(tracers: list[Driven], tool: Tool, work: Path) -> dict[Driven, str]:
    """A ring that overflows, as nobody empties it during the first of two rounds, loses events by account only."""
    with contextlib.ExitStack() as frozen:
        for tracer in tracers:
            frozen.enter_context(tracer.frozen())
        first = program.run(work / "first", 100)
    did = first + program.run(work / "second", 100)
    return _judge_events(tracers, tool, did, signal.SIGTERM, complete=False)


def _judge_events(
    tracers: list[Driven], tool: Tool, did: program.Did, sign: signal.Signals, *, complete: bool
) -> dict[Driven, str]:
    ids: dict[Driven, dict[int, int]] = {}
    by_tracepoints: list[Event] = []

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        seen = did.seen_by(tracer.subject.attach)
        reads, writes = seen.of_kind("read", "pread64"), seen.of_kind("write", "pwrite64")
        said = {kind: summary.intercepted.get(kind, 0) for kind in ("read", "write")}
        events = tracer.events(left)
        ids[tracer] = judge.match(events, seen, tool, complete=complete)
        if not tracer.by_cpu:  # these threads are wherever the kernel puts them
            judge.in_order(events)
        # The kernel does not tell whose calls the probes were skipped for: not for these, where all events are there.
        others = (summary.lost["recursion"] or 0) + (summary.lost["missed"] or 0)
        more = said["read"] - reads, said["write"] - writes
        right = min(more) >= 0 and sum(more) <= others
        expect(right, f"intercepted {said}, {others} of them skipped; done: {reads} reads, {writes} writes")
        expect(summary.saved == len(events), f"saved {summary.saved}, and {len(events)} events are in the output")
        full, size = summary.lost["ring_full"] or 0, tracer.options["--ringbuf-bytes"]
        expect((full == 0) == complete, f"{full} events lost by ring_full, with a ring of {size}")
        expect(not complete or summary.lost_total == others, f"lost {summary.lost}, with room for all")
        if complete and tracer.subject.attach is Attach.TRACEPOINT:
            by_tracepoints[:] = events
        elif complete and by_tracepoints:
            judge.agree(events, by_tracepoints)

    tracepoints_first = sorted(tracers, key=lambda tracer: tracer.subject.attach is not Attach.TRACEPOINT)
    failures = judged(tracepoints_first, judge_one, sign)
    return judge.outliers(ids, "tids") | failures if complete else failures


def _watch_counts(tracers: list[Driven], _: Tool, work: Path) -> dict[Driven, str]:
    """Every system call of a known mixture is counted, by its number."""
    did = program.run(work / "program", PAYLOAD_BYTES)
    counts: dict[Driven, dict[int, int]] = {}

    def judge_one(tracer: Driven, left: Left, summary: TracerSummary) -> None:
        found, refused = _counts(tracer, left, summary), _refused(tracer, summary)
        judge.match_counts(found, did, refused)
        if not refused:
            counts[tracer] = found

    failures = judged(tracers, judge_one)
    return judge.outliers(counts, "system calls") | failures


def _counts(tracer: Driven, left: Left, summary: TracerSummary) -> dict[int, int]:
    """Return syscount's counts, which output and summary must have alike."""
    counts = output.counts(left.output, tracer.form)
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
    """System calls that two CPUs make for the first time at once, where one makes the entry, are counted or lost."""
    found, refused = _counts(tracer, left, summary), _refused(tracer, summary)
    counted, did = sum(found.get(number, 0) for number in FIRST_CALLS), 2 * len(FIRST_CALLS)
    # The two make calls of other numbers, too, a few of them for the first time.
    expect(
        counted <= did <= counted + refused <= did + OTHER_NUMBERS, f"{counted} counted, {refused} refused, {did} made"
    )


def _judge_many(tracer: Driven, left: Left, summary: TracerSummary) -> None:
    """Events of hundreds of processes at once are told apart."""
    events = tracer.events(left)
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


CASES = {
    "events": together(EVENT_TOOLS, program.COMM, watch_events),
    "overflow": together(EVENT_TOOLS, program.COMM, watch_overflow, TINY),
    "counts": together((Tool.SYSCOUNT,), program.COMM, _watch_counts),
    "first calls": loaded(Tool.SYSCOUNT, lambda _: loads.syscalls_at_once(COMM, FIRST_CALLS), _judge_first_calls),
    "processes": loaded(Tool.RW_TRACER, lambda work: loads.reads(COMM, work, READS_EACH, PROCESSES), _judge_many),
    "join map full": loaded(
        Tool.RW_TRACER, lambda _: loads.blocked_reads(COMM, JOIN_ENTRIES + JOIN_BEYOND), _judge_full_join
    ),
    "missed": loaded(Tool.RW_TRACER, lambda _: loads.blocked_writes(COMM, WAITING), _judge_exhausted),
    "count map full": loaded(Tool.SYSCOUNT, lambda _: loads.many_syscalls(COMM, MANY_CALLS), _judge_full_counts),
}
