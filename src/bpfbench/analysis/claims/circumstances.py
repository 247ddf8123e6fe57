# SPDX-License-Identifier: Apache-2.0
"""The paper's circumstances beside a run's: what a claim that is not reproduced is not reproduced by, and on.

A run says what these versions do on this machine. Where it differs from the paper, one of the rows that differ may be
why; which, no single run can tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bpfbench.model import Record, Tool, TracerConfig
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
    """Set the paper's circumstances beside a run's.

    Args:
        paper: data/paper.toml.
        run: what is known of the run as a whole.
        judged: its trials that the claims are judged by.
    """
    setup, fio = paper["setup"], paper["fio"]
    return (
        *_versions(setup["versions"], run.image.get("versions", {}), {record.trial.setup for record in judged}),
        *_machine(setup, run, judged),
        _disks(setup, run.machine.get("storage", {})),
        *_target(fio, judged),
        *_tracers(setup, judged),
        _count("repetitions", setup["repetitions"], _repetitions(judged)),
    )


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


def _machine(setup: Mapping[str, Any], run: RunInfo, judged: Sequence[Record]) -> Iterator[Circumstance]:
    machine = run.machine
    kernels = _distinct(record.environment.kernel for record in judged if record.environment)
    yield _words("kernel", setup["kernel"], kernels or _distinct([machine["kernel"]] if "kernel" in machine else []))
    system = machine.get("distribution")
    same = None if system is None else str(system).startswith(setup["os"])
    image = f", tracers in image {run.image['name']}" if "name" in run.image else ""
    yield Circumstance("system", setup["os"], f"{system or UNKNOWN}{image}", same)
    yield _cpu(setup["cpu"], run)
    virtual = run.study.machine.memory_bytes if run.study.testbed == "vm" else machine.get("memory_bytes")
    yield _count("memory, GiB", setup["memory_gib"], [] if virtual is None else [round(virtual / GIB)])
    yield _count("servers", setup["servers"], [len({record.trial.host for record in judged})] if judged else [])
    yield _placement(setup, judged)


def _cpu(paper: str, run: RunInfo) -> Circumstance:
    machine, vm = run.machine, run.study.testbed == "vm"
    if "cpu_model" not in machine:
        return Circumstance("CPU", paper, UNKNOWN, None)
    kind = "virtual, " if vm or machine.get("virtual_machine") else ""
    cpus = run.study.machine.cpus if vm else machine.get("cpus", UNKNOWN)
    return Circumstance(
        "CPU", paper, f"{kind}{machine['cpu_model']}, {cpus} CPUs", not kind and machine["cpu_model"] in paper
    )


def _placement(setup: Mapping[str, Any], judged: Sequence[Record]) -> Circumstance:
    monitor, workload = setup["monitor_cpus"], setup["workload_cpus"]
    found = {(record.cpus.get("monitor", ()), record.cpus.get("workload", ())) for record in judged}
    here = [
        f"everything on CPUs {_listed(w)}" if set(m) & set(w) else f"monitors on {_listed(m)}, the rest on {_listed(w)}"
        for m, w in sorted(found)
        if w
    ]
    return Circumstance(
        "placement",
        f"monitors on {_listed(monitor)}, the rest on {_listed(workload)}",
        "; ".join(here) or UNKNOWN,
        found == {(tuple(monitor), tuple(workload))} if here else None,
    )


def _disks(setup: Mapping[str, Any], storage: Mapping[str, Any]) -> Circumstance:
    places: dict[str, list[str]] = {}
    for role, found in storage.items():
        name = f"{found.get('device', UNKNOWN)} ({found.get('filesystem', UNKNOWN)})"
        places.setdefault(name, []).append({"run": "records"}.get(role, role))
    here = "; ".join(f"{' and '.join(roles)} on {device}" for device, roles in places.items())
    paper = f"{setup['data_disk']}; {setup['log_disk']}"
    return Circumstance("disks", paper, here or UNKNOWN, False if here else None)


def _target(fio: Mapping[str, Any], judged: Sequence[Record]) -> Iterator[Circumstance]:
    workloads = [record.trial.workload for record in judged]
    yield _count("processes", fio["processes"], (workload.processes for workload in workloads))
    sizes = (round(workload.bytes_per_process / GIB, 3) for workload in workloads)
    yield _count("GiB per process", fio["size_per_process_gib"], sizes)
    rates = _distinct("none" if w.rate_iops is None else f"{w.rate_iops} IOPS a process" for w in workloads)
    yield _words("limit of the rate", "none", rates)


def _tracers(setup: Mapping[str, Any], judged: Sequence[Record]) -> Iterator[Circumstance]:
    def rw(read: Callable[[TracerConfig], Any]) -> list[Any]:
        configs = (record.trial.config for record in judged if record.trial.tool is not Tool.SYSCOUNT)
        return [value for config in configs if config is not None and (value := read(config)) is not None]

    yield _words("hook", "kprobe", _distinct(hook.value for hook in rw(lambda config: config.attach)))
    formats = _distinct(form.value for form in rw(lambda config: config.format))
    yield Circumstance("output", "a file, its format not told", ", ".join(formats) or UNKNOWN, None)
    yield _count("ring, bytes", setup["ringbuf_bytes"], rw(lambda config: config.ringbuf_bytes))
    yield _count("poll time-out, ms", setup["poll_timeout_ms"], rw(lambda config: config.poll_ms))
    sizes = setup["event_bytes"]
    payload = sizes["rw-tracer-all"] - sizes["rw-tracer"]
    yield _count("payload, bytes", payload, rw(lambda config: config.payload_bytes))


def _repetitions(judged: Sequence[Record]) -> list[int]:
    """How many blocks there are of each workload and tool; the smallest and the largest number."""
    blocks: dict[tuple[str, Tool], set[tuple[str, int]]] = {}
    for record in judged:
        trial = record.trial
        blocks.setdefault((trial.workload.name, trial.tool), set()).add((trial.host, trial.block))
    counts = sorted(len(found) for found in blocks.values())
    return [counts[0], counts[-1]] if counts else []


def _words(what: str, paper: str, here: Sequence[str]) -> Circumstance:
    return Circumstance(what, paper, ", ".join(here) or UNKNOWN, list(here) == [paper] if here else None)


def _count(what: str, paper: float, here: Iterable[float]) -> Circumstance:
    found = sorted(set(here))
    return Circumstance(
        what,
        f"{paper:g}",
        " to ".join(f"{value:g}" for value in dict.fromkeys((found[0], found[-1]))) if found else UNKNOWN,
        found == [paper] if found else None,
    )


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _listed(cpus: Sequence[int]) -> str:
    """CPU numbers, those in a row as a range."""
    whole = list(cpus) == list(range(cpus[0], cpus[-1] + 1))
    return f"{cpus[0]}-{cpus[-1]}" if whole and len(cpus) > 1 else ", ".join(map(str, cpus))
