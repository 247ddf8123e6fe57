# SPDX-License-Identifier: Apache-2.0
"""Whether there is memory for the rings of tracers, before they are started: a ring is never swapped."""

from __future__ import annotations

from collections.abc import Iterable

from bpfbench.errors import MachineError
from bpfbench.machine import facts
from bpfbench.model import Study, TracerConfig
from bpfbench.units import size


def free_bytes(study: Study, spared_bytes: int = 0) -> int:
    """Return how much memory rings may take where a study is run: here, or in a virtual machine of it.

    Args:
        study: which.
        spared_bytes: of what is free, this is for others.
    """
    if study.ground == "vm":
        return max(0, study.machine.memory_bytes - spared_bytes)
    free, most = max(0, facts.memory_available_bytes() - spared_bytes), facts.maps_most_bytes()
    return free if most is None else min(free, most)


def require_rings(
    study: Study, configs: Iterable[TracerConfig], cpus: int, hint: str, *, what: str, spared_bytes: int = 0
) -> None:
    """Refuse tracers whose rings take more memory than they may.

    Args:
        study: says where they run.
        configs: of the tracers, one of which runs at a time.
        cpus: each of which may have a ring.
        hint: what to do about it.
        what: has these rings.
        spared_bytes: of what is free, this is for others.

    Raises:
        MachineError: with the numbers.
    """
    wanted, free = max((config.ring_bytes(cpus) for config in configs), default=0), free_bytes(study, spared_bytes)
    if wanted <= free:
        return
    most = None if study.ground == "vm" else facts.maps_most_bytes()
    if most is not None and wanted > most:
        raise MachineError(
            f"{what} has rings of {size(wanted)}, and by `ulimit -l`, which binds BPF maps before Linux 5.11, all maps "
            f"together may take {size(most)}",
            "run it after `ulimit -l unlimited`",
        )
    beside = f" beside the {size(spared_bytes)} that is spared" if spared_bytes else ""
    by = "the guest's" if study.ground == "vm" else "by MemAvailable, and memory.max of the own control groups"
    raise MachineError(f"{what} has rings of {size(wanted)}, and {size(free)} of memory are free{beside} ({by})", hint)
