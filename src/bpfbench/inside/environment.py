# SPDX-License-Identifier: Apache-2.0
"""The environment of a trial: what of machine and kernel decides how long things take. Files are read, in milliseconds.

Where a fact cannot be had, `absent` has the reason under its name.
"""

from __future__ import annotations

import functools
import gzip
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bpfbench.inside.kernel.files import numbers, text
from bpfbench.model import Accelerator, Environment

SYSCTLS = (
    "kernel/bpf_stats_enabled",
    "kernel/nmi_watchdog",
    "kernel/perf_event_paranoid",
    "kernel/randomize_va_space",
    "kernel/sched_autogroup_enabled",
    "kernel/unprivileged_bpf_disabled",
    "net/core/bpf_jit_enable",
    "net/core/bpf_jit_harden",
    "net/core/bpf_jit_kallsyms",
    "vm/dirty_background_ratio",
    "vm/dirty_ratio",
    "vm/swappiness",
)

OPTIONS = (
    "BPF_EVENTS",
    "BPF_JIT",
    "BPF_JIT_ALWAYS_ON",
    "DEBUG_INFO_BTF",
    "DEBUG_LOCK_ALLOC",
    "DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
    "FPROBE",
    "FTRACE_SYSCALLS",
    "HZ",
    "KASAN",
    "KPROBES",
    "KPROBES_ON_FTRACE",
    "KRETPROBES",
    "MEMCG",
    "NO_HZ_FULL",
    "PREEMPT",
    "PREEMPT_DYNAMIC",
    "PREEMPT_LAZY",
    "PREEMPT_NONE",
    "PREEMPT_RT",
    "PREEMPT_VOLUNTARY",
    "VIRT_CPU_ACCOUNTING_GEN",
)
"""Of the kernel's configuration: what hooks there are, and what makes them or the kernel faster or slower."""

DISK = {
    "model": "device/model",
    "rotational": "queue/rotational",
    "scheduler": "queue/scheduler",
    "read_ahead_kib": "queue/read_ahead_kb",
    "requests": "queue/nr_requests",
    "write_cache": "queue/write_cache",
}
"""Facts of a disk: files below its folder of sysfs."""

ABSENT = (OSError, LookupError, ValueError)
"""What looking at a fact raises where there is none."""


def current(accelerator: Accelerator | None) -> Environment:
    """Return what every record has of its environment; the accelerator is that of a virtual machine of bpfbench's."""
    return Environment(platform.release(), text(Path("/proc/sys/kernel/random/boot_id")), accelerator)


def facts(places: Mapping[str, str], root: Path = Path("/")) -> dict[str, Any]:
    """Return all that environment.json has of machine and kernel, and of the storage of directories by role.

    /proc, /sys and /boot are looked for below `root`.
    """
    found: dict[str, Any] = {"kernel": platform.release(), "architecture": platform.machine()}
    absent: dict[str, str] = {}
    looks = FACTS | {f"storage_{role}": _by(storage, Path(place)) for role, place in places.items()}
    for name, look in looks.items():
        try:
            found[name] = look(root)
        except ABSENT as error:
            absent[name] = _why(error)
    return {**found, "absent": absent}


def chosen(words: str) -> str:
    """Return what is in brackets of a list of choices, else the text."""
    before, bracket, rest = words.partition("[")
    return rest.partition("]")[0] if bracket and (not before or before.endswith(" ")) else words


def storage(place: Path, root: Path = Path("/")) -> dict[str, Any]:
    """Return on what device and file system a directory lies.

    Raises:
        OSError: there is no such directory.
        LookupError: nothing is mounted there, as far as the kernel says.
    """
    mount = mount_of(text(root / "proc/self/mountinfo"), place.resolve(strict=True))
    block = root / "sys/dev/block" / mount["number"]
    if not block.exists():  # btrfs, overlay, a network's file system
        return {**mount, "device": None}
    disk = block.resolve()
    disk = disk.parent if (disk / "partition").exists() else disk
    facts = {name: chosen(text(disk / path)) for name, path in DISK.items() if (disk / path).exists()}
    below = sorted(path.name for path in (disk / "slaves").glob("*"))
    return {**mount, "device": {"name": disk.name, **facts, **({"made_of": below} if below else {})}}


def mount_of(mountinfo: str, place: Path) -> dict[str, str]:
    """Return what is mounted at a directory; see proc_pid_mountinfo(5).

    Raises:
        LookupError: nothing is.
    """
    found: dict[str, str] | None = None
    deepest = -1
    for line in mountinfo.splitlines():
        mount, _, kind = line.partition(" - ")
        _, _, device, _, point, options = mount.split()[:6]
        filesystem, source, more = kind.split()[:3]
        point = point.replace("\\040", " ")
        if place.is_relative_to(point) and len(point) >= deepest:  # a later one lies over an earlier
            deepest = len(point)
            found = {
                "number": device,
                "source": source,
                "filesystem": filesystem,
                "options": ",".join(dict.fromkeys((*options.split(","), *more.split(",")))),
            }
    if found is None:
        raise LookupError(f"nothing is mounted at {place}")
    return found


