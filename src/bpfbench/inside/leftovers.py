# SPDX-License-Identifier: Apache-2.0
"""Leftovers of a trial, by comparing before and after: BPF objects, processes, mounts, control groups, files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import TypeVar

from bpfbench.inside.kernel import bpf, tasks
from bpfbench.inside.monitors import cgroup

TRACING_PROGRAMS = "BPF tracing programs"
RING_BUFFERS = "BPF ring buffers"


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
