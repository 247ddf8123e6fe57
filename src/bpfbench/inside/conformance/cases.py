# SPDX-License-Identifier: Apache-2.0
"""The cases of the suite. A new one is a function and a line of CASES."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bpfbench.inside.conformance import judge, loads, output, program
from bpfbench.inside.conformance.judge import FailedError, expect
from bpfbench.inside.conformance.output import Event, MalformedError
from bpfbench.inside.conformance.tracer import Left, Tracer
from bpfbench.model import Attach, Tool, TracerSummary
from bpfbench.model.check import Outcome, Subject, Verdict

RW_TOOLS = (Tool.RW_TRACER, Tool.RW_TRACER_ALL)
COMM = program.COMM[:9]
"""A short name."""
READS = 20011  # a prime, so that no batch size divides it
PROCESSES, READS_EACH = 307, 7
JOIN_ENTRIES, SYSCALL_ENTRIES = 10240, 1024  # of the maps, as the contract has it
WAITING = 307 + 4 * (os.cpu_count() or 1)
"""More calls at once than a kretprobe has instances, which are at least 10, and two for each CPU."""
OTHER_NUMBERS = 10  # system calls that a load makes besides
OTHERS = 1000
"""Most calls of others that a probe may miss while its instances are taken; it counts them too."""
TINY_RING_BYTES = 4096


class SkippedError(Exception):
    """A case does not apply; the message says why."""


Runner = Callable[[str, Sequence[Subject]], Iterator[Verdict]]
"""Runs a case, given its name and those to run it with."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that the contract says."""

    name: str
    description: str
    run: Runner


# Cases that let all tracers watch the same calls at the same time.


def _together(
    tools: Iterable[Tool],
    watch: Callable[[list[Tracer], Tool, Path], dict[Tracer, str]],
    *,
    all_formats: bool,
    changed: dict[str, str] | None = None,
    comm: str = COMM,
) -> Runner:
    """Make a case of a function that does something before the eyes of all tracers and tells the failure of each."""

    def run(name: str, subjects: Sequence[Subject]) -> Iterator[Verdict]:
        for tool in tools:
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
                tracers = []
                for subject in _with(tool, subjects):
                    for form in subject.formats if all_formats else subject.formats[:1]:
                        work = Path(folder) / f"{subject.setup}-{subject.attach}-{form}"
                        work.mkdir()
                        tracer = Tracer(subject, work, tool, form, comm, changed)
                        ending.callback(tracer.kill)
                        tracers.append(tracer)
                failures = _judge_each(tracers, Tracer.start)
                failures |= _judge_each((t for t in tracers if t not in failures), Tracer.wait_ready)
                ready = [tracer for tracer in tracers if tracer not in failures]
                if ready:
                    failures |= watch(ready, tool, Path(folder))
                for tracer in tracers:
                    outcome = Outcome.FAILED if tracer in failures else Outcome.PASSED
                    variant = f"{tool} {tracer.form}"
                    yield _verdict(name, tracer.subject, outcome, failures.get(tracer, ""), variant)

    return run


def _with(tool: Tool, subjects: Iterable[Subject]) -> Iterator[Subject]:
    """Yield those that have the tool. Syscount has one hook, a tracepoint, whatever the others of its setup are."""
    if tool is Tool.SYSCOUNT:
        subjects = dict.fromkeys(replace(subject, attach=Attach.TRACEPOINT) for subject in subjects)
    return (subject for subject in subjects if tool in subject.tools)


def _verdict(case: str, subject: Subject, outcome: Outcome, detail: str, variant: str = "") -> Verdict:
    return Verdict(case, subject.setup, subject.attach, variant, outcome, detail)


def _tell_to_stop(tracers: Iterable[Tracer], sign: signal.Signals = signal.SIGINT) -> None:
    """Let all detach at the same time, which takes longest."""
    for tracer in tracers:
        tracer.send(sign)


def _judge_each(tracers: Iterable[Tracer], judge_one: Callable[[Tracer], object]) -> dict[Tracer, str]:
    """Return the failures that judging raises, by tracer."""
    failures = {}
    for tracer in tracers:
        try:
            judge_one(tracer)
        except (FailedError, MalformedError) as error:
            failures[tracer] = str(error)
    return failures


