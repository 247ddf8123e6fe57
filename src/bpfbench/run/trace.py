# SPDX-License-Identifier: Apache-2.0
"""A trace, one tracer in front of the user: over a command of theirs, or until they have seen enough."""

from __future__ import annotations

import contextlib
import json
import logging
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TextIO

from bpfbench.codec import decode
from bpfbench.errors import StepError
from bpfbench.machine.command import Hold, Process, foreground
from bpfbench.model import OWN_COMM, TracerSummary, TraceSpec
from bpfbench.testbed.base import Testbed

LOG = logging.getLogger("bpfbench.command")

MOST_HELD = 4096
"""Records are written together, as they came; of more, some are before they have all come."""


@dataclass(frozen=True, slots=True)
class Traced:
    """How a trace went."""

    startup_s: float
    """From the tracer's start to READY."""
    summary: TracerSummary
    """The tracer's own account."""
    shown: int
    """Records that could be read."""
    reason: str | None
    """Why the tracer ended, if not because it was told to."""
    status: int | None
    """Of the command, as a shell has it; None where there was none."""


class TraceLines(Protocol):
    """How what is traced is written: report.trace and report.profile have the kinds."""

    def head(self, ready_ns: int) -> str:
        """Return what stands above the records; the tracer is ready, by CLOCK_MONOTONIC."""

    def record(self, line: str) -> str:
        """Return a record; raises ValueError where it cannot be read."""

    def end(self, summary: TracerSummary, names: dict[int, str]) -> str:
        """Return what was counted. `names`: of system calls."""


class Trace:
    """One trace. To be run once.

    Args:
        testbed: where the tracer runs.
        lines: how records are written.
        out: where to.
        command: run under the tracer, to the end of which it traces; if empty, it traces until interrupted.
        on_ready: told when the tracer is.
    """

    def __init__(
        self,
        testbed: Testbed,
        lines: TraceLines,
        out: TextIO,
        command: Sequence[str] = (),
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._testbed, self._lines, self._out, self._on_ready = testbed, lines, out, on_ready
        self._command = tuple(command)
        self._hold = Hold()
        self._records: list[str] = []
        self._shown = 0
        self._ready: dict[str, Any] = {}
        self._ended: dict[str, Any] = {}
        self._stopping = False
        self._foreground: Process | None = None
        self._running = contextlib.ExitStack()

    def run(self, spec: TraceSpec, setup: str) -> Traced:
        """Trace to the end. A tracer that ends by itself does not end the command, which is waited for.

        Raises:
            StepError: the tracer did not start, or left no account.
            BrokenPipeError: who reads what is written has gone; the command has been ended.
        """
        Path("/proc/self/comm").write_text(OWN_COMM)
        with self._running, _on_signals(self._signalled):
            self._testbed.trace(spec, setup, self._on_line, self._hold)
            if not self._ended:
                raise StepError("the trace ended without an account")
            if self._foreground and self._ended["reason"] and self._foreground.poll() is None:
                LOG.warning("nothing is traced any more, %s; waiting for %s", self._ended["reason"], self._command[0])
            status = self._foreground.wait() if self._foreground else None
        return Traced(
            startup_s=self._ready["startup_s"],
            summary=self._ended["summary"],
            shown=self._shown,
            reason=self._ended["reason"],
            status=status if status is None or status >= 0 else 128 - status,
        )

    def _on_line(self, line: str) -> None:
        if not line.startswith("{"):
            self._records.append(line)
            if len(self._records) >= MOST_HELD:
                self._show()
            return
        event = json.loads(line)
        match event["event"]:
            case "command":
                LOG.debug("in the image: %s", shlex.join(event["argv"]))
            case "ready":
                self._begin(event)
            case "batch":
                self._show()
            case "summary":
                self._show()
                self._end({**event, "summary": decode(TracerSummary, event["summary"], "summary")})

    def _begin(self, event: dict[str, Any]) -> None:
        self._ready = event
        self._on_ready()
        self._write(self._lines.head(event["monotonic_ns"]))
        if self._command:
            self._foreground = self._running.enter_context(foreground(self._command, self._hold.let_go))

    def _show(self) -> None:
        if not self._records:
            return
        shown = []
        for record in self._records:
            with contextlib.suppress(ValueError):  # a name with a newline; the count of those shown tells
                shown.append(self._lines.record(record))
        self._write("".join(shown))
        self._shown += len(shown)
        self._records.clear()

    def _end(self, event: dict[str, Any]) -> None:
        self._ended = event
        counts = self._lines.end(event["summary"], {int(number): name for number, name in event["names"].items()})
        # The terminal has written ^C where the cursor was.
        self._write(f"\n{counts}" if counts and not self._command and self._out.isatty() else counts)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _signalled(self, number: int) -> bool:
        """Obey a signal; False where it is to end everything at once."""
        if self._foreground and self._foreground.poll() is None:
            if number == signal.SIGINT:  # the terminal has sent it to the command, too, whose end ends the trace
                return True
            if not self._stopping:
                self._stopping = True
                self._foreground.terminate()
                return True
            return False
        if not self._ready or self._stopping or self._foreground:
            return False
        self._stopping = True
        self._hold.let_go()
        return True


@contextlib.contextmanager
def _on_signals(obeyed: Any) -> Iterator[None]:
    """Have `obeyed` called with SIGINT and SIGTERM; what it does not obey goes to who was called before.

    Where nobody was, as where they were ignored, it raises KeyboardInterrupt.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        if not obeyed(number):
            previous = before[signal.Signals(number)]
            (previous if callable(previous) else signal.default_int_handler)(number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
