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
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.inside.monitors import cgroup, energy
from bpfbench.machine import facts, privileges, tune
from bpfbench.machine.facts import Diagnosis, Fitness, note, ok
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
    """Look at everything that a person wants to know before measuring on a testbed, with records below `runs`."""
    findings = tuple(_findings(testbed, cache))
    images = image.built(cache)
    built = images[0].setups if images else ()
    differences = tuple(against_paper(catalogue.paper()["setup"], testbed, {"data": cache, "run": runs}))
    usable = not any(facts.lacks(findings))
    data = {
        "testbed": testbed,
        "usable": usable,
        "findings": findings,
        "against_paper": differences,
        "machine": facts.gather(),
        "environment": environment.facts({}),
        "storage": facts.storage_facts({"cache": cache}),
        "images": images,
        "setups": {name: name in built for name in catalogue.SETUPS},
    }
    return Examination(findings, tuple(_kept(cache, images, built)), differences, usable, data)


def _kept(cache: Path, images: Sequence[Image], built: Sequence[str]) -> Iterator[Diagnosis]:
    """Say what there is of disk, images and setups, of which these are built."""
    disk = facts.storage(cache)
    yield ok("disk", f"{gib(disk.free_bytes)} free on {disk.device} ({disk.filesystem})")
    build = "bpfbench image build trixie"
    if not images:
        yield note("images", "none built", build)
        yield note("setups", "none built", build)
        return
    yield ok("images", f"{len(images)} built, newest {images[0].name} {images[0].key}")
    present = ", ".join(name for name in catalogue.SETUPS if name in built)
    if absent := ", ".join(name for name in catalogue.MAIN_SETUPS if name not in built):
        yield note("setups", f"{present}; not built: {absent}", build)
        return
    later = ", ".join(name for name in catalogue.SETUPS if name not in built)
    yield ok("setups", f"{present}; built when first used: {later}" if later else present)