def kernel_config(root: Path) -> dict[str, str]:
    """Return how the running kernel is configured, of OPTIONS: y, m, a value, or n.

    Raises:
        LookupError: its configuration is nowhere to be found.
    """
    release = platform.release()
    packed, build = root / "proc/config.gz", root / "usr/lib/modules" / release / "build"
    candidates = [root / "boot" / f"config-{release}", root / "usr/lib/modules" / release / "config"]
    told = build / "include/config/kernel.release"
    if told.exists() and text(told) == release:  # they may be another kernel's, put there for BCC
        candidates.append(build / ".config")
    if packed.exists():
        return parse_config(gzip.decompress(packed.read_bytes()).decode())
    for path in candidates:
        if path.exists():
            return parse_config(path.read_text())
    raise LookupError(f"neither /proc/config.gz nor /boot/config-{release}")


def parse_config(lines: str, options: Sequence[str] = OPTIONS) -> dict[str, str]:
    """Read options out of a kernel's .config; what is not in it is n."""
    wanted = {f"CONFIG_{name}": name for name in options}
    settings = (line.partition("=") for line in lines.splitlines() if line.startswith("CONFIG_"))
    return dict.fromkeys(options, "n") | {wanted[name]: value for name, _, value in settings if name in wanted}


def cpuinfo(name: str, root: Path) -> str:
    """Return what /proc/cpuinfo has under a name, of the first CPU.

    Raises:
        LookupError: it has no such name.
    """
    for line in text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    raise LookupError(f"/proc/cpuinfo has no {name!r}")


def in_virtual_machine(root: Path) -> bool:
    """Tell whether a hypervisor runs this machine.

    Raises:
        LookupError: the CPU does not say what it can do.
    """
    return "hypervisor" in cpuinfo("flags", root).split()


def smt(root: Path) -> bool:
    """Tell whether CPUs share cores.

    Raises:
        OSError: the kernel does not say.
    """
    return text(root / "sys/devices/system/cpu/smt/active") == "1"


def meminfo_bytes(name: str, root: Path) -> int:
    """Return a line of /proc/meminfo.

    Raises:
        LookupError: it has no such line.
    """
    try:
        return 1024 * numbers(text(root / "proc/meminfo"))[name]
    except KeyError:
        raise LookupError(f"/proc/meminfo has no {name}") from None


def _file(path: str, root: Path) -> str:
    """Return what a file says; of a choice in brackets, the chosen."""
    return chosen(text(root / path))


def _of_policies(name: str, root: Path) -> str:
    policies = (root / "sys/devices/system/cpu/cpufreq").glob(f"policy*/{name}")
    if not (found := {text(path) for path in policies}):
        raise LookupError("the kernel does not scale the CPUs' frequency")
    return ", ".join(sorted(found))


def _turbo(root: Path) -> bool:
    """Tell whether the CPUs may run above their nominal frequency."""
    cpu = root / "sys/devices/system/cpu"
    for path, on in ((cpu / "intel_pstate/no_turbo", "0"), (cpu / "cpufreq/boost", "1")):
        if path.exists():
            return text(path) == on
    raise LookupError("neither intel_pstate/no_turbo nor cpufreq/boost")


def _mitigations(root: Path) -> dict[str, str]:
    folder = root / "sys/devices/system/cpu/vulnerabilities"
    found = {path.name: text(path) for path in sorted(folder.glob("*"))}
    if not found:
        raise LookupError("the kernel does not say")
    return found


def _sysctls(root: Path) -> dict[str, str | None]:
    values = {name.replace("/", "."): root / "proc/sys" / name for name in SYSCTLS}
    return {name: text(path) if path.exists() else None for name, path in values.items()}


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error.args[0]) if error.args else type(error).__name__


_by = functools.partial

FACTS: dict[str, Callable[[Path], Any]] = {
    "kernel_version": _by(_file, "proc/sys/kernel/version"),
    "kernel_command_line": _by(_file, "proc/cmdline"),
    "clocksource": _by(_file, "sys/devices/system/clocksource/clocksource0/current_clocksource"),
    "cpus_online": _by(_file, "sys/devices/system/cpu/online"),
    "cpus_isolated": _by(_file, "sys/devices/system/cpu/isolated"),
    "cpu_idle_driver": _by(_file, "sys/devices/system/cpu/cpuidle/current_driver"),
    "numa_nodes": _by(_file, "sys/devices/system/node/online"),
    "transparent_hugepages": _by(_file, "sys/kernel/mm/transparent_hugepage/enabled"),
    "lockdown": _by(_file, "sys/kernel/security/lockdown"),
    "cpu_model": _by(cpuinfo, "model name"),
    "cpu_microcode": _by(cpuinfo, "microcode"),
    "virtual_machine": in_virtual_machine,
    "cpu_governor": _by(_of_policies, "scaling_governor"),
    "cpu_frequency_driver": _by(_of_policies, "scaling_driver"),
    "cpu_frequency_max_khz": _by(_of_policies, "scaling_max_freq"),
    "cpu_turbo": _turbo,
    "cpu_smt": smt,
    "mitigations": _mitigations,
    "memory_bytes": _by(meminfo_bytes, "MemTotal"),
    "swap_bytes": _by(meminfo_bytes, "SwapTotal"),
    "sysctl": _sysctls,
    "kernel_config": kernel_config,
}
"""What is looked at below a root, and how; in the order of environment.json."""
