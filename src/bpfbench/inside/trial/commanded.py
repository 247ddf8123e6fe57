# SPDX-License-Identifier: Apache-2.0
"""The tracer of a trial that is a command: started, stopped, and what is known of it then.

It keeps no contract: when it is ready, and what it holds, is asked of the kernel (command.py, grip.py), and what it has
received and lost of what it printed, if the study says how.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside import grip, leftovers
from bpfbench.inside.child import SAID_LINES, Launch, filled, unpacked
from bpfbench.inside.command import CommandProcess
from bpfbench.inside.printed import count
from bpfbench.inside.trial.record import Gathered
from bpfbench.model.command import PLACEHOLDERS, BpfUse, CommandAccount, CommandTracer

PRINTED_MOST = 2**29
"""Whoever prints more is ended by the kernel: it would fill the disk."""

KEPT_BYTES = 2**15
"""Of the beginning and of the end of what was printed, that are kept beside the record."""

PINS = Path("/sys/fs/bpf")
"""Where BPF programs can be left without a process."""


def start(found: Gathered, running: contextlib.ExitStack, target: int | None) -> tuple[CommandProcess, float]:
    """Start the tracer, and wait until it is ready; return it, and how long that took, in seconds.

    Raises:
        StepError: it could not be started, ended, or was not ready in time.
    """
    spec, before, pinned = found.spec, grip.programs_now(), _pins()
    if spec.command is None:
        raise AssertionError("there is no command")
    leftovers.reap()
    command = _filled(spec.command, (spec.comm, spec.command_files, str(found.output)))
    found.notify({"event": "command", "argv": command.command})
    join, env = found.sampler.joiner("tracer"), unpacked(spec.command_packages)
    launch = Launch((), found.cpus["tracer"], found.printed, join, env)
    traced = CommandProcess(command, launch, target, before, PRINTED_MOST)
    running.enter_context(_told(found, traced))
    running.callback(_clear, pinned)
    running.enter_context(traced)
    return traced, traced.wait_ready(spec.settings.deadlines.ready_s)


def _filled(command: CommandTracer, values: tuple[str, ...]) -> CommandTracer:
    """Return a command with its placeholders replaced, but for that of the target, whose id is filled in later."""
    by_placeholder = dict(zip(PLACEHOLDERS[1:], values, strict=True))
    ready = command.ready_file and filled((command.ready_file,), by_placeholder)[0]
    return replace(command, command=filled(command.command, by_placeholder), ready_file=ready)


@contextlib.contextmanager
def _told(found: Gathered, traced: CommandProcess) -> Iterator[None]:
    """Have a reason for failure end with what was printed last, and keep what was printed beside the record."""
    try:
        yield
    except StepError as error:
        last = " | ".join(line for line in traced.last_lines(SAID_LINES) if line.strip())
        raise StepError(error.message if last in error.message else f"{error.message}; it printed: {last}") from None
    finally:
        with contextlib.suppress(OSError):
            _keep(found.printed, found.file("tracer.printed"))


def stop(found: Gathered, traced: CommandProcess) -> float:
    """Stop the tracer, and note what is known of it; return how long it took to end, in seconds.

    Raises:
        StepError: it did not end, or not well; it has attached something that nobody knew of, or left something.
    """
    traced.require_no_late_grip()
    held = traced.grip()
    use = None
    with contextlib.suppress(OSError):
        use = grip.bpf_use(held, grip.family(traced.pid))
    begin_s = time.monotonic()
    traced.stop(found.spec.settings.deadlines.stop_s)
    stop_s = time.monotonic() - begin_s
    leftovers.require_none_running("the tracer")
    leftovers.require_unloaded(held.programs)
    found.note(command=_account(found, traced, use))
    return stop_s


def _account(found: Gathered, traced: CommandProcess, use: BpfUse | None) -> CommandAccount:
    command, printed = found.spec.command, (found.printed, found.output)
    tallies = (command.received, command.lost) if command else (None, None)
    received, lost = (None if own is None else count(own, _lines(printed)) for own in tallies)
    of_calls = next((own.calls for own in tallies if own and own.calls), None)
    size = sum(path.stat().st_size for path in printed if path.is_file())
    return CommandAccount(traced.command, traced.ready_by, use, size, received, lost, of_calls)


def _lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        if path.is_file():
            with path.open(errors="replace") as file:
                yield from file


def _keep(printed: Path, to: Path) -> None:
    """Keep what was printed, of much of it the beginning and the end."""
    size = printed.stat().st_size
    with printed.open("rb") as file:
        if size <= 2 * KEPT_BYTES:
            to.write_bytes(file.read())
            return
        begin = file.read(KEPT_BYTES)
        file.seek(size - KEPT_BYTES)
        left_out = f"\n[{size - 2 * KEPT_BYTES} bytes are not kept]\n".encode()
        to.write_bytes(begin + left_out + file.read())


def _pins() -> frozenset[Path]:
    with contextlib.suppress(OSError):
        return frozenset(path for path in PINS.rglob("*") if not path.is_dir())
    return frozenset()


def _clear(before: frozenset[Path]) -> None:
    """Take away what the tracer has pinned.

    Raises:
        StepError: there was something.
    """
    leftovers.end_running()
    if left := [str(path) for path in sorted(_pins() - before) if _unpinned(path)]:
        raise StepError(f"the tracer has left BPF objects pinned, and they were removed: {', '.join(left)}")


def _unpinned(path: Path) -> bool:
    """Remove a pin; tell whether it was one: the kernel has files of its own there, which it does not let go."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