def _findings(testbed: str, cache: Path) -> Iterator[Diagnosis]:
    """Look at everything that measuring depends on, most important first."""
    if testbed == "vm":
        yield from _for_vm(cache)
    else:
        yield from facts.requirements()
        yield from _builder(cache)
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
            yield note(state.setting.name, str(state.current), advice)
    clock = text_if_any(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")
    if clock and clock not in ("tsc", "arch_sys_counter", "kvm-clock"):
        yield note("clock", clock, "slow to read, and every event reads it twice: boot with tsc=reliable")
    nodes = text_if_any(root / "sys/devices/system/node/online") or "0"
    if nodes != "0":
        advice = "memory of another node is slower: run bpfbench under `numactl --cpunodebind=0 --membind=0`"
        yield note("NUMA nodes", nodes, advice)
    if _swapped(root):
        yield note("swap", "in use", "what is swapped out comes back at any time: free memory, swapoff")
    if os.geteuid() == 0 and (others := bpf.tracing_programs()):
        advice = "they run beside every trial: stop what loaded them (`bpftool prog` tells)"
        yield note("other tracing programs", f"{len(others)} loaded", advice)
    load = float((text_if_any(root / "proc/loadavg") or "0").split()[0])
    if load > 0.5:
        yield note("load", f"{load:.2f} over the last minute", "stop what else is running")


def against_paper(setup: dict[str, Any], testbed: str, folders: dict[str, Path]) -> Iterator[PaperDifference]:
    """Compare this machine with the paper's: `setup` of data/paper.toml; folders of data and records, by role."""
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
    devices = {facts.storage(folder).device_number for folder in folders.values()}
    yield PaperDifference(
        "disks",
        "data and output on one, records on another",
        "all on one" if len(devices) == 1 else "apart",
        len(devices) > 1,
    )
    yield _data_disk(setup, folders["data"])
    with energy.Meter() as meter:
        yield PaperDifference("energy", "RAPL", meter.source or "; ".join(meter.reasons), meter.source is not None)


def _data_disk(setup: dict[str, Any], folder: Path) -> PaperDifference:
    try:
        disk = environment.storage(facts.nearest(folder))
    except environment.ABSENT as error:
        return PaperDifference("data disk", setup["data_disk"], f"unknown: {error}", same=False)
    device = disk["device"] or {"name": disk["source"]}
    turning = {"0": "no moving parts", "1": "said to be rotational"}.get(device.get("rotational", ""), "")
    here = ", ".join(word for word in (device["name"], device.get("model"), turning, disk["filesystem"]) if word)
    return PaperDifference("data disk", setup["data_disk"], here, device["name"].startswith("nvme"))


def _for_vm(cache: Path) -> Iterator[Diagnosis]:
    yield from facts.commands()
    yield from _builder(cache)
    lacks = list(vm.missing())
    yield from lacks
    if not lacks:
        yield ok(vm.MACHINES, "QEMU is installed; they have kprobe, fentry and tracepoint")
    yield privileges.namespaces()
    yield _kvm(cache)
    yield note("energy", "virtual machines have no RAPL", "energy is measured with --testbed host only")


def _builder(cache: Path) -> Iterator[Diagnosis]:
    """Look for what builds images, which those that are there do without."""
    for found in facts.commands(facts.BUILDING):
        needless = found.verdict is Fitness.MISSING and image.built(cache)
        yield note(found.what, "not installed: no other image can be built", found.advice) if needless else found


def _kvm(cache: Path) -> Diagnosis:
    emulated = f"virtual machines are {EMULATED}; {EMULATED_BECAUSE}"
    if (lack := accelerator.lack()) is not None:
        return note("KVM", lack, emulated)
    probe = accelerator.known(cache)
    if probe is None:
        return ok("KVM", f"{accelerator.DEVICE} is there; the first run tries whether it works")
    if probe.reason is not None:
        return note("KVM", f"does not work: {probe.reason}", emulated)
    return ok("KVM", "works: a kernel was booted with it")


def _hooks() -> Iterator[Diagnosis]:
    refusals = hooks.refusals()
    for attach in (Attach.TRACEPOINT, Attach.KPROBE, Attach.FENTRY):
        if attach not in refusals:
            yield ok(f"hook {attach}", "works")
        else:
            advice = "virtual machines have it: --testbed vm" if os.geteuid() == 0 else None
            yield note(f"hook {attach}", refusals[attach], advice)


def _headers() -> Diagnosis:
    release = platform.release()
    if Path(f"/lib/modules/{release}/build").is_dir():
        return ok("kernel headers", f"the host's own, for {release}")
    if Path("/sys/kernel/kheaders.tar.xz").exists():
        return ok("kernel headers", "the running kernel's kheaders")
    return note(
        "kernel headers",
        f"none for {release}: BCC uses the image's nearest, and takes struct offsets from BTF",
        f"apt-get install linux-headers-{release}, if your distribution has it",
    )


def _energy() -> Diagnosis:
    with energy.Meter() as meter:
        if meter.source is None:
            return note("energy", "; ".join(meter.reasons), "energy will be absent from results")
        domains = ", ".join(counter.domain for counter in meter.counters)
        return ok("energy", f"{domains}, by {meter.source}", "; ".join(meter.reasons) or None)


def _groups() -> Diagnosis:
    hierarchy = cgroup.hierarchy()
    if hierarchy is None:
        return note("control groups", "no cgroup v2 is mounted", "CPU and memory come from /proc")
    controllers = (text_if_any(hierarchy / "cgroup.controllers") or "").split()
    absent = [name for name in cgroup.CONTROLLERS if name not in controllers]
    if not os.access(hierarchy, os.W_OK):
        return note("control groups", f"{hierarchy} cannot be written to", "it takes root")
    if absent:
        advice = "boot with cgroup_no_v1=all to have memory and I/O by group"
        return note("control groups", f"CPU at {hierarchy}; no {', no '.join(absent)}", advice)
    return ok("control groups", f"CPU, memory and I/O at {hierarchy}")


def _cpus(root: Path) -> Iterator[Diagnosis]:
    cpus = len(os.sched_getaffinity(0))
    if cpus >= PLACEMENT_CPUS_MIN:
        yield ok("CPUs", f"{cpus}: monitors get one of their own, as in the paper")
    else:
        advice = "monitors, tracer and fio share all of them; expect wide spreads, use more repetitions"
        yield note("CPUs", str(cpus), advice)
    if facts.gather()["virtual_machine"]:
        yield note("virtual machine", "yes", "other guests may take CPU and disk at any time")
    if (share := steal_share(text_if_any(root / "proc/stat") or "")) > STEAL_SHARE_MAX:
        found = f"{100 * share:.1f} % of the time since boot"
        yield note("stolen CPU time", found, "other guests took it: use more repetitions, or a host alone")
    if facts.known(environment.smt, root):
        advice = "two CPUs share a core: --placement paper, or boot with nosmt, steadies results"
        yield note("SMT", "active", advice)


def steal_share(stat: str) -> float:
    """Return the share of CPU time that the hypervisor gave to others, by the text of /proc/stat."""
    ticks = [int(word) for word in stat.split("\n", 1)[0].split()[1:9]]
    total = sum(ticks)
    return ticks[7] / total if total else 0.0


def _swapped(root: Path) -> bool:
    lines = (text_if_any(root / "proc/swaps") or "").splitlines()[1:]
    return any(int(line.split()[3]) for line in lines)