def _watch_events(tracers: list[Tracer], tool: Tool, work: Path) -> dict[Tracer, str]:
    """Every event of the program, with a ring that has room for all."""
    did = program.run(_made(work / "program"), 4096)
    return _judge_events(tracers, tool, did, signal.SIGINT, 4096, complete=True)


def _watch_overflow(tracers: list[Tracer], tool: Tool, work: Path) -> dict[Tracer, str]:
    """A ring with room for a few events, which nobody empties during the first of two rounds."""
    with contextlib.ExitStack() as frozen:
        for tracer in tracers:
            frozen.enter_context(tracer.frozen())
        first = program.run(_made(work / "first"), 100)
    second = program.run(_made(work / "second"), 100)
    return _judge_events(tracers, tool, _both(first, second), signal.SIGTERM, 100, complete=False)


def _both(first: program.Did, second: program.Did) -> program.Did:
    """Take two rounds of the program for one with twice the threads."""
    processes = 1 + max(thread.process for thread in first.threads)
    later = (program.Thread(thread.process + processes, thread.is_main, thread.calls) for thread in second.threads)
    return program.Did((*first.threads, *later), first.unused_syscalls + second.unused_syscalls)


def _judge_events(
    tracers: list[Tracer], tool: Tool, did: program.Did, sign: signal.Signals, payload_bytes: int, *, complete: bool
) -> dict[Tracer, str]:
    ids: dict[Tracer, dict[int, int]] = {}
    by_tracepoints: list[Event] = []

    def judge_one(tracer: Tracer) -> None:
        left = tracer.stop()
        summary = tracer.account(left)
        seen = did.seen_by(tracer.subject.attach)
        reads, writes = seen.of_kind("read", "pread64"), seen.of_kind("write", "pwrite64")
        said = {kind: summary.intercepted.get(kind, 0) for kind in ("read", "write")}
        events = output.events(left.output or b"", tool, tracer.form, payload_bytes)
        ids[tracer] = judge.match(events, seen, tool, complete=complete)
        expect(said == {"read": reads, "write": writes}, f"intercepted {said}; done: {reads} reads, {writes} writes")
        expect(summary.saved == len(events), f"saved {summary.saved}, and {len(events)} events are in the output")
        full = summary.lost["ring_full"] or 0
        expect(
            (full == 0) == complete,
            f"{full} events lost by ring_full, with a ring of {tracer.options['--ringbuf-bytes']}",
        )
        expect(not complete or summary.lost_total == 0, f"lost {summary.lost}, with room for all")
        if complete and tracer.subject.attach is Attach.TRACEPOINT:
            by_tracepoints[:] = events
        elif complete and by_tracepoints:
            judge.agree(events, by_tracepoints)

    _tell_to_stop(tracers, sign)
    failures = _judge_each(
        sorted(tracers, key=lambda tracer: tracer.subject.attach is not Attach.TRACEPOINT), judge_one
    )
    return judge.outliers(ids, "tids") | failures if complete else failures


def _watch_counts(tracers: list[Tracer], _: Tool, work: Path) -> dict[Tracer, str]:
    """Every system call of the program by its number."""
    did = program.run(_made(work / "program"), 4096)
    counts: dict[Tracer, dict[int, int]] = {}

    def judge_one(tracer: Tracer) -> None:
        left = tracer.stop()
        found, refused = _counts(tracer, left), _refused(tracer, left)
        judge.match_counts(found, did, program.NUMBERS, program.UNUSED_SYSCALL, refused)
        if not refused:
            counts[tracer] = found

    _tell_to_stop(tracers)
    failures = _judge_each(tracers, judge_one)
    return judge.outliers(counts, "system calls") | failures


def _watch_first_calls(tracers: list[Tracer], _: Tool, __: Path) -> dict[Tracer, str]:
    """System calls made for the first time on two CPUs at once: each has to make the entry, and one of them does."""
    numbers = range(2000, 2000 + 900)  # none of which exists
    loads.syscalls_at_once(COMM, numbers)

    def judge_one(tracer: Tracer) -> None:
        left = tracer.stop()
        found, refused = _counts(tracer, left), _refused(tracer, left)
        counted, made = sum(found.get(number, 0) for number in numbers), 2 * len(numbers)
        # The two make calls of other numbers, too, a few of them for the first time.
        expect(
            counted <= made <= counted + refused <= made + OTHER_NUMBERS,
            f"{counted} counted, {refused} refused, {made} made",
        )

    _tell_to_stop(tracers)
    return _judge_each(tracers, judge_one)


