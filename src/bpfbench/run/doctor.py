# SPDX-License-Identifier: Apache-2.0
"""What a person wants to know of this machine before measuring: what there is, what is missing, what makes it noisy."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.inside import environment
from bpfbench.inside.kernel import bpf, hooks
from bpfbench.inside.monitors import cgroup, energy
from bpfbench.machine import facts, privileges, tune
from bpfbench.machine.facts import Finding, Verdict
from bpfbench.model import EMULATED, EMULATED_BECAUSE, Attach
from bpfbench.testbed import opening
from bpfbench.testbed.vm import accelerator

STEAL_SHARE_MAX = 0.01
"""Of the time since boot, that the hypervisor gave to others: more is a busy neighbour."""

PLACEMENT_CPUS_MIN = 4
"""From so many on, monitors get a CPU of their own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which this machine is like the paper's, or not."""

    what: str
    paper: str
    here: str
    same: bool


def examine(testbed: str, cache: Path) -> Iterator[Finding]:
    """Look at everything that measuring depends on, most important first.

    Args:
        testbed: host or vm.
        cache: bpfbench's cache directory.
    """
    if testbed == "vm":
        yield from _for_vm(cache)
    else:
        yield from facts.requirements()
        yield from _hooks()
        yield _headers()
        yield _energy()
        yield _groups()
    yield from noise()


