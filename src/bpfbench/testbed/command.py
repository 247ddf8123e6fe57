# SPDX-License-Identifier: Apache-2.0
"""Runs every process of the controller: logged ready to paste, in a session of its own, gone when we are gone."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LOG = logging.getLogger("bpfbench.command")

KILLED_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
"""Prefix that ends a process when bpfbench ends, also by SIGKILL."""


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


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    on_line: Callable[[str], None] = lambda _: None,
    timeout_s: float | None = None,
    merge_stderr: bool = False,
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
        )
        timed_out = threading.Event()
        timer = threading.Timer(timeout_s, _end_late, [process, timed_out]) if timeout_s is not None else None
        try:
            if timer:
                timer.start()
            _converse(process, stdin, on_line)
            status = process.wait()
        finally:
            if timer:
                timer.cancel()
            _end(process)
        errors.seek(0)
        return Finished(status, errors.read(), timed_out.is_set())


def _converse(process: subprocess.Popen[str], stdin: str, on_line: Callable[[str], None]) -> None:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    try:
        process.stdin.write(stdin)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended without reading: its status tells why
    with process.stdout:
        for line in process.stdout:
            on_line(line.rstrip("\n"))


def _end_late(process: subprocess.Popen[str], timed_out: threading.Event) -> None:
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
