# SPDX-License-Identifier: Apache-2.0
"""One tracer under test: started, stopped, and all that it left. Unlike a trial's, it is treated badly."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bpfbench.codec import from_json
from bpfbench.inside.conformance.judge import FailedError, expect
from bpfbench.model import Format, Tool, TracerSummary
from bpfbench.model.check import Subject

READY_S, END_S = 300.0, 300.0
"""How long a tracer may take to be READY, and to end after a signal, be it with twenty others on an emulated CPU."""

WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--")
"""Prefix that takes from a command what root may do; not who it is, as then it might not even reach the executable."""

CONTRACT = 1
CAUSES = {"ring_full", "map_full", "recursion", "missed", "output_error"}
KINDS = {"read", "write", "syscall", "unknown"}


@dataclass(frozen=True, slots=True)
class Left:
    """What a tracer that ended left."""

    status: int
    """Exit status, or minus the signal."""
    stdout: str
    stderr: str
    summary: TracerSummary | None
    output: bytes | None
    """None where it is no regular file."""
    files: tuple[str, ...]
    """In the directory of its output and summary."""

    @property
    def described(self) -> str:
        """How it ended, in one line."""
        how = f"signal {-self.status}" if self.status < 0 else f"exit status {self.status}"
        return f"{how}, stderr {self.stderr[-400:]!r}"


class Driven:
    """A tracer, to be started.

    Args:
        subject: whose.
        work: an existing directory for output and summary.
        tool: what to trace.
        form: how to write it.
        comm: whom to trace.
        changed: options of the contract in place of the usual, by name.
        unprivileged: without capabilities.
    """

    def __init__(
        self,
        subject: Subject,
        work: Path,
        tool: Tool,
        form: Format,
        comm: str,
        changed: dict[str, str] | None = None,
        *,
        unprivileged: bool = False,
    ) -> None:
        self.subject, self.work, self.tool, self.form = subject, work, tool, form
        self.options = {
            "--tool": tool.value,
            "--attach": subject.attach.value,
            "--target-comm": comm,
            "--ringbuf-bytes": str(16 * 2**20),
            "--poll-ms": "100",
            "--payload-bytes": "4096",
            "--format": form.value,
            "--output": str(work / "output"),
            "--summary": str(work / "summary.json"),
            **(changed or {}),
        }
        self.started_ns = self.ready_ns = self.stopped_ns = 0
        self.pid_tracing = 0
        self._unprivileged = unprivileged
        self._process: subprocess.Popen[bytes] | None = None
        self._first = b""

    def start(self) -> None:
        """Start it.

        Raises:
            FailedError: it cannot be started.
        """
        prefix = WITHOUT_CAPABILITIES if self._unprivileged else ()
        self.started_ns = time.monotonic_ns()
        try:
            with (self.work / "stderr").open("wb") as errors:
                self._process = subprocess.Popen(
                    [*prefix, *self.subject.command, *(word for option in self.options.items() for word in option)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            raise FailedError(f"{self.subject.command[0]} cannot be started: {error.strerror}") from None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """What was started."""
        if self._process is None:
            raise AssertionError("it was not started")
        return self._process

    @property
    def is_adapter(self) -> bool:
        """True where another process does the tracing; known once READY."""
        return self.pid_tracing != self.process.pid

    def wait_ready(self) -> None:
        """Wait for READY.

        Raises:
            FailedError: it said something else, ended, or took too long.
        """
        until_s = time.monotonic() + READY_S
        stdout = self.process.stdout
        assert stdout is not None  # noqa: S101 - for mypy; a pipe
        while not self._first.endswith(b"\n"):
            left_s = until_s - time.monotonic()
            expect(left_s > 0 and bool(select.select([stdout], [], [], left_s)[0]), f"not READY in {READY_S} s")
            byte = os.read(stdout.fileno(), 1)
            if not byte:
                raise FailedError(f"ended before READY: {self.finish().described}")
            self._first += byte
        self.ready_ns = time.monotonic_ns()
        words = self._first.decode(errors="replace").split()
        good = words[:1] == ["READY"] and len(words) <= 2 and all(word.isdecimal() for word in words[1:])
        expect(good, f"printed {self._first!r}, not READY")
        self.pid_tracing = int(words[1]) if words[1:] else self.process.pid

    def send(self, sign: signal.Signals) -> None:
        """Send a signal to what was started."""
        self.stopped_ns = self.stopped_ns or time.monotonic_ns()
        self.process.send_signal(sign)

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
            FailedError: it does not end, or left something that cannot be read.
        """
        try:
            out, _ = self.process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            raise FailedError(f"did not end in {END_S} s") from None
        errors = (self.work / "stderr").read_text(errors="replace")
        (self.work / "stderr").unlink()
        output = Path(self.options["--output"])
        return Left(
            status=self.process.returncode,
            stdout=out.decode(errors="replace"),
            stderr=errors,
            summary=_read_summary(Path(self.options["--summary"])),
            output=output.read_bytes() if output.is_file() else None,
            files=tuple(sorted(path.name for path in self.work.iterdir())),
        )

    def refuse(self, what: str) -> Left:
        """Wait for its end where it is to refuse something, and print nothing.

        Raises:
            FailedError: it printed something, as who accepts it does; it is not waited for.
        """
        stdout = self.process.stdout
        assert stdout is not None  # noqa: S101 - for mypy; a pipe
        expect(bool(select.select([stdout], [], [], END_S)[0]), f"{what}: did not end in {END_S} s")
        printed = os.read(stdout.fileno(), 4096)
        expect(not printed, f"{what}: it printed {printed!r}")
        return self.finish()

    def stop(self) -> Left:
        """Stop it as a trial does, unless it was told to, and make sure that its account is that of its output.

        Raises:
            FailedError: something is not as the contract says.
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
        size = len(left.output or b"")
        expect(summary.bytes == size, f"bytes is {summary.bytes}, and the output has {size}")
        return left

    def account(self, left: Left) -> TracerSummary:
        """Return its summary, after making sure that it is one and that the identity holds.

        Raises:
            FailedError: something is not as the contract says.
        """
        summary = left.summary
        if summary is None:
            raise FailedError(f"left no summary: {left.described}")
        said = (summary.contract, summary.setup, summary.tool, summary.attach, summary.format)
        is_so = (CONTRACT, self.subject.setup, self.tool.value, self.subject.attach.value, self.form.value)
        expect(said == is_so, f"summary is of {said}, where {is_so} was run")
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
        _expect_order(
            {"exec": self.started_ns, "start": times.start, "ready": times.ready, "READY": self.ready_ns or None}
        )
        # One that ran into an error stopped before it was told to.
        signal_ns = None if summary.error else self.stopped_ns
        _expect_order({"signal": signal_ns, "stop": times.stop, "drained": times.drained})
        _expect_order({"start": times.start, "ready": times.ready, "stop": times.stop})
        return summary

    def kill(self) -> None:
        """End it, if it still runs."""
        if self._process is None:
            return
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


def _expect_order(times_ns: dict[str, int | None]) -> None:
    known = [ns for ns in times_ns.values() if ns is not None]
    expect(known == sorted(known), f"the times are not in order: {times_ns}")


def _read_summary(path: Path) -> TracerSummary | None:
    try:
        return from_json(TracerSummary, path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise FailedError(f"summary is not as the contract says: {error}") from None
