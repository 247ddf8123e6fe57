# SPDX-License-Identifier: Apache-2.0
"""The target: a process that is there, so that a tracer can be told its id, and begins when it is let go."""

from __future__ import annotations

import errno
import os
import resource
import time
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.child import Child, Launch, dies_with_us, exit_text
from bpfbench.model.target import CommandTarget

HOLD = """\
read -r _ <"$0"
runs=$1; shift
while [ "$runs" -gt 1 ]; do (exec "$@") || exit; printf '\\036'; runs=$((runs-1)); done
exec "$@"
"""
"""What a shell does that becomes the target: it waits for a line from a named pipe. The process id stays the same. Of
several runs it starts all but the last, and goes on as long as they end well."""

RUN_ENDED = "\036"
"""What it prints after each of those."""

GATE_S = 10.0
"""A shell that has not come to the pipe by then never will."""


class HeldTarget(Child):
    """A target that has not begun. Use as a context manager: on leaving, it is gone.

    Args:
        target: what it is to be.
        launch: how it is started; its command is of no account.
        gate: where the named pipe is made.
        runs: how often it is run.

    Raises:
        StepError: it could not be started.
    """

    def __init__(self, target: CommandTarget, launch: Launch, gate: Path, runs: int) -> None:
        self._gate, self._runs = gate, runs
        self.user_s = self.system_s = 0.0
        """Of it and all its processes that were waited for, once it has ended."""
        os.mkfifo(gate, 0o600)
        held = ("sh", "-c", HOLD, str(gate), str(runs), *target.command)
        super().__init__("the target", Launch(held, launch.cpus, launch.stderr, launch.join), dies_with_us)

    def let_go(self) -> float:
        """Let it begin, and return when that was, by CLOCK_MONOTONIC in seconds.

        Raises:
            StepError: it is not there any more.
        """
        until_s = time.monotonic() + GATE_S
        while True:
            try:
                fd = os.open(self._gate, os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            if not self.alive() or time.monotonic() > until_s:
                raise StepError("the target was gone before it could begin")
            time.sleep(0.001)
        now_s = time.monotonic()
        os.write(fd, b"\n")
        os.close(fd)
        return now_s

    def printed(self) -> tuple[str, ...]:
        """Return what each run has printed.

        Raises:
            StepError: it cannot be told.
        """
        each = tuple(self.said().split(RUN_ENDED)) if self._runs > 1 else (self.said(),)
        if len(each) != self._runs:
            raise StepError(f"the target prints {RUN_ENDED!r} itself, by which its runs are told apart")
        return each

    def result(self) -> None:
        """Wait for its end, which has come, and take its CPU time.

        Raises:
            StepError: it has failed.
        """
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = self._process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.user_s, self.system_s = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        if status:
            raise StepError(f"the target ended with {exit_text(status)}: {self.last_message()}")
