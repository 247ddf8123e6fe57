# SPDX-License-Identifier: Apache-2.0
"""What a report says about the run itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bpfbench.model import Record, Study
from bpfbench.store import Run
from bpfbench.units import plural


@dataclass(frozen=True, slots=True)
class About:
    """Where the numbers come from. What is not known is None and is not shown."""

    study: str
    run_id: str
    trials_done: int
    """Trials with a record, however they ended."""
    trials_planned: int
    host: str | None = None
    kernel: str | None = None
    """Release of the kernel that was measured on."""
    image: str | None = None
    seed: int | None = None
    started_at: str | None = None
    """UTC, ISO 8601."""
    emulated: bool = False
    """The CPU was emulated: correctness only."""
    superseded: int = 0
    """Records that were set aside, of attempts that others followed: trials failed, a block found another host."""


def describe(run: Run, records: Sequence[Record]) -> About:
    """Return what is known of a run; `records` are all it has so far."""
    info, machine, image = run.info, run.info.machine, run.info.image
    kernels = machine.get("kernels", {})
    return About(
        study=info.study.name,
        run_id=info.id,
        trials_done=len(records),
        trials_planned=info.trials_planned,
        host=_hosts(info.study, machine),
        kernel=", ".join(kernel["release"] for kernel in kernels.values()) if kernels else _kernels(machine),
        image=f"{image['name']} {image['key'][:8]}",
        seed=info.study.seed,
        started_at=info.created_at,
        emulated=machine.get("emulated", False),
        superseded=run.superseded(),
    )


def each_host(machine: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the facts of every machine a run was measured on, by what it is called there; of a cluster many."""
    return dict(machine["hosts"]) if "hosts" in machine else {str(machine.get("host")): machine}


def _kernels(machine: Mapping[str, Any]) -> str:
    return ", ".join(dict.fromkeys(str(own["kernel"]) for own in each_host(machine).values()))


def hardware(study: Study, machine: Mapping[str, Any]) -> str:
    """Say the same without the machines' names, which those of a hosted CI make up for each job."""
    return _hosts(study, machine, named=False)


def _hosts(study: Study, machine: Mapping[str, Any], *, named: bool = True) -> str:
    """Say on which machines a study was measured: those that are alike together."""
    alike: dict[str, list[str]] = {}
    for name, own in each_host(machine).items():
        alike.setdefault(f"({own['cpus']} CPUs, {own['cpu_model']})", []).append(name)
    itself = "; ".join(
        f"{', '.join(names) if named else plural(len(names), 'machine')} {what}" for what, names in alike.items()
    )
    if study.ground != "vm":
        return itself
    cpus = plural(study.machine.cpus, "CPU")
    virtual = f"({cpus}, {machine.get('accelerator', 'accelerators differ')})"
    if study.testbed == "cluster":
        return f"a virtual machine {virtual} on each of {itself}"
    return f"{', '.join(study.hosts)} {virtual} on {itself}"