def _refused(tracer: Tracer, left: Left) -> int:
    """Return how many calls syscount's map refused though it had room: bpftrace before 0.24 may lose first calls so."""
    summary = tracer.account(left)
    refused = summary.lost["map_full"] or 0
    expect(summary.lost_total == (refused if tracer.is_adapter else 0), f"lost {summary.lost}, with room for all")
    return refused


def _counts(tracer: Tracer, left: Left) -> dict[int, int]:
    """Return syscount's counts, which output and summary must have alike."""
    counts = output.counts(left.output or b"", tracer.form)
    summary = tracer.account(left)
    said = {int(number): count for number, count in (summary.syscalls or {}).items()}
    expect(said == counts, f"syscalls in the summary, {said}, are not those of the output, {counts}")
    expect(summary.saved == sum(counts.values()), f"saved {summary.saved}; the counts are {sum(counts.values())}")
    expect(set(summary.intercepted) <= {"syscall", "unknown"}, f"intercepted is of {sorted(summary.intercepted)}")
    return counts


def _watch_many(tracers: list[Tracer], tool: Tool, work: Path) -> dict[Tracer, str]:
    """Hundreds of processes at once."""
    loads.reads_of_many(COMM, work, PROCESSES, READS_EACH)

    def judge_one(tracer: Tracer) -> None:
        left = tracer.stop()
        summary = tracer.account(left)
        events = output.events(left.output or b"", tool, tracer.form, 4096)
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

    _tell_to_stop(tracers)
    return _judge_each(tracers, judge_one)


def _watch_full_join(tracers: list[Tracer], _: Tool, __: Path) -> dict[Tracer, str]:
    """More calls in flight than the join map has entries."""
    beyond = 61
    loads.blocked_reads(COMM, JOIN_ENTRIES + beyond)

    def judge_one(tracer: Tracer) -> None:
        summary = tracer.account(tracer.stop())
        said, full, missed = summary.intercepted, summary.lost["map_full"], summary.lost["missed"]
        expect(full == beyond, f"{full} lost by map_full, with {beyond} more calls in flight than entries")
        # bpftrace learns of a full map by a warning that does not say for which call.
        reads = said.get("read", 0) + said.get("unknown", 0)
        done = JOIN_ENTRIES + beyond
        # So many calls exhaust a kretprobe, too. That loses the same calls once more, and those of others.
        as_many = reads >= done if missed else reads == done
        expect(as_many or missed is None, f"intercepted {said} of {done} reads; {missed} lost by missed")

    _tell_to_stop(tracers)
    return _judge_each(tracers, judge_one)


def _watch_exhausted(tracers: list[Tracer], _: Tool, __: Path) -> dict[Tracer, str]:
    """More calls in flight than a kretprobe has instances: the kernel misses that the others return."""
    loads.blocked_writes(COMM, WAITING)

    def judge_one(tracer: Tracer) -> None:
        summary = tracer.account(tracer.stop())
        saved, missed = summary.saved, summary.lost["missed"]
        account = f"saved {saved}, lost {summary.lost} of {WAITING} writes in flight at once"
        if tracer.subject.attach is not Attach.KPROBE:
            expect(saved == WAITING and missed == 0, account)
        elif missed is None:  # and a reason is there instead, or the account would have been refused
            expect(saved <= WAITING, account)
        else:
            expect(saved <= WAITING <= saved + missed <= WAITING + OTHERS, account)

    _tell_to_stop(tracers)
    return _judge_each(tracers, judge_one)


