# SPDX-License-Identifier: Apache-2.0
"""Leftovers of a trial, by comparing before and after: BPF objects, processes, mounts, control groups, files."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import TypeVar

from bpfbench.errors import StepError
from bpfbench.inside.kernel import bpf, tasks
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.inside.monitors import cgroup

TRACING_PROGRAMS = "BPF tracing programs"
RING_BUFFERS = "BPF ring buffers"


LEFT_S = 1.0
"""A process that ends by itself soon after the one it was started by is not left."""

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)

Inventory = dict[str, frozenset[str]]
"""Everything a tracer could leave, by kind."""


def take(temporary: Path) -> Inventory:
    """List what exists now: on the whole machine for BPF objects, in our namespaces for the rest."""
    return {
        TRACING_PROGRAMS: frozenset(map(str, bpf.tracing_programs())),
        RING_BUFFERS: frozenset(map(str, bpf.ring_buffers())),
        "processes": frozenset(
            p.name for p in Path("/proc").iterdir() if p.name.isdecimal() and tasks.living(int(p.name))
        ),
        "mounts": frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        "control groups": cgroup.ours(cgroup.hierarchy()),
        "files": frozenset(str(p) for p in temporary.iterdir()),
    }


def new_since(before: Inventory, temporary: Path) -> Inventory:
    """Return what exists and did not before; kinds without any are left out."""
    new = {kind: items - before.get(kind, frozenset()) for kind, items in take(temporary).items()}
    return {kind: items for kind, items in new.items() if items}


def settled_since(before: Inventory, temporary: Path, timeout_s: float = 5.0) -> Inventory:
    """Return what is new since `before`, giving the kernel time: it frees BPF objects a while after the last close."""
    return settled(lambda: new_since(before, temporary), timeout_s)


L = TypeVar("L", bound=Sized)


def settled(left: Callable[[], L], timeout_s: float = 5.0) -> L:
    """Return what is left when nothing is, or after a while."""
    until_s = time.monotonic() + timeout_s
    while (found := left()) and time.monotonic() < until_s:
        time.sleep(0.01)
    return found


def reap() -> None:
    """Have this process inherit whatever those it starts leave running, however often they fork."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def require_none_running(whose: str) -> None:
    """Make sure that nothing descends from this process any more, after giving it a moment to end; else end it.

    Raises:
        StepError: something has gone on running.
    """

    def still() -> list[int]:
        return [pid for pid in tasks.descendants(os.getpid()) if tasks.living(pid)]

    if left := settled(still, LEFT_S):
        named = [f"{text_if_any(Path(f'/proc/{pid}/comm')) or '?'} (process {pid})" for pid in left]
        end_running()
        raise StepError(f"left running by {whose}, and ended: {', '.join(named)}")


def require_unloaded(programs: frozenset[int]) -> None:
    """Make sure that the BPF programs of tracers that have ended are gone.

    Raises:
        StepError: some are still there: pinned, or held by somebody else.
    """
    if left := settled(lambda: [program for program in programs if bpf.is_loaded(program)]):
        raise StepError(f"the tracer has left BPF programs loaded: {len(left)}; `bpftool prog show` has them")


def end_running() -> None:
    """End all that descends from this process, and reap it."""
    until_s = time.monotonic() + LEFT_S
    while (pids := list(tasks.descendants(os.getpid()))) and time.monotonic() < until_s:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)
