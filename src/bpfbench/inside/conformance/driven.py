# SPDX-License-Identifier: Apache-2.0
"""One tracer under test: started, stopped, and all that it left. Unlike a trial's, it is treated badly."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bpfbench.inside import tracer
from bpfbench.inside.child import Launch
from bpfbench.inside.conformance import output, program
from bpfbench.inside.conformance.judge import FailedError, expect
from bpfbench.inside.conformance.output import Event
from bpfbench.inside.tracer import TracerProcess
from bpfbench.model import Format, Tool, TracerConfig, TracerSummary
from bpfbench.model.check import Subject
from bpfbench.model.choices import OPTIONS, PER_CPU, Buffer, kind_of

READY_S, END_S = 300.0, 300.0
"""How long a tracer may take to be READY, and to end after a signal, be it with twenty others on an emulated CPU."""
DELIVERED_S = 30.0
"""How long it may take to take, or write, what nobody follows with more."""

RINGBUF_BYTES = 16 * 2**20
PAYLOAD_BYTES = tracer.DEFAULT_PAYLOAD_BYTES

COMM = program.COMM[:9]
"""A short name."""

WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--")
"""Prefix that takes from a command what root may do; not who it is, as then it might not even reach the executable."""

KNOBS = {f"--{name.replace('_', '-')}": name for name in OPTIONS}
"""The options that a tracer may lack, each with what studies call it."""

REFUSED = 2
"""Exit status of a tracer that was given what it has not."""

CAUSES = {"ring_full", "map_full", "recursion", "missed", "output_error"}
KINDS = {"read", "write", "slow", "syscall", "unknown"}


@dataclass(frozen=True, slots=True)
class Left:
    """What a tracer that ended left."""

    status: int
    """Exit status, or minus the signal."""
    stdout: str
    stderr: str
    summary: TracerSummary | None
    output: bytes
    """Empty where it is no regular file."""
    files: tuple[str, ...]
    """In the directory of its output and summary."""

    @property
    def described(self) -> str:
        """How it ended, in one line."""
        how = f"signal {-self.status}" if self.status < 0 else f"exit status {self.status}"
        return f"{how}, stderr {self.stderr[-400:]!r}"


class Driven(TracerProcess):
    """A tracer under test. Use as a context manager: on leaving, it is gone.

    Args:
        subject: whose.
        work: a directory to make, for output and summary.
        tool: what to trace.
        form: how to write it; None: as it can.
        comm: whom to trace.
        changed: options of the contract in place of the usual, by name.
        unprivileged: without capabilities.
        followed: told that its output is read behind it.

    Raises:
        StepError: it could not be started.
    """

    def __init__(
        self,
        subject: Subject,
        work: Path,
        tool: Tool,
        *,
        form: Format | None = None,
        comm: str = COMM,
        changed: Mapping[str, str] | None = None,
        unprivileged: bool = False,
        followed: bool = False,
    ) -> None:
        work.mkdir()
        self.subject, self.work, self.tool, self.form = subject, work, tool, form or subject.formats[0]
        config = TracerConfig(subject.attach, self.form, RINGBUF_BYTES)
        words = tracer.arguments(tool, config, work / "output", work / "summary.json", comm)
        self.options = {**dict(zip(words[::2], words[1::2], strict=True)), **(changed or {})}
        self.started_ns = time.monotonic_ns()
        self.ready_ns: int | None = None
        self.stopped_ns: int | None = None
        prefix = WITHOUT_CAPABILITIES if unprivileged else ()
        command = (*prefix, *subject.command, *itertools.chain.from_iterable(self.options.items()))
        env = tracer.FOLLOWED if followed else {}
        super().__init__(Launch(command, os.sched_getaffinity(0), work / "stderr", env=env))

    @property
    def is_adapter(self) -> bool:
        """True where another process does the tracing; known once READY."""
        return self.pid_tracing != self.pid

    @property
    def by_cpu(self) -> bool:
        """True where each CPU has a ring, or a perf buffer."""
        return self.options.get("--rings") == PER_CPU or self.options.get("--buffer") == Buffer.PERF

    @property
    def refusal(self) -> str:
        """What it said where it ended because it lacks one of those, or a value; nothing where its setup has it."""
        asked = {name: kind_of(name, self.options[option]) for option, name in KNOBS.items() if option in self.options}
        lacks = any(kind not in self.subject.options.get(name, ()) for name, kind in asked.items())
        if asked.get("buffer") == Buffer.PERF:
            lacks |= any(kind not in self.subject.with_perf.get(name, (kind,)) for name, kind in asked.items())
        if not lacks or self._process.poll() != REFUSED:
            return ""
        return f"not for this setup: {self.last_message().partition(';')[0]}"

    def wait_ready(self, timeout_s: float = READY_S) -> float:
        """Wait for the READY line, from now on, and return how long that took since it was started, in seconds.

        Raises:
            StepError: it ended, said something else, or took too long.
        """
        took_s = super().wait_ready(time.monotonic() - self.started_s + timeout_s)
        self.ready_ns = time.monotonic_ns()
        return took_s

    def send(self, sign: signal.Signals) -> None:
        """Send a signal to what was started."""
        self.stopped_ns = self.stopped_ns or time.monotonic_ns()
        self._process.send_signal(sign)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process that does the tracing: what is in its ring stays there."""
        os.kill(self.pid_tracing, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid_tracing, signal.SIGCONT)

    def finish(self) -> Left:
        """Wait for its end and collect what it left.

        Raises:
            StepError: it does not end, or left something that cannot be read.
        """
        try:
            said, _ = self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            raise FailedError(f"did not end in {END_S} s") from None
        errors = self.work / "stderr"
        stderr = errors.read_text(errors="replace")
        errors.unlink()
        written, summary = Path(self.options["--output"]), Path(self.options["--summary"])
        return Left(
            status=self._process.returncode,
            stdout=said.decode(errors="replace"),
            stderr=stderr,
            summary=tracer.read_summary(summary) if summary.exists() else None,
            output=written.read_bytes() if written.is_file() else b"",
            files=tuple(sorted(path.name for path in self.work.iterdir())),
        )

    def refuse(self, what: str) -> Left:
        """Wait for its end where it is to refuse something, and print nothing.

        Raises:
            StepError: it printed something, as who accepts it does; it is not waited for.
        """
        expect(bool(select.select([self.stdout], [], [], END_S)[0]), f"{what}: did not end in {END_S} s")
        printed = os.read(self.stdout, 4096)
        expect(not printed, f"{what}: it printed {printed!r}")
        return self.finish()

    def stop_well(self) -> tuple[Left, TracerSummary]:
        """Stop it as a trial does, unless it was told to, and make sure that its account is that of its output.

        Raises:
            StepError: something is not as the contract says.
        """
        if not self.stopped_ns:
            self.send(signal.SIGINT)
        left = self.finish()
        expect(left.status == 0, f"did not end with 0: {left.described}")
        expect(left.stderr == "", f"wrote to stderr: {left.stderr[-400:]!r}")
        expect(left.stdout == "", f"printed more than READY: {left.stdout[:200]!r}")
        expect(left.files == ("output", "summary.json"), f"left files: {', '.join(left.files)}")
        summary = self.account(left)
        expect(summary.error is None, f"has an error in its summary: {summary.error}")
        expect(summary.lost.get("output_error") == 0, "lost by output_error, though nothing was wrong with the output")
        size = len(left.output)
        expect(summary.bytes == size, f"bytes is {summary.bytes}, and the output has {size}")
        return left, summary

    def events(self, left: Left) -> list[Event]:
        """Return what is in its output.

        Raises:
            MalformedError: the output is not what the contract says.
        """
        return output.events(left.output, self.tool, self.form, int(self.options["--payload-bytes"]))

    def account(self, left: Left) -> TracerSummary:
        """Return its summary, after making sure that it is one and that the identity holds.

        Raises:
            FailedError: something is not as the contract says.
        """
        summary = left.summary
        if summary is None:
            raise FailedError(f"left no summary: {left.described}")
        said = (summary.setup, summary.tool, summary.attach, summary.format)
        is_so = (self.subject.setup, self.tool.value, self.subject.attach.value, self.form.value)
        expect(said == is_so, f"summary is of {said}, where {is_so} was run")
        versions = (2,) if KNOBS.keys() & self.options.keys() else (1, 2)
        expect(summary.contract in versions, f"contract is {summary.contract}, not {' or '.join(map(str, versions))}")
        expect(set(summary.lost) == CAUSES, f"lost is by {sorted(summary.lost)}, not by {sorted(CAUSES)}")
        unknown = {cause for cause, n in summary.lost.items() if n is None}
        expect(unknown == set(summary.unavailable), f"null: {sorted(unknown)}; unavailable: {summary.unavailable}")
        expect(set(summary.intercepted) <= KINDS, f"intercepted is of {sorted(summary.intercepted)}")
        total, lost = summary.intercepted_total, summary.lost_total
        numbers = f"intercepted {summary.intercepted}, saved {summary.saved}, lost {summary.lost}"
        expect(
            total == summary.saved + lost, f"{total} intercepted is not {summary.saved} saved + {lost} lost: {numbers}"
        )
        expect(bool(summary.versions) and all(summary.versions.values()), f"versions is {summary.versions}")
        times = summary.times_ns
        _expect_order({"exec": self.started_ns, "start": times.start, "ready": times.ready, "READY": self.ready_ns})
        # One that ran into an error stopped before it was told to.
        signal_ns = None if summary.error else self.stopped_ns
        _expect_order({"signal": signal_ns, "stop": times.stop, "drained": times.drained})
        _expect_order({"start": times.start, "ready": times.ready, "stop": times.stop})
        return summary


def _expect_order(times_ns: dict[str, int | None]) -> None:
    known = [ns for ns in times_ns.values() if ns is not None]
    expect(known == sorted(known), f"the times are not in order: {times_ns}")