def _watch_full_counts(tracers: list[Tracer], _: Tool, __: Path) -> dict[Tracer, str]:
    """More different system calls than the map has entries."""
    numbers = range(2000, 2000 + SYSCALL_ENTRIES + 500)  # none of which exists
    loads.many_syscalls(COMM, numbers)

    def judge_one(tracer: Tracer) -> None:
        left = tracer.stop()
        counts, summary = _counts(tracer, left), tracer.account(left)
        full = summary.lost["map_full"] or 0
        expect(len(counts) == SYSCALL_ENTRIES, f"{len(counts)} numbers counted; the map has {SYSCALL_ENTRIES} entries")
        of_range = sum(number in numbers for number in counts)
        expect(
            full >= len(numbers) - of_range, f"{full} lost by map_full; {len(numbers) - of_range} numbers are missing"
        )

    _tell_to_stop(tracers)
    return _judge_each(tracers, judge_one)


# Cases for one tracer at a time.


def _alone(check: Callable[[Subject, Path], None]) -> Runner:
    """Make a case of a function that raises where a tracer fails."""

    def run(name: str, subjects: Sequence[Subject]) -> Iterator[Verdict]:
        for subject in subjects:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    check(subject, Path(folder))
                    yield _verdict(name, subject, Outcome.PASSED, "")
                except (FailedError, MalformedError) as error:
                    yield _verdict(name, subject, Outcome.FAILED, str(error))
                except SkippedError as error:
                    yield _verdict(name, subject, Outcome.SKIPPED, str(error))

    return run


@contextlib.contextmanager
def _started(
    subject: Subject,
    work: Path,
    tool: Tool | None = None,
    comm: str = COMM,
    changed: dict[str, str] | None = None,
    *,
    unprivileged: bool = False,
) -> Iterator[Tracer]:
    """Start a tracer; it is gone afterwards."""
    tracer = Tracer(
        subject, work, tool or _usual_tool(subject), subject.formats[0], comm, changed, unprivileged=unprivileged
    )
    try:
        tracer.start()
        yield tracer
    finally:
        tracer.kill()


def _usual_tool(subject: Subject) -> Tool:
    return next((tool for tool in RW_TOOLS if tool in subject.tools), subject.tools[0])


def _rw_tool(subject: Subject) -> Tool:
    tool = _usual_tool(subject)
    if tool not in RW_TOOLS:
        raise SkippedError("it has no rw tool")
    return tool


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def _check_drain(subject: Subject, work: Path) -> None:
    """Stop a tracer that has not seen yet what is in its ring."""
    tool = _rw_tool(subject)
    with _started(subject, _made(work / "tracer"), tool) as tracer:
        tracer.wait_ready()
        with tracer.frozen():
            loads.reads(COMM, work, READS)
            tracer.send(signal.SIGINT)
        summary = tracer.account(tracer.stop())
        expect(summary.saved == READS, f"{summary.saved} saved of {READS} events that were in the ring: {summary.lost}")


def _check_twice(subject: Subject, work: Path) -> None:
    tool = _rw_tool(subject)
    with _started(subject, _made(work / "1"), tool) as first, _started(subject, _made(work / "2"), tool) as second:
        for tracer in (first, second):
            tracer.wait_ready()
        loads.reads(COMM, work, READS)
        for tracer in (first, second):
            summary = tracer.account(tracer.stop())
            expect(summary.intercepted.get("read") == summary.saved == READS, f"{summary.saved} of {READS} reads saved")


def _check_own_comm(subject: Subject, work: Path) -> None:
    tool = _rw_tool(subject)
    comm = Path(subject.command[0]).name[:15]
    with _started(subject, _made(work / "tracer"), tool, comm) as tracer:
        tracer.wait_ready()
        loads.reads(comm, work, READS)
        time.sleep(0.3)  # for its output to be written while it traces
        summary = tracer.account(tracer.stop())
        said = summary.intercepted
        expect(
            said.get("read") == READS and not said.get("write"), f"intercepted {said}; {READS} reads were the load's"
        )


