# SPDX-License-Identifier: Apache-2.0
"""Leftovers of a trial, by comparing before and after: BPF objects, processes, mounts, control groups, files."""

from __future__ import annotations

import time
from pathlib import Path

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
        "processes": frozenset(p.name for p in Path("/proc").iterdir() if p.name.isdecimal() and _living(p)),
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
    until_s = time.monotonic() + timeout_s
    while (new := new_since(before, temporary)) and time.monotonic() < until_s:
        time.sleep(0.01)
    return new


def _living(process: Path) -> bool:
    try:
        return tasks.state(process) != "Z"
    except OSError:
        return False
