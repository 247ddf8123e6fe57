# SPDX-License-Identifier: Apache-2.0
"""The paper's circumstances beside a run's: what a claim that is not reproduced is not reproduced by, and on.

A run says what these versions do on this machine. Where it differs from the paper, one of the rows that differ may be
why; which, no single run can tell.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from bpfbench.model import COUNTING_TOOLS, Record, Trial
from bpfbench.store import RunInfo

GIB = 2**30
UNKNOWN = "not recorded"

LIBRARIES = {
    "bpftrace": ("bpftrace",),
    "bcc": ("bcc",),
    "libbpf": ("libbpf",),
    "ebpf-go": ("ebpf-go",),
    "aya": ("aya-sync", "aya-async"),
}
"""The paper's libraries, as its versions and an image's name them -> their setups."""


@dataclass(frozen=True, slots=True)
class Circumstance:
    """One thing that may decide how a claim comes out."""

    what: str
    paper: str
    here: str
    same: bool | None
    """None where the paper does not tell, or the run has not recorded it."""


def circumstances(paper: Mapping[str, Any], run: RunInfo, judged: Sequence[Record]) -> tuple[Circumstance, ...]:
    """Set the paper's circumstances beside a run's, by its trials that the claims are judged by."""
    setup, fio, machine = paper["setup"], paper["fio"], run.machine
    trials = [record.trial for record in judged]
    workloads = [trial.workload for trial in trials]
    rw = [trial.config for trial in trials if trial.config is not None and trial.tool not in COUNTING_TOOLS]
    kernels: Set[Any] = {record.environment.kernel for record in judged if record.environment}
    memory = run.study.machine.memory_bytes if run.study.ground == "vm" else machine.get("memory_bytes")
    sizes = {round(workload.bytes_per_process / GIB, 3) for workload in workloads}
    rates = {"none" if w.rate_iops is None else f"{w.rate_iops} IOPS a process" for w in workloads}
    payload = setup["event_bytes"]["rw-tracer-all"] - setup["event_bytes"]["rw-tracer"]
    return (
        *_versions(setup["versions"], run.image.get("versions", {}), {trial.setup for trial in trials}),
        _compared("kernel", setup["kernel"], kernels or {machine.get("kernel")}),
        _system(setup["os"], machine.get("distribution"), run.image.get("name")),
        _cpu(setup["cpu"], run),
        _compared("memory, GiB", setup["memory_gib"], {None if memory is None else round(memory / GIB)}),
        _compared("servers", setup["servers"], {len({trial.host for trial in trials}) or None}),
        _placement(setup, judged),
        _disks(setup, machine.get("storage", {})),
        _compared("processes", fio["processes"], {workload.processes for workload in workloads}),
        _compared("GiB per process", fio["size_per_process_gib"], sizes),
        _compared("limit of the rate", "none", rates),
        _compared("hook", "kprobe", {str(config.attach) for config in rw}),
        replace(_compared("output", "a file, its format not told", {str(config.format) for config in rw}), same=None),
        _compared("ring, bytes", setup["ringbuf_bytes"], {config.ringbuf_bytes for config in rw}),
        _compared("poll time-out, ms", setup["poll_timeout_ms"], {config.poll_ms for config in rw}),
        _compared("payload, bytes", payload, {config.payload_bytes for config in rw}),
        _compared("repetitions", setup["repetitions"], _repetitions(trials)),
    )


def _compared(what: str, paper: Any, here: Set[Any]) -> Circumstance:
    """Set beside the paper's all that a run has of something, None left out: texts one by one, numbers from to."""
    found = sorted(value for value in here if value is not None)
    same = found == [paper] if found else None
    if isinstance(paper, str):
        return Circumstance(what, paper, ", ".join(found) or UNKNOWN, same)
    ends = dict.fromkeys((*found[:1], *found[-1:]))
    return Circumstance(what, f"{paper:g}", " to ".join(f"{end:g}" for end in ends) or UNKNOWN, same)


def _versions(paper: Mapping[str, str], image: Mapping[str, str], judged: set[str]) -> Iterator[Circumstance]:
    for library, version in paper.items():
        if not judged.intersection(LIBRARIES[library]):
            yield Circumstance(library, version, "not in this run", None)
            continue
        here = image.get(library)
        same = None if here is None else upstream(here) == version or upstream(here).startswith(f"{version}.")
        yield Circumstance(library, version, here or UNKNOWN, same)


def upstream(version: str) -> str:
    """Return a Debian package's version without epoch, revision and what was repacked."""
    return re.split(r"[-+~]", version.partition(":")[2] or version)[0]


def _system(paper: str, system: str | None, image: str | None) -> Circumstance:
    tracers = f", tracers in image {image}" if image else ""
    same = None if system is None else system.startswith(paper)
    return Circumstance("system", paper, f"{system or UNKNOWN}{tracers}", same)


def _cpu(paper: str, run: RunInfo) -> Circumstance:
    machine, is_vm = run.machine, run.study.ground == "vm"
    if "cpu_model" not in machine:
        return Circumstance("CPU", paper, UNKNOWN, None)
    virtual = "virtual, " if is_vm or machine.get("virtual_machine") else ""
    cpus = run.study.machine.cpus if is_vm else machine.get("cpus", UNKNOWN)
    same = not virtual and machine["cpu_model"] in paper
    return Circumstance("CPU", paper, f"{virtual}{machine['cpu_model']}, {cpus} CPUs", same)


def _placement(setup: Mapping[str, Any], judged: Iterable[Record]) -> Circumstance:
    paper = tuple(setup["monitor_cpus"]), tuple(setup["workload_cpus"])
    found = {(record.cpus.get("monitor", ()), record.cpus.get("workload", ())) for record in judged}
    here = "; ".join(_placed(*cpus) for cpus in sorted(found) if cpus[1])
    return Circumstance("placement", _placed(*paper), here or UNKNOWN, found == {paper} if here else None)


def _placed(monitor: Sequence[int], workload: Sequence[int]) -> str:
    if set(monitor) & set(workload):
        return f"everything on CPUs {_listed(workload)}"
    return f"monitors on {_listed(monitor)}, the rest on {_listed(workload)}"


def _listed(cpus: Sequence[int]) -> str:
    """CPU numbers, those in a row as a range."""
    if not cpus:
        return UNKNOWN
    whole = list(cpus) == list(range(cpus[0], cpus[-1] + 1))
    return f"{cpus[0]}-{cpus[-1]}" if whole and len(cpus) > 1 else ", ".join(map(str, cpus))


def _disks(setup: Mapping[str, Any], storage: Mapping[str, Any]) -> Circumstance:
    disks: defaultdict[str, list[str]] = defaultdict(list)
    for role, found in storage.items():
        name = f"{found.get('device', UNKNOWN)} ({found.get('filesystem', UNKNOWN)})"
        disks[name].append("records" if role == "run" else role)
    here = "; ".join(f"{' and '.join(roles)} on {device}" for device, roles in disks.items())
    return Circumstance("disks", f"{setup['data_disk']}; {setup['log_disk']}", here or UNKNOWN, False if here else None)


def _repetitions(trials: Iterable[Trial]) -> set[int]:
    """How many blocks there are of the workloads and tools."""
    blocks: defaultdict[tuple[str, str], set[tuple[str, int]]] = defaultdict(set)
    for trial in trials:
        blocks[trial.workload.name, trial.tool].add((trial.host, trial.block))
    return {len(found) for found in blocks.values()}