def _check_before_ready(subject: Subject, work: Path) -> None:
    delay_s, obeyed = 0.002, 0
    for attempt in range(100):
        with _started(subject, _made(work / str(attempt))) as tracer:
            time.sleep(delay_s)
            tracer.send(signal.SIGINT)
            left = tracer.finish()
            if "READY" in left.stdout:
                break
            if left.status == 0:
                obeyed += 1
                summary = tracer.account(left)
                expect(summary.times_ns.ready is None, "times_ns.ready is set, though READY was never printed")
            else:
                # While an interpreter or loader starts, a process has no handler yet: the signal ends it.
                expect(left.status in {-signal.SIGINT, 1, 130}, f"SIGINT {delay_s:.3f} s after start: {left.described}")
                expect(left.files == (), f"SIGINT {delay_s:.3f} s after start left {', '.join(left.files)}")
        delay_s *= 1.5
    expect(obeyed > 0, "never obeyed a SIGINT before READY with a summary and status 0")


def _check_second_signal(subject: Subject, work: Path) -> None:
    tool = Tool.RW_TRACER_ALL if Tool.RW_TRACER_ALL in subject.tools else _rw_tool(subject)
    with _started(subject, _made(work / "tracer"), tool, changed={"--ringbuf-bytes": str(64 * 2**20)}) as tracer:
        tracer.wait_ready()
        # A tracer that does not run cannot drain, so both signals are surely there before it is done.
        with contextlib.ExitStack() as frozen:
            frozen.enter_context(tracer.frozen())
            loads.reads(COMM, work, READS)
            tracer.send(signal.SIGINT)
            time.sleep(0.5)
            tracer.send(signal.SIGTERM)
            if tracer.is_adapter:
                frozen.pop_all()  # an adapter runs, and has to end by itself
        left = tracer.finish()
        # Two different signals: which handler runs first is the kernel's choice, that there are two is not.
        expect(left.status in {128 + signal.SIGINT, 128 + signal.SIGTERM}, f"after a second signal: {left.described}")


def _check_full_device(subject: Subject, work: Path) -> None:
    with _started(subject, _made(work / "tracer"), changed={"--output": "/dev/full"}) as tracer:
        tracer.wait_ready()
        loads.reads(COMM, work, READS)
        _check_full(tracer)


def _check_full_disk(subject: Subject, work: Path) -> None:
    """Write output and summary to a file system that has room for some of the records."""
    tool = _rw_tool(subject)
    small = _made(work / "small")
    if program.LIBC.mount(b"tmpfs", str(small).encode(), b"tmpfs", 0, b"size=200k"):
        raise SkippedError(f"a tmpfs cannot be mounted: {os.strerror(ctypes.get_errno())}")
    try:
        places = {"--output": str(small / "output"), "--summary": str(small / "summary.json")}
        with _started(subject, _made(work / "tracer"), tool, changed=places) as tracer:
            tracer.wait_ready()
            loads.reads(COMM, work, READS)
            left, summary = _check_full(tracer)
            events = output.events(left.output or b"", tool, tracer.form, 4096)
            expect(0 < summary.saved == len(events), f"saved {summary.saved}; {len(events)} events are in the output")
            expect(summary.bytes == len(left.output or b""), f"bytes is {summary.bytes} of {len(left.output or b'')}")
    finally:
        program.LIBC.umount2(str(small).encode(), 2)


def _check_full(tracer: Tracer) -> tuple[Left, TracerSummary]:
    tracer.send(signal.SIGINT)
    left = tracer.finish()
    expect(left.status == 1, f"the output was full: {left.described}")
    _expect_one_line(left)
    summary = tracer.account(left)
    expect(bool(summary.error), "the output was full, and the summary has no error")
    expect((summary.lost["output_error"] or 0) > 0, f"the output was full, and lost is {summary.lost}")
    return left, summary


def _expect_one_line(left: Left, *words: str) -> None:
    lines = left.stderr.splitlines()
    expect(len(lines) == 1, f"one line on stderr is wanted: {left.stderr[-400:]!r}")
    missing = [word for word in words if word not in left.stderr]
    expect(not missing, f"{', '.join(missing)} is not in the message: {left.stderr!r}")


def _check_unwritable(subject: Subject, work: Path) -> None:
    for option in ("--output", "--summary"):
        path = "/nonexistent/file"
        with _started(subject, _made(work / option), changed={option: path}) as tracer:
            left = tracer.refuse(f"{option} cannot be created")
            expect(left.status == 1, f"{option} cannot be created: {left.described}")
            _expect_one_line(left, path)