def noise(root: Path = Path("/")) -> Iterator[Finding]:
    """Look at what makes results scatter, each with what to do about it."""
    yield from _cpus(root)
    for state in tune.show(root):
        if not state.as_recommended:
            advice = f"{state.setting.reason}: `bpfbench system tune` sets it to {state.setting.recommended}"
            yield Finding(state.setting.name, Verdict.NOTE, str(state.current), advice)
    clock = _read(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")
    if clock and clock not in ("tsc", "arch_sys_counter", "kvm-clock"):
        yield Finding(
            "clock", Verdict.NOTE, clock, "slow to read, and every event reads it twice: boot with tsc=reliable"
        )
    nodes = _read(root / "sys/devices/system/node/online") or "0"
    if nodes != "0":
        advice = "memory of another node is slower: run bpfbench under `numactl --cpunodebind=0 --membind=0`"
        yield Finding("NUMA nodes", Verdict.NOTE, nodes, advice)
    if _swapped(root):
        yield Finding(
            "swap", Verdict.NOTE, "in use", "what is swapped out comes back at any time: free memory, swapoff"
        )
    if os.geteuid() == 0 and (others := bpf.tracing_programs()):
        advice = "they run beside every trial: stop what loaded them (`bpftool prog` tells)"
        yield Finding("other tracing programs", Verdict.NOTE, f"{len(others)} loaded", advice)
    load = float((_read(root / "proc/loadavg") or "0").split()[0])
    if load > 0.5:
        yield Finding("load", Verdict.NOTE, f"{load:.2f} over the last minute", "stop what else is running")


def against_paper(setup: dict[str, Any], testbed: str, places: dict[str, Path]) -> Iterator[Difference]:
    """Compare this machine with the paper's.

    Args:
        setup: of data/paper.toml.
        testbed: host or vm, whose kernels are the image's.
        places: where data and records would be.
    """
    machine = facts.gather()
    cpus = len(setup["monitor_cpus"]) + len(setup["workload_cpus"])
    here = f"{machine['cpu_model']}, {machine['cpus']} CPUs{', virtual' if machine['virtual_machine'] else ''}"
    yield Difference("CPU", setup["cpu"], here, str(machine["cpu_model"]) in setup["cpu"])
    count = int(str(machine["cpus"]))
    apart = count >= PLACEMENT_CPUS_MIN
    yield Difference(
        "placement",
        f"monitors on 1 CPU, fio and tracer on {cpus - 1}",
        f"monitors on 1 CPU, fio and tracer on {count - 1}" if apart else f"all on all {count}",
        count == cpus,
    )
    gib = int(str(machine["memory_bytes"])) / 2**30
    yield Difference("memory", f"{setup['memory_gib']} GiB", f"{gib:.0f} GiB", round(gib) == setup["memory_gib"])
    on_vm = testbed == "vm"
    release = f"the image's: {', '.join(catalogue.KERNELS)}" if on_vm else platform.release()
    yield Difference("kernel", setup["kernel"], release, release == setup["kernel"])
    available = frozenset(Attach) - {Attach.AUTO} if on_vm else facts.hooks()
    names = ", ".join(attach for attach in Attach if attach in available) or "none found out"
    yield Difference("hooks", "kprobe", names, Attach.KPROBE in available)
    devices = {role: facts.storage(place).device_number for role, place in places.items()}
    yield Difference(
        "disks",
        "data and output on one, records on another",
        "all on one" if len(set(devices.values())) == 1 else "apart",
        len(set(devices.values())) > 1,
    )
    yield _data_disk(setup, places["data"])
    with energy.Meter() as meter:
        yield Difference("energy", "RAPL", meter.source or "; ".join(meter.reasons), meter.source is not None)


def _data_disk(setup: dict[str, Any], place: Path) -> Difference:
    try:
        disk = environment.storage(place if place.exists() else place.parent)
    except environment.ABSENT as error:
        return Difference("data disk", setup["data_disk"], f"unknown: {error}", same=False)
    device = disk["device"] or {"name": disk["source"]}
    turning = {"0": "no moving parts", "1": "said to be rotational"}.get(device.get("rotational", ""), "")
    here = ", ".join(word for word in (device["name"], device.get("model"), turning, disk["filesystem"]) if word)
    return Difference("data disk", setup["data_disk"], here, device["name"].startswith("nvme"))


def _for_vm(cache: Path) -> Iterator[Finding]:
    for command, package in facts.PACKAGES.items():
        yield facts.command_finding(command, package)
    lacks = list(opening.missing_for_vm())
    for lack in lacks:
        yield Finding("virtual machines", Verdict.MISSING, lack.message, lack.hint)
    if not lacks:
        yield Finding("virtual machines", Verdict.OK, "QEMU is installed; they have kprobe, fentry and tracepoint")
    if (namespaces := privileges.missing()) is not None:
        yield Finding("user namespaces", Verdict.MISSING, namespaces.found, namespaces.advice)
    else:
        here = "not needed by root" if os.geteuid() == 0 else "an ordinary user can build and boot images"
        yield Finding("user namespaces", Verdict.OK, here)
    yield _kvm(cache)
    yield Finding(
        "energy", Verdict.NOTE, "virtual machines have no RAPL", "energy is measured with --testbed host only"
    )


def _kvm(cache: Path) -> Finding:
    emulated = f"virtual machines are {EMULATED}; {EMULATED_BECAUSE}"
    if (lack := accelerator.lack()) is not None:
        return Finding("KVM", Verdict.NOTE, lack, emulated)
    probe = accelerator.known(cache)
    if probe is None:
        return Finding("KVM", Verdict.OK, f"{accelerator.DEVICE} is there; the first run tries whether it works")
    if probe.reason is not None:
        return Finding("KVM", Verdict.NOTE, f"does not work: {probe.reason}", emulated)
    return Finding("KVM", Verdict.OK, "works: a kernel was booted with it")


def _hooks() -> Iterator[Finding]:
    refusals = hooks.refusals()
    for attach in (Attach.TRACEPOINT, Attach.KPROBE, Attach.FENTRY):
        if attach not in refusals:
            yield Finding(f"hook {attach}", Verdict.OK, "works")
        else:
            advice = "virtual machines have it: --testbed vm" if os.geteuid() == 0 else None
            yield Finding(f"hook {attach}", Verdict.NOTE, refusals[attach], advice)


def _headers() -> Finding:
    release = platform.release()
    if Path(f"/lib/modules/{release}/build").is_dir():
        return Finding("kernel headers", Verdict.OK, f"the host's own, for {release}")
    if Path("/sys/kernel/kheaders.tar.xz").exists():
        return Finding("kernel headers", Verdict.OK, "the running kernel's kheaders")
    return Finding(
        "kernel headers",
        Verdict.NOTE,
        f"none for {release}: BCC uses the image's nearest, and takes struct offsets from BTF",
        f"apt-get install linux-headers-{release}, if your distribution has it",
    )


def _energy() -> Finding:
    with energy.Meter() as meter:
        if meter.source is None:
            return Finding("energy", Verdict.NOTE, "; ".join(meter.reasons), "energy will be absent from results")
        domains = ", ".join(counter.domain for counter in meter.counters)
        return Finding("energy", Verdict.OK, f"{domains}, by {meter.source}", "; ".join(meter.reasons) or None)


def _groups() -> Finding:
    hierarchy = cgroup.hierarchy()
    if hierarchy is None:
        return Finding("control groups", Verdict.NOTE, "no cgroup v2 is mounted", "CPU and memory come from /proc")
    controllers = (_read(hierarchy / "cgroup.controllers") or "").split()
    absent = [name for name in cgroup.CONTROLLERS if name not in controllers]
    if not os.access(hierarchy, os.W_OK):
        return Finding("control groups", Verdict.NOTE, f"{hierarchy} cannot be written to", "it takes root")
    if absent:
        advice = "boot with cgroup_no_v1=all to have memory and I/O by group"
        return Finding("control groups", Verdict.NOTE, f"CPU at {hierarchy}; no {', no '.join(absent)}", advice)
    return Finding("control groups", Verdict.OK, f"CPU, memory and I/O at {hierarchy}")


def _cpus(root: Path) -> Iterator[Finding]:
    cpus = len(os.sched_getaffinity(0))
    if cpus >= PLACEMENT_CPUS_MIN:
        yield Finding("CPUs", Verdict.OK, f"{cpus}: monitors get one of their own, as in the paper")
    else:
        advice = "monitors, tracer and fio share all of them; expect wide spreads, use more repetitions"
        yield Finding("CPUs", Verdict.NOTE, str(cpus), advice)
    if facts.gather()["virtual_machine"]:
        yield Finding("virtual machine", Verdict.NOTE, "yes", "other guests may take CPU and disk at any time")
    if (share := steal_share(_read(root / "proc/stat") or "")) > STEAL_SHARE_MAX:
        found = f"{100 * share:.1f} % of the time since boot"
        yield Finding(
            "stolen CPU time", Verdict.NOTE, found, "other guests took it: use more repetitions, or a host alone"
        )
    if _found(environment.smt, root):
        advice = "two CPUs share a core: --placement paper, or boot with nosmt, steadies results"
        yield Finding("SMT", Verdict.NOTE, "active", advice)


def steal_share(stat: str) -> float:
    """Return the share of CPU time that the hypervisor gave to others, by the text of /proc/stat."""
    ticks = [int(word) for word in stat.split("\n", 1)[0].split()[1:9]]
    total = sum(ticks)
    return ticks[7] / total if total else 0.0


def _swapped(root: Path) -> bool:
    lines = (_read(root / "proc/swaps") or "").splitlines()[1:]
    return any(int(line.split()[3]) for line in lines)


def _found(look: Callable[[Path], bool], root: Path) -> bool:
    try:
        return look(root)
    except environment.ABSENT:
        return False


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
