# SPDX-License-Identifier: Apache-2.0
"""Cases for one tracer at a time: a function that raises where the tracer fails, and a line of CASES."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bpfbench.inside.conformance import loads, output, program
from bpfbench.inside.conformance.case import COMM, RW_TOOLS, ContractCase, Runner, made, verdict
from bpfbench.inside.conformance.driven import Driven, Left
from bpfbench.inside.conformance.judge import FailedError, expect
from bpfbench.inside.conformance.output import MalformedError
from bpfbench.model import Attach, Tool, TracerSummary
from bpfbench.model.check import CaseVerdict, Ended, Subject

READS = 20011  # a prime, so that no batch size divides it


class SkippedError(Exception):
    """A case does not apply; the message says why."""


def _alone(check: Callable[[Subject, Path], None]) -> Runner:
    """Make a case of a function that raises where a tracer fails."""

    def run(name: str, subjects: Sequence[Subject]) -> Iterator[CaseVerdict]:
        for subject in subjects:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    check(subject, Path(folder))
                    yield verdict(name, subject, Ended.PASSED, "")
                except (FailedError, MalformedError) as error:
                    yield verdict(name, subject, Ended.FAILED, str(error))
                except SkippedError as error:
                    yield verdict(name, subject, Ended.SKIPPED, str(error))

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
) -> Iterator[Driven]:
    """Start a tracer; it is gone afterwards."""
    tracer = Driven(
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


def _check_drain(subject: Subject, work: Path) -> None:
    """Stop a tracer that has not seen yet what is in its ring."""
    tool = _rw_tool(subject)
    with _started(subject, made(work / "tracer"), tool) as tracer:
        tracer.wait_ready()
        with tracer.frozen():
            loads.reads(COMM, work, READS)
            tracer.send(signal.SIGINT)
        summary = tracer.account(tracer.stop())
        expect(summary.saved == READS, f"{summary.saved} saved of {READS} events that were in the ring: {summary.lost}")


def _check_twice(subject: Subject, work: Path) -> None:
    tool = _rw_tool(subject)
    with _started(subject, made(work / "1"), tool) as first, _started(subject, made(work / "2"), tool) as second:
        for tracer in (first, second):
            tracer.wait_ready()
        loads.reads(COMM, work, READS)
        for tracer in (first, second):
            summary = tracer.account(tracer.stop())
            expect(summary.intercepted.get("read") == summary.saved == READS, f"{summary.saved} of {READS} reads saved")


def _check_own_comm(subject: Subject, work: Path) -> None:
    tool = _rw_tool(subject)
    comm = Path(subject.command[0]).name[:15]
    with _started(subject, made(work / "tracer"), tool, comm) as tracer:
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
        with _started(subject, made(work / str(attempt))) as tracer:
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
    with _started(subject, made(work / "tracer"), tool, changed={"--ringbuf-bytes": str(64 * 2**20)}) as tracer:
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
    with _started(subject, made(work / "tracer"), changed={"--output": "/dev/full"}) as tracer:
        tracer.wait_ready()
        loads.reads(COMM, work, READS)
        _check_full(tracer)


def _check_full_disk(subject: Subject, work: Path) -> None:
    """Write output and summary to a file system that has room for some of the records."""
    tool = _rw_tool(subject)
    small = made(work / "small")
    if program.LIBC.mount(b"tmpfs", str(small).encode(), b"tmpfs", 0, b"size=200k"):
        raise SkippedError(f"a tmpfs cannot be mounted: {os.strerror(ctypes.get_errno())}")
    try:
        places = {"--output": str(small / "output"), "--summary": str(small / "summary.json")}
        with _started(subject, made(work / "tracer"), tool, changed=places) as tracer:
            tracer.wait_ready()
            loads.reads(COMM, work, READS)
            left, summary = _check_full(tracer)
            events = output.events(left.output or b"", tool, tracer.form, 4096)
            expect(0 < summary.saved == len(events), f"saved {summary.saved}; {len(events)} events are in the output")
            expect(summary.bytes == len(left.output or b""), f"bytes is {summary.bytes} of {len(left.output or b'')}")
    finally:
        program.LIBC.umount2(str(small).encode(), 2)


def _check_full(tracer: Driven) -> tuple[Left, TracerSummary]:
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
        with _started(subject, made(work / option), changed={option: path}) as tracer:
            left = tracer.refuse(f"{option} cannot be created")
            expect(left.status == 1, f"{option} cannot be created: {left.described}")
            _expect_one_line(left, path)


def _check_no_permission(subject: Subject, work: Path) -> None:
    with _started(subject, made(work / "tracer"), unprivileged=True) as tracer:
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
        with _started(subject, made(work / str(number)), changed=changed) as tracer:
            left = tracer.refuse(f"bad {what}")
            expect(left.status == 2, f"bad {what}: {left.described}")
            _expect_one_line(left, *words)
            expect(left.files == (), f"bad {what} left {', '.join(left.files)}")


CASES = (
    ContractCase("drain", "what is in the ring when it is told to stop is saved", _alone(_check_drain)),
    ContractCase("twice", "a tracer started twice sees everything twice", _alone(_check_twice)),
    ContractCase("own comm", "a tracer does not see itself", _alone(_check_own_comm)),
    ContractCase("before READY", "a signal before READY is obeyed", _alone(_check_before_ready)),
    ContractCase("second signal", "a second signal ends it at once", _alone(_check_second_signal)),
    ContractCase("full device", "an output that cannot be written to", _alone(_check_full_device)),
    ContractCase("full disk", "a disk that fills up", _alone(_check_full_disk)),
    ContractCase("unwritable", "files that cannot be created", _alone(_check_unwritable)),
    ContractCase("no permission", "a user who may not load BPF", _alone(_check_no_permission)),
    ContractCase("options", "bad options are refused in one line", _alone(_check_options)),
)
