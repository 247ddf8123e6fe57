# SPDX-License-Identifier: Apache-2.0
"""Cases for one tracer at a time: a function that raises where the tracer fails, and a line of CASES."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.conformance import loads
from bpfbench.inside.conformance.case import Case, verdict
from bpfbench.inside.conformance.driven import COMM, RINGBUF_BYTES, Driven, Left
from bpfbench.inside.conformance.fork import LIBC
from bpfbench.inside.conformance.judge import expect
from bpfbench.model import EVENT_TOOLS, Attach, Format, Tool, TracerSummary, comm_of
from bpfbench.model.check import CaseVerdict, Ended, Subject

READS = 20011  # a prime, so that no batch size divides it


class SkippedError(Exception):
    """A case does not apply; the message says why."""


def alone(check: Callable[[Subject, Path], None]) -> Case:
    """Make a case of a function that raises where a tracer fails, given that and a directory."""

    def run(name: str, subjects: Sequence[Subject]) -> Iterator[CaseVerdict]:
        for subject in subjects:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    check(subject, Path(folder))
                    yield verdict(name, subject, Ended.PASSED)
                except StepError as error:
                    yield verdict(name, subject, Ended.FAILED, error.message)
                except SkippedError as error:
                    yield verdict(name, subject, Ended.SKIPPED, str(error))

    return run


def _usual_tool(subject: Subject) -> Tool:
    return next((tool for tool in EVENT_TOOLS if tool in subject.tools), subject.tools[0])


def _rw_tool(subject: Subject) -> Tool:
    tool = _usual_tool(subject)
    if tool not in EVENT_TOOLS:
        raise SkippedError("it has no rw tool")
    return tool


def _check_drain(subject: Subject, work: Path) -> None:
    """What is in the ring when it is told to stop is saved, though it has not seen it yet."""
    with Driven(subject, work / "tracer", _rw_tool(subject)) as tracer:
        tracer.wait_ready()
        with tracer.frozen():
            loads.reads(COMM, work, READS)
            tracer.send(signal.SIGINT)
        _, summary = tracer.stop_well()
        expect(summary.saved == READS, f"{summary.saved} saved of {READS} events that were in the ring: {summary.lost}")


def _check_twice(subject: Subject, work: Path) -> None:
    """A tracer started twice sees everything twice."""
    tool = _rw_tool(subject)
    with Driven(subject, work / "1", tool) as first, Driven(subject, work / "2", tool) as second:
        for tracer in (first, second):
            tracer.wait_ready()
        loads.reads(COMM, work, READS)
        for tracer in (first, second):
            _, summary = tracer.stop_well()
            expect(summary.intercepted.get("read") == summary.saved == READS, f"{summary.saved} of {READS} reads saved")


def _check_own_comm(subject: Subject, work: Path) -> None:
    """A tracer does not see itself."""
    comm = comm_of(Path(subject.command[0]).name)
    with Driven(subject, work / "tracer", _rw_tool(subject), comm=comm) as tracer:
        tracer.wait_ready()
        loads.reads(comm, work, READS)
        time.sleep(0.3)  # for its output to be written while it traces
        _, summary = tracer.stop_well()
        said = summary.intercepted
        expect(
            said.get("read") == READS and not said.get("write"), f"intercepted {said}; {READS} reads were the load's"
        )


def _check_before_ready(subject: Subject, work: Path) -> None:
    """A signal before READY is obeyed."""
    delay_s, obeyed = 0.002, 0
    for attempt in range(100):
        with Driven(subject, work / str(attempt), _usual_tool(subject)) as tracer:
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
    """A second signal ends it at once."""
    tool = Tool.RW_TRACER_ALL if Tool.RW_TRACER_ALL in subject.tools else _rw_tool(subject)
    with Driven(subject, work / "tracer", tool, changed={"--ringbuf-bytes": str(64 * 2**20)}) as tracer:
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
    """An output that cannot be written to is told, and accounted for."""
    with Driven(subject, work / "tracer", _usual_tool(subject), changed={"--output": "/dev/full"}) as tracer:
        _check_full(tracer, work)


def check_full_disk(subject: Subject, work: Path, changed: Mapping[str, str] | None = None) -> None:
    """A disk that fills up, too, and has whole records then: a file system with room for output and summary in part."""
    tool = _rw_tool(subject)
    small = work / "small"
    small.mkdir()
    if LIBC.mount(b"tmpfs", str(small).encode(), b"tmpfs", 0, b"size=200k"):
        raise SkippedError(f"a tmpfs cannot be mounted: {os.strerror(ctypes.get_errno())}")
    try:
        places = {"--output": str(small / "output"), "--summary": str(small / "summary.json")}
        with Driven(subject, work / "tracer", tool, changed={**places, **(changed or {})}) as tracer:
            left, summary = _check_full(tracer, work, processes=1 if changed is None else 8)
            events = tracer.events(left)
            expect(0 < summary.saved == len(events), f"saved {summary.saved}; {len(events)} events are in the output")
            expect(summary.bytes == len(left.output), f"bytes is {summary.bytes} of {len(left.output)}")
    finally:
        LIBC.umount2(str(small).encode(), 2)


def _check_full(tracer: Driven, work: Path, processes: int = 1) -> tuple[Left, TracerSummary]:
    try:
        tracer.wait_ready()
    except StepError as error:
        if tracer.refusal:
            raise SkippedError(tracer.refusal) from error
        raise
    loads.reads(COMM, work, READS, processes)
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


def _check_refusal(tracer: Driven, what: str, status: int, *words: str) -> None:
    """Make sure that a tracer prints nothing and ends with a status, and with one line on stderr that has the words."""
    left = tracer.refuse(what)
    expect(left.status == status, f"{what}: {left.described}")
    _expect_one_line(left, *words)
    expect(status == 1 or left.files == (), f"{what} left {', '.join(left.files)}")


def _check_pipe(subject: Subject, work: Path) -> None:
    """What is saved comes out of a pipe, which is read while it is written."""
    pipe, copy = work / "pipe", work / "copy"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR)  # as long as it is open, who reads finds no end
    reader = os.open(pipe, os.O_RDONLY)  # here, where it need not wait for a writer
    with copy.open("wb") as to, subprocess.Popen("cat", stdin=reader, stdout=to), os.fdopen(end, "rb"):
        os.close(reader)
        changed = {"--output": str(pipe)}
        with Driven(subject, work / "tracer", _rw_tool(subject), changed=changed, followed=True) as tracer:
            tracer.wait_ready()
            loads.reads(COMM, work, READS)
            tracer.send(signal.SIGINT)
            left = tracer.finish()
    expect(left.status == 0, f"the output is a pipe: {left.described}")
    summary, left = tracer.account(left), replace(left, output=copy.read_bytes())
    events = tracer.events(left)
    expect(
        summary.saved == len(events) == READS and summary.bytes == len(left.output),
        f"{summary.saved} saved in {summary.bytes} bytes; {len(events)} in {len(left.output)} came out of the pipe",
    )


def _check_unwritable(subject: Subject, work: Path) -> None:
    """Files that cannot be created are told."""
    for option in ("--output", "--summary"):
        path = "/nonexistent/file"
        with Driven(subject, work / option, _usual_tool(subject), changed={option: path}) as tracer:
            _check_refusal(tracer, f"{option} cannot be created", 1, path)


def _check_no_permission(subject: Subject, work: Path) -> None:
    """A user who may not load BPF is told."""
    with Driven(subject, work / "tracer", _usual_tool(subject), unprivileged=True) as tracer:
        _check_refusal(tracer, "without capabilities", 1)


_BAD_OPTIONS = (
    ("--tool", "frobnicate"),
    ("--ringbuf-bytes", "5000", "power of two"),
    ("--target-comm", "sixteen-bytes-xx", "15"),
    ("--target-comm", ""),
    ("--attach", "uprobe"),
    ("--format", "xml"),
    ("--poll-ms", "soon"),
    ("--payload-bytes", "0"),
    ("--frobnicate", ""),
    ("--wakeup", "sometimes"),
    ("--wakeup", "watermark:0"),
    ("--wakeup", f"watermark:{RINGBUF_BYTES}"),
    ("--rings", "65"),
    ("--consumers", "two"),
    ("--consumers", "ring"),
    ("--output-bytes", "4095"),
    ("--records", "some"),
    ("--buffer", "heap"),
    ("--epoll", "corner"),
)
"""Option, value, and what the message has to have besides."""

_BAD_TOGETHER = (
    {"--epoll": "edge", "--wakeup": "never"},
    {"--epoll": "edge", "--wakeup": "poll"},
    {"--epoll": "edge", "--buffer": "perf"},
)
"""Of which each may do by itself."""

_NO_KNOBS = (("--wakeup", "never"), ("--output-bytes", "4096"))
"""Not for what counts in the kernel."""

_BAD_FOR_SYSCOUNT = (("--attach", Attach.KPROBE, "tracepoint"), ("--attach", Attach.FENTRY, "tracepoint"), *_NO_KNOBS)
"""Its hook is a tracepoint, and nothing else."""

_BAD_FOR_FS_PROFILE = (("--format", Format.BINARY, "text"), *_NO_KNOBS)


def _check_options(subject: Subject, work: Path) -> None:
    """Bad options are refused in one line."""
    bad = [(_usual_tool(subject), option) for option in _BAD_OPTIONS]
    if Tool.SYSCOUNT in subject.tools:
        bad += [(Tool.SYSCOUNT, option) for option in _BAD_FOR_SYSCOUNT]
    if Tool.FS_PROFILE in subject.tools:
        bad += [(Tool.FS_PROFILE, option) for option in _BAD_FOR_FS_PROFILE]
    for number, (tool, (option, value, *words)) in enumerate(bad):
        with Driven(subject, work / str(number), tool, changed={option: value}) as tracer:
            _check_refusal(tracer, f"bad {option.removeprefix('--')} {value!r}", 2, option, value, *words)
    for number, both in enumerate(_BAD_TOGETHER):
        with Driven(subject, work / f"both {number}", _usual_tool(subject), changed=both) as tracer:
            _check_refusal(tracer, f"bad {' with '.join(map(' '.join, both.items()))}", 2)


CASES = {
    "drain": alone(_check_drain),
    "twice": alone(_check_twice),
    "own comm": alone(_check_own_comm),
    "before READY": alone(_check_before_ready),
    "second signal": alone(_check_second_signal),
    "full device": alone(_check_full_device),
    "full disk": alone(check_full_disk),
    "pipe": alone(_check_pipe),
    "unwritable": alone(_check_unwritable),
    "no permission": alone(_check_no_permission),
    "options": alone(_check_options),
}
