# SPDX-License-Identifier: Apache-2.0
"""A running virtual machine: QEMU, its console, and the agent in it that runs commands (inside/agent.py)."""

from __future__ import annotations

import collections
import contextlib
import logging
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Self

from bpfbench.errors import LostError
from bpfbench.machine import command
from bpfbench.machine.command import Finished
from bpfbench.testbed.job import Job
from bpfbench.testbed.vm import qemu
from bpfbench.testbed.vm.agent import Agent, SilentError
from bpfbench.testbed.vm.qemu import Vm

LOG = logging.getLogger("bpfbench.testbed")

CONSOLE_LINES = 200
"""What is kept of a console."""

LAST_LINES = 6
"""What is shown of it when the machine is lost."""

POWER_OFF_S = 30.0

PANIC = "Kernel panic - not syncing: "


class Guest:
    """Boots a virtual machine; use as a context manager, on leaving which it is gone.

    Args:
        vm: what to boot; its port is added here.
        files: of its disks, to be inherited.
        boot_s: deadline until the agent says hello.

    Raises:
        LostError: it did not come up.
        FileNotFoundError: there is no QEMU.
    """

    def __init__(self, vm: Vm, files: Sequence[IO[bytes]], boot_s: float) -> None:
        self.vm = vm
        self._running = contextlib.ExitStack()
        self._console: collections.deque[str] = collections.deque(maxlen=CONSOLE_LINES)
        with self._running:
            self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed with the rest
            self._running.enter_context(self._errors)
            ours, theirs = socket.socketpair()
            self._agent = Agent(self._running.enter_context(ours))
            with theirs:
                argv = qemu.argv(replace(vm, port_fd=theirs.fileno()))
                fds = (theirs.fileno(), *(file.fileno() for file in files))
                command.LOG.debug("%s", shlex.join(argv))
                self._qemu = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    text=True,
                    errors="replace",
                    pass_fds=fds,
                    start_new_session=True,
                )
            self._reader = threading.Thread(target=self._read_console, daemon=True)
            self._running.callback(self._end)
            self._reader.start()
            try:
                self.kernel = self._agent.hello(boot_s)
            except SilentError as error:
                raise self._lost(str(error)) from None
            self._running = self._running.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.power_off()
        self.kill()

    @property
    def alive(self) -> bool:
        """Whether QEMU is running."""
        return self._qemu.poll() is None

    def run(self, job: Job, keep: Mapping[str, Path], on_line: Callable[[str], None]) -> Finished:
        """Run a job to its end, as the agent does; the machine is ended where that comes too late.

        Raises:
            LostError: the machine ended first, or was too late.
        """
        try:
            return self._agent.run(job, keep, on_line)
        except SilentError as error:
            raise self._lost(str(error)) from None

    def power_off(self) -> None:
        """Have it unmount its disks and end; what does not is killed by and by."""
        with contextlib.suppress(SilentError, subprocess.TimeoutExpired):
            self._agent.power_off()
            self._qemu.wait(POWER_OFF_S)

    def kill(self) -> None:
        """End it at once."""
        self._running.close()

    def _lost(self, reason: str = "") -> LostError:
        """End the machine and say why it is lost."""
        if not reason:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._qemu.wait(2)
        status = self._qemu.poll()
        self._end()
        self._errors.seek(0)
        lines = tuple(self._console)
        whole = "".join(f"{line}\n" for line in lines)
        return LostError(why_lost(reason, status, self._errors.read(), lines), console=whole)

    def _end(self) -> None:
        if self._qemu.poll() is None:
            self._qemu.kill()
        self._qemu.wait()
        self._reader.join(2)

    def _read_console(self) -> None:
        if self._qemu.stdout is None:
            raise AssertionError("it is a pipe")
        with self._qemu.stdout as console:
            for line in console:
                text = printable(line)
                if text:
                    self._console.append(text)
                    LOG.debug("console of %s: %s", self.vm.name, text)


def why_lost(reason: str, status: int | None, errors: str, console: Sequence[str]) -> str:
    """Say why a virtual machine is lost.

    Args:
        reason: what is known; empty: to be found out.
        status: of QEMU, as subprocess has it; None if it was still running.
        errors: what QEMU itself said.
        console: its lines.
    """
    panic = next((line.split(PANIC, 1)[1] for line in console if PANIC in line), None)
    if panic is not None:
        reason = f"its kernel panicked: {panic}"
    elif not reason and status is not None and status < 0:
        reason = f"QEMU was killed by {signal.Signals(-status).name}"
    elif not reason and status == 0:
        reason = "it powered off"
    elif not reason:
        words = errors.strip().splitlines()
        reason = f"QEMU ended with status {status}: {words[-1] if words else 'no message'}"
    ended = " | ".join(console[-LAST_LINES:])
    return f"the virtual machine was lost: {reason}" + (f"; its console ended: {ended}" if ended else "")


def printable(line: str) -> str:
    """Return a line of a console without control characters."""
    return "".join(char for char in line if char.isprintable()).rstrip()