def _check_no_permission(subject: Subject, work: Path) -> None:
    with _started(subject, _made(work / "tracer"), unprivileged=True) as tracer:
        left = tracer.refuse("without capabilities")
        expect(left.status == 1, f"without capabilities: {left.described}")
        _expect_one_line(left)


_BAD_OF_SYSCOUNT = {
    f"hook {attach}": ({"--tool": "syscount", "--attach": attach.value}, ("--attach", attach.value, "tracepoint"))
    for attach in (Attach.KPROBE, Attach.FENTRY)
}
"""Its hook is a tracepoint, and nothing else."""

_BAD_OPTIONS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "tool": ({"--tool": "frobnicate"}, ("--tool", "frobnicate")),
    "ring": ({"--ringbuf-bytes": "5000"}, ("--ringbuf-bytes", "5000", "power of two")),
    "comm": ({"--target-comm": "sixteen-bytes-xx"}, ("--target-comm", "sixteen-bytes-xx", "15")),
    "empty comm": ({"--target-comm": ""}, ("--target-comm",)),
    "attach": ({"--attach": "uprobe"}, ("--attach", "uprobe")),
    "format": ({"--format": "xml"}, ("--format", "xml")),
    "poll": ({"--poll-ms": "soon"}, ("--poll-ms", "soon")),
    "payload": ({"--payload-bytes": "0"}, ("--payload-bytes", "0")),
    "unknown": ({"--frobnicate": "1"}, ("--frobnicate",)),
}


def _check_options(subject: Subject, work: Path) -> None:
    bad = _BAD_OPTIONS | (_BAD_OF_SYSCOUNT if Tool.SYSCOUNT in subject.tools else {})
    for number, (what, (changed, words)) in enumerate(bad.items()):
        with _started(subject, _made(work / str(number)), changed=changed) as tracer:
            left = tracer.refuse(f"bad {what}")
            expect(left.status == 2, f"bad {what}: {left.described}")
            _expect_one_line(left, *words)
            expect(left.files == (), f"bad {what} left {', '.join(left.files)}")


CASES = {
    case.name: case
    for case in (
        Case(
            "events",
            "every event of a known mixture of calls, in every column",
            _together(RW_TOOLS, _watch_events, all_formats=True, comm=program.COMM),
        ),
        Case(
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
        Case(
            "counts",
            "every system call of a known mixture, by number",
            _together((Tool.SYSCOUNT,), _watch_counts, all_formats=True, comm=program.COMM),
        ),
        Case(
            "first calls",
            "system calls that two CPUs make for the first time at once are counted, or counted as lost",
            _together((Tool.SYSCOUNT,), _watch_first_calls, all_formats=False),
        ),
        Case(
            "processes",
            f"{PROCESSES} processes at once",
            _together((Tool.RW_TRACER,), _watch_many, all_formats=False),
        ),
        Case(
            "join map full",
            "more calls in flight than the join map has entries",
            _together((Tool.RW_TRACER,), _watch_full_join, all_formats=False),
        ),
        Case(
            "missed",
            "more calls in flight than a kretprobe has instances: the exits that the kernel misses are counted as lost",
            _together((Tool.RW_TRACER,), _watch_exhausted, all_formats=False),
        ),
        Case(
            "count map full",
            "more different system calls than syscount's map has entries",
            _together((Tool.SYSCOUNT,), _watch_full_counts, all_formats=False),
        ),
        Case("drain", "what is in the ring when it is told to stop is saved", _alone(_check_drain)),
        Case("twice", "a tracer started twice sees everything twice", _alone(_check_twice)),
        Case("own comm", "a tracer does not see itself", _alone(_check_own_comm)),
        Case("before READY", "a signal before READY is obeyed", _alone(_check_before_ready)),
        Case("second signal", "a second signal ends it at once", _alone(_check_second_signal)),
        Case("full device", "an output that cannot be written to", _alone(_check_full_device)),
        Case("full disk", "a disk that fills up", _alone(_check_full_disk)),
        Case("unwritable", "files that cannot be created", _alone(_check_unwritable)),
        Case("no permission", "a user who may not load BPF", _alone(_check_no_permission)),
        Case("options", "bad options are refused in one line", _alone(_check_options)),
    )
}
