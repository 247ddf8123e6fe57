# SPDX-License-Identifier: Apache-2.0
"""This machine: what it is, has and lacks. Files are read and commands looked for; nothing is changed."""

from __future__ import annotations

import os
import platform
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import ParamSpec, TypeVar

from bpfbench.inside import environment
from bpfbench.inside.kernel import hooks as probes
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.inside.monitors import cgroup
from bpfbench.model import Attach

P = ParamSpec("P")
T = TypeVar("T")
ROOT = Path("/")
KERNEL_MIN = (5, 8)
"""The first kernel with BPF ring buffers."""
MAPS_IN_GROUPS = (5, 11)
"""Since then the memory of BPF maps is charged to control groups; before, RLIMIT_MEMLOCK bounds it, also root's."""

PACKAGES = {"bwrap": "bubblewrap", "unshare": "util-linux", "setpriv": "util-linux", "mount": "mount"}
"""Commands needed on the host -> Debian package."""
BUILDING = {"mmdebstrap": "mmdebstrap"}
"""The same of what is needed to build an image; one that is there, or imported, does without."""


class Fitness(StrEnum):
    """What a finding means for someone who wants to measure."""

    OK = "ok"
    NOTE = "note"
    """Something cannot be measured here, or results will be noisier."""
    MISSING = "missing"
    """Nothing can be measured before this is mended."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing looked at."""

    what: str
    verdict: Fitness
    found: str
    advice: str | None = None


def ok(what: str, found: str, advice: str | None = None) -> Diagnosis:
    """Say that a thing is as it should be."""
    return Diagnosis(what, Fitness.OK, found, advice)


def note(what: str, found: str, advice: str | None) -> Diagnosis:
    """Say that a thing could be better, and how."""
    return Diagnosis(what, Fitness.NOTE, found, advice)


def lacking(what: str, found: str, advice: str) -> Diagnosis:
    """Say that a thing is missing, and what to do."""
    return Diagnosis(what, Fitness.MISSING, found, advice)


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
    cpu = ROOT / "sys/devices/system/cpu"
    return {
        "host": platform.node(),
        "kernel": platform.release(),
        "kernel_version": platform.version(),
        "architecture": platform.machine(),
        "distribution": _os_name(),
        "cpu_model": known(environment.cpuinfo, "model name", ROOT) or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": environment.meminfo_bytes("MemTotal", ROOT),
        "virtual_machine": known(environment.in_virtual_machine, ROOT) or False,
        "governor": text_if_any(cpu / "cpu0/cpufreq/scaling_governor"),
        "smt": text_if_any(cpu / "smt/active"),
        "bpf_jit": text_if_any(ROOT / "proc/sys/net/core/bpf_jit_enable"),
    }


def nearest(path: Path) -> Path:
    """Return a path, or the nearest of its parents that is there."""
    path = path.absolute()
    return next(own for own in (path, *path.parents) if own.exists())


def storage(path: Path) -> Storage:
    """Return where `path`, or its nearest existing parent, lies."""
    path = nearest(path).resolve()
    mount = known(environment.mount_of, Path("/proc/self/mountinfo").read_text(), path)
    device, filesystem = (mount["source"], mount["filesystem"]) if mount else ("unknown", "unknown")
    return Storage(str(path), path.stat().st_dev, device, filesystem, shutil.disk_usage(path).free)


def storage_facts(paths: dict[str, Path]) -> dict[str, object]:
    """Return `storage` of several paths, by role."""
    return {role: asdict(storage(path)) for role, path in paths.items()}


def boot_id() -> str:
    """Return what the kernel calls this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def memory_available_bytes() -> int:
    """Return what can be allocated without swapping, as the kernel estimates it, and our control groups let us.

    In a container these are what binds: MemAvailable is of the whole machine there.
    """
    hierarchy = cgroup.mounted((ROOT / "proc/self/mounts").read_text())
    own = (ROOT / "proc/self/cgroup").read_text()
    groups = cgroup.around(own, ROOT / hierarchy.relative_to("/")) if hierarchy else ()
    left = (found for group in groups if (found := cgroup.memory_left_bytes(group)) is not None)
    return min((environment.meminfo_bytes("MemAvailable", ROOT), *left))


def maps_most_bytes() -> int | None:
    """Return what BPF maps may take by RLIMIT_MEMLOCK, which no tracer raises; None where that does not bind them."""
    most, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    bound = _version(platform.release()) < MAPS_IN_GROUPS and most != resource.RLIM_INFINITY
    return most if bound else None


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdecimal())


def known(look: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
    """Return a fact of the environment; None where it cannot be had."""
    try:
        return look(*args, **options)
    except environment.ABSENT:
        return None


def requirements() -> Iterator[Diagnosis]:
    """Look at everything that measuring on this machine's kernel takes, most important first."""
    root = lacking(
        "root",
        "no",
        "loading BPF programs on this kernel needs root: use sudo, or without root: --testbed vm",
    )
    yield ok("root", "yes") if os.geteuid() == 0 else root
    release = platform.release()
    old = lacking("kernel", release, "BPF ring buffers came with Linux 5.8: boot a newer kernel")
    yield ok("kernel", release) if _version(release) >= KERNEL_MIN else old
    no_btf = lacking("BTF", "none", "boot a kernel with CONFIG_DEBUG_INFO_BTF=y (any distribution's is)")
    btf = Path("/sys/kernel/btf/vmlinux")
    yield ok("BTF", "the kernel describes its own types") if btf.exists() else no_btf
    yield _tracefs()
    yield from commands()
    if nohz_full := text_if_any(ROOT / "sys/devices/system/cpu/nohz_full"):
        advice = "membarrier(2) refuses there, and the libbpf and BCC tracers need it: boot without nohz_full"
        yield lacking("nohz_full", nohz_full, advice)


def hooks() -> frozenset[Attach]:
    """Return the hook flavours that the running kernel has; without root, none can be found out."""
    return frozenset(Attach) - {Attach.AUTO} - probes.refusals().keys()


def lacks(findings: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """Return what must be mended before anything can be measured."""
    return (finding for finding in findings if finding.verdict is Fitness.MISSING)


def missing() -> Iterator[str]:
    """Yield what must be mended on this machine, without root, which is asked for apart."""
    return (f"{lack.what}: {lack.found} ({lack.advice})" for lack in lacks(requirements()) if lack.what != "root")


def _tracefs() -> Diagnosis:
    if Path("/sys/kernel/tracing").is_mount():
        return ok("tracefs", "mounted")
    if any(line.split()[-1] == "tracefs" for line in Path("/proc/filesystems").read_text().splitlines()):
        return ok("tracefs", "not mounted; each trial mounts its own")
    return lacking("tracefs", "not in this kernel", "boot a kernel with CONFIG_FTRACE=y")


def commands(packages: Mapping[str, str] = PACKAGES) -> Iterator[Diagnosis]:
    """Say whether commands are installed, by name with Debian's package that has it."""
    for command, package in packages.items():
        path = shutil.which(command)
        yield ok(command, path) if path else lacking(command, "not installed", f"apt-get install {package}")


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown"
