# SPDX-License-Identifier: Apache-2.0
"""Leftovers of a trial, by comparing before and after: BPF objects, processes, mounts, control groups, files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bpfbench.inside.kernel import bpf, tasks
from bpfbench.inside.monitors import cgroup

TRACING_PROGRAMS = "BPF tracing programs"
RING_BUFFERS = "BPF ring buffers"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything a tracer could leave, by kind."""

    items: dict[str, frozenset[str]]

    def beyond(self, before: Inventory) -> dict[str, frozenset[str]]:
        """Return what is here and was not before; kinds without any are left out."""
        new = {kind: items - before.items.get(kind, frozenset()) for kind, items in self.items.items()}
        return {kind: items for kind, items in new.items() if items}


def take(temporary: Path) -> Inventory:
    """List what exists now: on the whole machine for BPF objects, in our namespaces for the rest."""
    return Inventory(
        {
            TRACING_PROGRAMS: frozenset(map(str, bpf.tracing_programs())),
            RING_BUFFERS: frozenset(map(str, bpf.ring_buffers())),
            "processes": frozenset(p.name for p in Path("/proc").iterdir() if p.name.isdecimal() and _living(p)),
            "mounts": frozenset(Path("/proc/self/mounts").read_text().splitlines()),
            "control groups": cgroup.ours(cgroup.hierarchy()),
            "files": frozenset(str(p) for p in temporary.iterdir()),
        }
    )


def settled_since(before: Inventory, temporary: Path, timeout_s: float = 5.0) -> dict[str, frozenset[str]]:
    """Return what is new since `before`, giving the kernel time: it frees BPF objects a while after the last close."""
    until_s = time.monotonic() + timeout_s
    while (new := take(temporary).beyond(before)) and time.monotonic() < until_s:
        time.sleep(0.01)
    return new


def _living(process: Path) -> bool:
    try:
        return tasks.state(process) != "Z"
    except OSError:
        return False
