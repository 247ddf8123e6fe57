# SPDX-License-Identifier: Apache-2.0
"""The doctor: what there is of a machine, what is missing for measuring on it, and what makes it noisy."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.inside import environment
from bpfbench.inside.kernel import bpf, hooks
from bpfbench.inside.monitors import cgroup, energy
from bpfbench.machine import facts, privileges, tune
from bpfbench.machine.facts import Diagnosis, Fitness
from bpfbench.model import EMULATED, EMULATED_BECAUSE, Attach
from bpfbench.testbed import image
from bpfbench.testbed.image import Image
from bpfbench.testbed.vm import accelerator
from bpfbench.testbed.vm import testbed as vm
from bpfbench.units import gib

STEAL_SHARE_MAX = 0.01
"""Of the time since boot, that the hypervisor gave to others: more is a busy neighbour."""

PLACEMENT_CPUS_MIN = 4
"""From so many on, monitors get a CPU of their own."""


@dataclass(frozen=True, slots=True)
class PaperDifference:
    """One thing in which this machine is like the paper's, or not."""

    what: str
    paper: str
    here: str
    same: bool


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was found."""

    findings: tuple[Diagnosis, ...]
    kept: tuple[Diagnosis, ...]
    """Of disk, images and setups."""
    against_paper: tuple[PaperDifference, ...]
    usable: bool
    """Whether anything can be measured here."""
    data: dict[str, Any]
    """All of it, for programs."""


def examine(testbed: str, cache: Path, runs: Path) -> Examination:
    """Look at everything that a person wants to know before measuring.

    Args:
        testbed: host or vm.
        cache: bpfbench's cache directory.
        runs: where records would be.
    """
    findings = tuple(_findings(testbed, cache))
    images = image.built(cache)
    differences = tuple(against_paper(catalogue.paper()["setup"], testbed, {"data": cache, "run": runs}))
    usable = all(finding.verdict is not Fitness.MISSING for finding in findings)
    data = {
        "testbed": testbed,
        "usable": usable,
        "findings": findings,
        "against_paper": differences,
        "machine": facts.gather(),
        "environment": environment.facts({}),
        "storage": facts.storage_facts({"cache": cache}),
        "images": images,
        "setups": {name: bool(images) and name in images[0].setups for name in catalogue.SETUPS},
    }
    return Examination(findings, tuple(_kept(cache, images)), differences, usable, data)


def _kept(cache: Path, images: Sequence[Image]) -> Iterator[Diagnosis]:
    """Say what there is of disk, images and setups."""
    disk = facts.storage(cache)
    yield Diagnosis("disk", Fitness.OK, f"{gib(disk.free_bytes)} free on {disk.device} ({disk.filesystem})")
    build = "bpfbench image build trixie"
    if not images:
        yield Diagnosis("images", Fitness.NOTE, "none built", build)
        yield Diagnosis("setups", Fitness.NOTE, "none built", build)
        return
    yield Diagnosis("images", Fitness.OK, f"{len(images)} built, newest {images[0].name} {images[0].key}")
    built = images[0].setups
    present = ", ".join(name for name in catalogue.SETUPS if name in built)
    absent = ", ".join(name for name in catalogue.SETUPS if name not in built)
    if absent:
        yield Diagnosis("setups", Fitness.NOTE, f"{present}; not built: {absent}", build)
    else:
        yield Diagnosis("setups", Fitness.OK, present)


def _findings(testbed: str, cache: Path) -> Iterator[Diagnosis]:
    """Look at everything that measuring depends on, most important first."""
    if testbed == "vm":
        yield from _for_vm(cache)
    else:
        yield from facts.requirements()
        yield from _hooks()
        yield _headers()
        yield _energy()
        yield _groups()
    yield from noise()


def noise(root: Path = Path("/")) -> Iterator[Diagnosis]:
    """Look at what makes results scatter, each with what to do about it."""
    yield from _cpus(root)
    for state in tune.show(root):
        if not state.as_recommended:
            advice = f"{state.setting.reason}: `bpfbench system tune` sets it to {state.setting.recommended}"
            yield Diagnosis(state.setting.name, Fitness.NOTE, str(state.current), advice)
    clock = facts.read(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")
    if clock and clock not in ("tsc", "arch_sys_counter", "kvm-clock"):
        yield Diagnosis(
            "clock", Fitness.NOTE, clock, "slow to read, and every event reads it twice: boot with tsc=reliable"
        )
    nodes = facts.read(root / "sys/devices/system/node/online") or "0"
    if nodes != "0":
        advice = "memory of another node is slower: run bpfbench under `numactl --cpunodebind=0 --membind=0`"
        yield Diagnosis("NUMA nodes", Fitness.NOTE, nodes, advice)
    if _swapped(root):
        yield Diagnosis(
            "swap", Fitness.NOTE, "in use", "what is swapped out comes back at any time: free memory, swapoff"
        )
    if os.geteuid() == 0 and (others := bpf.tracing_programs()):
        advice = "they run beside every trial: stop what loaded them (`bpftool prog` tells)"
        yield Diagnosis("other tracing programs", Fitness.NOTE, f"{len(others)} loaded", advice)
    load = float((facts.read(root / "proc/loadavg") or "0").split()[0])
    if load > 0.5:
        yield Diagnosis("load", Fitness.NOTE, f"{load:.2f} over the last minute", "stop what else is running")


def against_paper(setup: dict[str, Any], testbed: str, places: dict[str, Path]) -> Iterator[PaperDifference]:
    """Compare this machine with the paper's.

    Args:
        setup: of data/paper.toml.
        testbed: host or vm, whose kernels are the image's.
        places: where data and records would be.
    """
    machine = facts.gather()
    cpus = len(setup["monitor_cpus"]) + len(setup["workload_cpus"])
    here = f"{machine['cpu_model']}, {machine['cpus']} CPUs{', virtual' if machine['virtual_machine'] else ''}"
    yield PaperDifference("CPU", setup["cpu"], here, str(machine["cpu_model"]) in setup["cpu"])
    count = int(str(machine["cpus"]))
    apart = count >= PLACEMENT_CPUS_MIN
    yield PaperDifference(
        "placement",
        f"monitors on 1 CPU, fio and tracer on {cpus - 1}",
        f"monitors on 1 CPU, fio and tracer on {count - 1}" if apart else f"all on all {count}",
        count == cpus,
    )
    gib = int(str(machine["memory_bytes"])) / 2**30
    yield PaperDifference("memory", f"{setup['memory_gib']} GiB", f"{gib:.0f} GiB", round(gib) == setup["memory_gib"])
    on_vm = testbed == "vm"
    release = f"the image's: {', '.join(catalogue.KERNELS)}" if on_vm else platform.release()
    yield PaperDifference("kernel", setup["kernel"], release, release == setup["kernel"])
    available = frozenset(Attach) - {Attach.AUTO} if on_vm else facts.hooks()
    names = ", ".join(attach for attach in Attach if attach in available) or "none found out"
    yield PaperDifference("hooks", "kprobe", names, Attach.KPROBE in available)
    devices = {role: facts.storage(place).device_number for role, place in places.items()}
    yield PaperDifference(
        "disks",
        "data and output on one, records on another",
        "all on one" if len(set(devices.values())) == 1 else "apart",
        len(set(devices.values())) > 1,
    )
    yield _data_disk(setup, places["data"])
    with energy.Meter() as meter:
        yield PaperDifference("energy", "RAPL", meter.source or "; ".join(meter.reasons), meter.source is not None)


def _data_disk(setup: dict[str, Any], place: Path) -> PaperDifference:
    try:
        disk = environment.storage(place if place.exists() else place.parent)
    except environment.ABSENT as error:
        return PaperDifference("data disk", setup["data_disk"], f"unknown: {error}", same=False)
    device = disk["device"] or {"name": disk["source"]}
    turning = {"0": "no moving parts", "1": "said to be rotational"}.get(device.get("rotational", ""), "")
    here = ", ".join(word for word in (device["name"], device.get("model"), turning, disk["filesystem"]) if word)
    return PaperDifference("data disk", setup["data_disk"], here, device["name"].startswith("nvme"))


def _for_vm(cache: Path) -> Iterator[Diagnosis]:
    for command, package in facts.PACKAGES.items():
        yield facts.command_finding(command, package)
    lacks = list(vm.missing())
    for lack in lacks:
        yield Diagnosis("virtual machines", Fitness.MISSING, lack.message, lack.hint)
    if not lacks:
        yield Diagnosis("virtual machines", Fitness.OK, "QEMU is installed; they have kprobe, fentry and tracepoint")
    if (namespaces := privileges.missing()) is not None:
        yield Diagnosis("user namespaces", Fitness.MISSING, namespaces.found, namespaces.advice)
    else:
        here = "not needed by root" if os.geteuid() == 0 else "an ordinary user can build and boot images"
        yield Diagnosis("user namespaces", Fitness.OK, here)
    yield _kvm(cache)
    yield Diagnosis(
        "energy", Fitness.NOTE, "virtual machines have no RAPL", "energy is measured with --testbed host only"
    )


def _kvm(cache: Path) -> Diagnosis:
    emulated = f"virtual machines are {EMULATED}; {EMULATED_BECAUSE}"
    if (lack := accelerator.lack()) is not None:
        return Diagnosis("KVM", Fitness.NOTE, lack, emulated)
    probe = accelerator.known(cache)
    if probe is None:
        return Diagnosis("KVM", Fitness.OK, f"{accelerator.DEVICE} is there; the first run tries whether it works")
    if probe.reason is not None:
        return Diagnosis("KVM", Fitness.NOTE, f"does not work: {probe.reason}", emulated)
    return Diagnosis("KVM", Fitness.OK, "works: a kernel was booted with it")


def _hooks() -> Iterator[Diagnosis]:
    refusals = hooks.refusals()
    for attach in (Attach.TRACEPOINT, Attach.KPROBE, Attach.FENTRY):
        if attach not in refusals:
            yield Diagnosis(f"hook {attach}", Fitness.OK, "works")
        else:
            advice = "virtual machines have it: --testbed vm" if os.geteuid() == 0 else None
            yield Diagnosis(f"hook {attach}", Fitness.NOTE, refusals[attach], advice)


def _headers() -> Diagnosis:
    release = platform.release()
    if Path(f"/lib/modules/{release}/build").is_dir():
        return Diagnosis("kernel headers", Fitness.OK, f"the host's own, for {release}")
    if Path("/sys/kernel/kheaders.tar.xz").exists():
        return Diagnosis("kernel headers", Fitness.OK, "the running kernel's kheaders")
    return Diagnosis(
        "kernel headers",
        Fitness.NOTE,
        f"none for {release}: BCC uses the image's nearest, and takes struct offsets from BTF",
        f"apt-get install linux-headers-{release}, if your distribution has it",
    )


def _energy() -> Diagnosis:
    with energy.Meter() as meter:
        if meter.source is None:
            return Diagnosis("energy", Fitness.NOTE, "; ".join(meter.reasons), "energy will be absent from results")
        domains = ", ".join(counter.domain for counter in meter.counters)
        return Diagnosis("energy", Fitness.OK, f"{domains}, by {meter.source}", "; ".join(meter.reasons) or None)


def _groups() -> Diagnosis:
    hierarchy = cgroup.hierarchy()
    if hierarchy is None:
        return Diagnosis("control groups", Fitness.NOTE, "no cgroup v2 is mounted", "CPU and memory come from /proc")
    controllers = (facts.read(hierarchy / "cgroup.controllers") or "").split()
    absent = [name for name in cgroup.CONTROLLERS if name not in controllers]
    if not os.access(hierarchy, os.W_OK):
        return Diagnosis("control groups", Fitness.NOTE, f"{hierarchy} cannot be written to", "it takes root")
    if absent:
        advice = "boot with cgroup_no_v1=all to have memory and I/O by group"
        return Diagnosis("control groups", Fitness.NOTE, f"CPU at {hierarchy}; no {', no '.join(absent)}", advice)
    return Diagnosis("control groups", Fitness.OK, f"CPU, memory and I/O at {hierarchy}")


def _cpus(root: Path) -> Iterator[Diagnosis]:
    cpus = len(os.sched_getaffinity(0))
    if cpus >= PLACEMENT_CPUS_MIN:
        yield Diagnosis("CPUs", Fitness.OK, f"{cpus}: monitors get one of their own, as in the paper")
    else:
        advice = "monitors, tracer and fio share all of them; expect wide spreads, use more repetitions"
        yield Diagnosis("CPUs", Fitness.NOTE, str(cpus), advice)
    if facts.gather()["virtual_machine"]:
        yield Diagnosis("virtual machine", Fitness.NOTE, "yes", "other guests may take CPU and disk at any time")
    if (share := steal_share(facts.read(root / "proc/stat") or "")) > STEAL_SHARE_MAX:
        found = f"{100 * share:.1f} % of the time since boot"
        yield Diagnosis(
            "stolen CPU time", Fitness.NOTE, found, "other guests took it: use more repetitions, or a host alone"
        )
    if facts.known(environment.smt, root):
        advice = "two CPUs share a core: --placement paper, or boot with nosmt, steadies results"
        yield Diagnosis("SMT", Fitness.NOTE, "active", advice)


def steal_share(stat: str) -> float:
    """Return the share of CPU time that the hypervisor gave to others, by the text of /proc/stat."""
    ticks = [int(word) for word in stat.split("\n", 1)[0].split()[1:9]]
    total = sum(ticks)
    return ticks[7] / total if total else 0.0


def _swapped(root: Path) -> bool:
    lines = (facts.read(root / "proc/swaps") or "").splitlines()[1:]
    return any(int(line.split()[3]) for line in lines)
