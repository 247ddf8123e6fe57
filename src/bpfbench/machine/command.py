# SPDX-License-Identifier: Apache-2.0
"""A process of the controller: logged ready to paste, in a session of its own, gone when we are gone."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

LOG = logging.getLogger("bpfbench.command")

Process = subprocess.Popen[str]

KILLED_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
"""Prefix that ends a process when bpfbench ends, also by SIGKILL."""

SHOT_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""The same for a process that does not heed SIGTERM, or has nothing to tidy up."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a process ended."""

    status: int
    stderr: str
    timed_out: bool = False

    @property
    def last_words(self) -> str:
        """The last line it wrote to stderr."""
        lines = self.stderr.strip().splitlines()
        return lines[-1] if lines else "no message"


class Hold:
    """Keeps the stdin of a process open after its text, until let go: that tells the process to come to an end."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pipe: IO[str] | None = None
        self._over = False

    def take(self, pipe: IO[str]) -> None:
        """Hold this, unless it is over already."""
        with self._lock:
            self._pipe = pipe
            if self._over:
                pipe.close()

    def let_go(self) -> None:
        """Close it. Any thread may, and any signal handler, at any time, and again."""
        with self._lock:
            self._over = True
            if self._pipe is not None:
                self._pipe.close()


class Ending:
    """Ends the processes of several threads, those that run and those that would begin later; any thread may."""

    def __init__(self) -> None:
        self.over = False
        self._lock = threading.Lock()
        self._running: set[Process] = set()

    def end(self) -> None:
        """End them, as whatever interrupts `run` does."""
        with self._lock:
            self.over = True
            running = tuple(self._running)
        for process in running:
            _end(process)

    @contextlib.contextmanager
    def ends(self, process: Process) -> Iterator[None]:
        """Have a process among them meanwhile."""
        with self._lock:
            self._running.add(process)
            over = self.over
        try:
            if over:
                _end(process)
            yield
        finally:
            with self._lock:
                self._running.discard(process)


@contextlib.contextmanager
def foreground(argv: Sequence[str], at_end: Callable[[], None]) -> Iterator[Process]:
    """Run a command of the user's own: with our terminal and our stdin. On leaving, and when we are gone, it is gone.

    What it prints on stdout goes to our stderr, as our own stdout is for data. At its end `at_end` is called, in a
    thread.
    """
    LOG.debug("%s", shlex.join(argv))
    process = subprocess.Popen((*KILLED_WITH_US, *argv), stdout=sys.stderr.fileno(), text=True)

    def wait() -> None:
        process.wait()
        at_end()

    threading.Thread(target=wait, daemon=True).start()
    try:
        yield process
    finally:
        _end(process)


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    on_line: Callable[[str], None] = lambda _: None,
    timeout_s: float | None = None,
    merge_stderr: bool = False,
    hold: Hold | None = None,
    pass_fds: Sequence[int] = (),
    ending: Ending | None = None,
) -> Finished:
    """Run a process to its end, line by line.

    It has a session of its own, so that Ctrl-C reaches us alone; whatever ends us early (an exception, Ctrl-C) ends it
    first: SIGTERM, then SIGKILL after two seconds.

    Args:
        argv: the command.
        stdin: text to feed it.
        on_line: called with every line of stdout (and stderr, if merged), without its end.
        timeout_s: it is ended after so long, with status -SIGTERM or -SIGKILL.
        merge_stderr: give `on_line` what it writes to stderr, too.
        hold: keeps stdin open after the text until it is told to let go; without, stdin ends with the text.
        pass_fds: file descriptors that it inherits.
        ending: may end it from another thread, with status -SIGTERM or -SIGKILL.

    Raises:
        FileNotFoundError: there is no such command.
    """
    LOG.debug("%s%s", shlex.join(argv), f" <<'END'\n{stdin}END" if stdin else "")
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge_stderr else errors,
            text=True,
            errors="replace",
            start_new_session=True,
            env=_environment(),
            pass_fds=pass_fds,
        )
        timed_out = threading.Event()
        timer = threading.Timer(timeout_s, _end_late, [process, timed_out]) if timeout_s is not None else None
        try:
            if timer:
                timer.start()
            with ending.ends(process) if ending else contextlib.nullcontext():
                _converse(process, stdin, on_line, hold)
                status = process.wait()
        finally:
            if timer:
                timer.cancel()
            if hold:
                hold.let_go()
            _end(process)
        errors.seek(0)
        return Finished(status, errors.read(), timed_out.is_set())


def _environment() -> dict[str, str]:
    """Add where system programs are to the search path: Debian's ordinary users do not find chroot(8)."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}


def _converse(process: Process, stdin: str, on_line: Callable[[str], None], hold: Hold | None) -> None:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    try:
        process.stdin.write(stdin)
        if hold:
            process.stdin.flush()
            hold.take(process.stdin)
        else:
            process.stdin.close()
    except BrokenPipeError:
        pass  # it ended without reading: its status tells why
    with process.stdout:
        for line in process.stdout:
            on_line(line.rstrip("\n"))


def _end_late(process: Process, timed_out: threading.Event) -> None:
    timed_out.set()
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.kill(process.pid, sign)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            continue
