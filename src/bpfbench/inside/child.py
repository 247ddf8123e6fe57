# SPDX-License-Identifier: Apache-2.0
"""A child process, such as fio and the tracer: confined before it is executed, and not left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Self

from bpfbench.errors import StepError


class Child:
    """A running program, in a session of its own. Use as a context manager: on leaving, it is gone.

    Args:
        name: what it is called where it is spoken of.
        command: executable and options.
        cpus: the CPUs it may run on.
        stderr: the file its messages go to, and what it prints.
        join: what it does first: join its control group.
        confine: what it does last, before it is executed.
        env: what it has in its environment besides ours.
        piped: whether what it prints is read instead.

    Raises:
        StepError: it could not be started.
    """

    def __init__(
        self,
        name: str,
        command: tuple[str, ...],
        cpus: Set[int],
        stderr: Path,
        join: Callable[[], None],
        confine: Callable[[], None],
        env: Mapping[str, str],
        *,
        piped: bool = False,
    ) -> None:
        def first() -> None:
            join()
            os.sched_setaffinity(0, cpus)
            confine()

        self._stderr = stderr
        try:
            with stderr.open("wb") as errors:
                self._process = subprocess.Popen(
                    command,
                    env={**os.environ, **env},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if piped else errors,
                    stderr=errors,
                    start_new_session=True,
                    preexec_fn=first,
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise StepError(f"{name} cannot be started: {getattr(error, 'strerror', None) or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive():
            os.killpg(self.pid, signal.SIGKILL)
        with self._process:  # waits, and closes its pipe
            pass

    @property
    def pid(self) -> int:
        """Id of the process that was started."""
        return self._process.pid

    @property
    def stdout(self) -> int:
        """Descriptor of what it prints, where that is piped."""
        if self._process.stdout is None:
            raise AssertionError("it is not piped")
        return self._process.stdout.fileno()

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self._process.poll() is None

    def ended_within(self, timeout_s: float) -> bool:
        """Wait for its end, without reaping it; tell whether it came in time."""
        pidfd = os.pidfd_open(self.pid)
        try:
            return bool(select.select([pidfd], [], [], timeout_s)[0])
        finally:
            os.close(pidfd)

    def last_message(self) -> str:
        """Return the last line it wrote to stderr."""
        lines = self._stderr.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no message"
