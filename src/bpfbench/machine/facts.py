# SPDX-License-Identifier: Apache-2.0
"""What this machine is, has and lacks. Reads files and looks for commands; changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from bpfbench.inside.kernel import hooks as probes
from bpfbench.model import Attach

KERNEL_MIN = (5, 8)
"""The first kernel with BPF ring buffers."""

PACKAGES = {"mmdebstrap": "mmdebstrap", "bwrap": "bubblewrap", "unshare": "util-linux", "setpriv": "util-linux"}
"""Commands needed on the host -> Debian package."""


class Verdict(StrEnum):
    """What a finding means for someone who wants to measure."""

    OK = "ok"
    NOTE = "note"
    """Something cannot be measured here, or results will be noisier."""
    MISSING = "missing"
    """Nothing can be measured before this is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    verdict: Verdict
    found: str
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a directory lies."""

    path: str
    device_number: int
    device: str
    filesystem: str
    free_bytes: int


def gather() -> dict[str, object]:
    """Return what a reader of results needs to know of this machine."""
    return {
        "host": platform.node(),
        "kernel": platform.release(),
        "kernel_version": platform.version(),
        "architecture": platform.machine(),
        "distribution": _os_name(),
        "cpu_model": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": _meminfo("MemTotal"),
        "virtual_machine": "hypervisor" in _cpuinfo_field("flags").split(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "smt": _read("/sys/devices/system/cpu/smt/active"),
        "bpf_jit": _read("/proc/sys/net/core/bpf_jit_enable"),
    }


def storage(path: Path) -> Storage:
    """Return where `path`, or its nearest existing parent, lies."""
    while not path.exists():
        path = path.parent
    path = path.resolve()
    device, filesystem = "unknown", "unknown"
    best = -1
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, mountpoint, kind = (word.replace("\\040", " ") for word in line.split()[:3])
        if path.is_relative_to(mountpoint) and len(mountpoint) >= best:
            device, filesystem, best = source, kind, len(mountpoint)
    return Storage(str(path), path.stat().st_dev, device, filesystem, shutil.disk_usage(path).free)


def storage_facts(paths: dict[str, Path]) -> dict[str, object]:
    """Return `storage` of several paths, by role."""
    return {role: asdict(storage(path)) for role, path in paths.items()}


def memory_available_bytes() -> int:
    """Return what can be allocated without swapping, as the kernel estimates it."""
    return _meminfo("MemAvailable")


def requirements() -> Iterator[Finding]:
    """Look at everything that measuring on this machine's kernel takes, most important first."""
    yield _root()
    yield _kernel()
    yield _btf()
    yield _tracefs()
    for command, package in PACKAGES.items():
        yield command_finding(command, package)
    if nohz_full := _read("/sys/devices/system/cpu/nohz_full"):
        advice = "membarrier(2) refuses there, and the libbpf and BCC tracers need it: boot without nohz_full"
        yield Finding("nohz_full", Verdict.MISSING, nohz_full, advice)


def hooks() -> frozenset[Attach]:
    """Return the hook flavours that the running kernel has; without root, none can be found out."""
    return frozenset(Attach) - {Attach.AUTO} - probes.refusals().keys()


def missing() -> Iterator[str]:
    """Yield what must be mended before anything can be measured, without root, which is asked for apart."""
    for finding in requirements():
        if finding.verdict is Verdict.MISSING and finding.what != "root":
            yield f"{finding.what}: {finding.found}" + (f" ({finding.advice})" if finding.advice else "")


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding("root", Verdict.OK, "yes")
    return Finding("root", Verdict.MISSING, "no", "loading BPF programs on this kernel needs root: use sudo")


def _kernel() -> Finding:
    release = platform.release()
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdecimal())
    if version >= KERNEL_MIN:
        return Finding("kernel", Verdict.OK, release)
    return Finding("kernel", Verdict.MISSING, release, "BPF ring buffers came with Linux 5.8: boot a newer kernel")


def _btf() -> Finding:
    if Path("/sys/kernel/btf/vmlinux").exists():
        return Finding("BTF", Verdict.OK, "the kernel describes its own types")
    return Finding("BTF", Verdict.MISSING, "none", "boot a kernel with CONFIG_DEBUG_INFO_BTF=y (any distribution's is)")


def _tracefs() -> Finding:
    if Path("/sys/kernel/tracing").is_mount():
        return Finding("tracefs", Verdict.OK, "mounted")
    if any(line.split()[-1] == "tracefs" for line in Path("/proc/filesystems").read_text().splitlines()):
        return Finding("tracefs", Verdict.OK, "not mounted; each trial mounts its own")
    return Finding("tracefs", Verdict.MISSING, "not in this kernel", "boot a kernel with CONFIG_FTRACE=y")


def command_finding(command: str, package: str) -> Finding:
    """Say whether a command is installed.

    Args:
        command: its name.
        package: Debian's that has it.
    """
    if path := shutil.which(command):
        return Finding(command, Verdict.OK, path)
    return Finding(command, Verdict.MISSING, "not installed", f"apt-get install {package}")


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown"


def _cpu_model() -> str:
    return _cpuinfo_field("model name") or platform.machine()


def _cpuinfo_field(name: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/meminfo has no {name}")


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
