# SPDX-License-Identifier: Apache-2.0
"""What tracer and fio use, by control groups (cgroup v2): one group per trial, in it one for each role.

CPU time is counted in every group, to the microsecond, children that have ended included. Memory and I/O take
controllers, which are switched on for the trial where the hierarchy has them. The `cpu` controller never is: it would
schedule tracer and fio by groups. See the kernel's Documentation/admin-guide/cgroup-v2.rst.

A group's name ends in the controllers that were switched on for it: whoever finds it left, knows what to switch off.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpfbench.inside.kernel.files import numbers, text, text_if_any
from bpfbench.model import GroupUsage

PREFIX = "bpfbench-"
"""What the names of our groups begin with; testbed/supervise knows it too."""

CONTROLLERS = ("memory", "io")

ROLES = ("tracer", "workload", "driver")
"""Of a trial of a study. A driver is what drives a server; what is traced is the workload."""

EMPTY_S = 5.0
"""A killed process may take so long to leave its group."""


@dataclass(frozen=True, slots=True)
class GroupSample:
    """The CPU time a group has used, at one moment."""

    monotonic_s: float
    user_s: float
    system_s: float


class ControlGroups:
    """The groups of one trial. Use as a context manager: on leaving they are gone, with whatever is in them.

    Args:
        hierarchy: where cgroup v2 is mounted; None where it is not.
        name: of the trial's group, after the prefix.
        roles: what each group in it is called.
    """

    def __init__(self, hierarchy: Path | None, name: str, roles: Sequence[str] = ROLES) -> None:
        self.reason: str | None = None
        """Why there are none."""
        self._hierarchy = hierarchy
        self._name, self._roles = name, roles
        self._group: Path | None = None

    def __enter__(self) -> ControlGroups:
        if self._hierarchy is None:
            self.reason = "no cgroup v2 is mounted"
            return self
        try:
            self._group = _make(self._hierarchy, self._name, self._roles)
        except OSError as error:
            self.reason = f"{error.filename}: {error.strerror}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._group is not None:
            remove(self._group)

    def joiner(self, role: str) -> Callable[[], None]:
        """Return what a process calls to join, before it becomes what it is to be. It never raises."""

        def join() -> None:
            if self._group is not None:
                with contextlib.suppress(OSError):
                    (self._group / role / "cgroup.procs").write_text("0")

        return join

    def sample(self, role: str) -> GroupSample | None:
        """Read the CPU time of a role; None where it has no group, or nobody has joined it."""
        found = numbers(self._said(role, "cpu.stat") or "")
        if not found.get("usage_usec"):
            return None
        return GroupSample(time.monotonic(), found["user_usec"] / 1e6, found["system_usec"] / 1e6)

    def usage(self, role: str) -> GroupUsage | None:
        """Read all that is known of a role; None where it has no group, or nobody has joined it."""
        sample = self.sample(role)
        if sample is None:
            return None
        peak, memory, io = (self._said(role, name) for name in ("memory.peak", "memory.stat", "io.stat"))
        read_bytes, written_bytes = (None, None) if io is None else parse_io(io)
        return GroupUsage(
            user_s=sample.user_s,
            system_s=sample.system_s,
            memory_peak_bytes=None if peak is None else int(peak),
            page_cache_bytes=numbers(memory or "").get("file"),
            read_bytes=read_bytes,
            written_bytes=written_bytes,
        )

    def _said(self, role: str, name: str) -> str | None:
        return None if self._group is None else text_if_any(self._group / role / name)


def mounted(mounts: str) -> Path | None:
    """Return where cgroup v2 is mounted, by the text of /proc/self/mounts; None where it is not."""
    for line in mounts.splitlines():
        _, place, kind = line.split()[:3]
        if kind == "cgroup2":
            return Path(place)
    return None


def hierarchy() -> Path | None:
    """Return where cgroup v2 is mounted here; None where it is not."""
    return mounted(Path("/proc/self/mounts").read_text())


def around(own: str, hierarchy: Path) -> tuple[Path, ...]:
    """Return the group of a process, by the text of its /proc/PID/cgroup, and those that this is in.

    Of one outside of what is mounted here, as in a container that was entered, only the outermost is known.
    """
    path = next((line[3:] for line in own.splitlines() if line.startswith("0::")), "/")
    group = hierarchy if ".." in Path(path).parts else hierarchy / path.lstrip("/")
    return (group, *(parent for parent in group.parents if parent.is_relative_to(hierarchy)))


def memory_left_bytes(group: Path) -> int | None:
    """Return what a group may still take of memory; None where it has no limit, or none is known.

    The pages of files that it has cached are counted as free, as those of the machine are in MemAvailable: the kernel
    drops them first.
    """
    most, taken = (text_if_any(group / f"memory.{name}") for name in ("max", "current"))
    if most is None or taken is None or most == "max":
        return None
    stat = numbers(text_if_any(group / "memory.stat") or "")
    cached = stat.get("active_file", 0) + stat.get("inactive_file", 0)
    return max(0, int(most) - max(0, int(taken) - cached))


def ours(hierarchy: Path | None) -> frozenset[str]:
    """Return the names of all groups of ours, also those of a run that was killed."""
    return frozenset(path.name for path in hierarchy.glob(f"{PREFIX}*")) if hierarchy else frozenset()


def sweep(hierarchy: Path | None) -> None:
    """Remove the groups that a killed run has left. One with processes in it is somebody's, and stays."""
    for name in ours(hierarchy):
        if hierarchy and not _populated(hierarchy / name):
            _discard(hierarchy / name)


def remove(group: Path) -> None:
    """Remove a trial's group with whoever is in it, and switch off what was switched on for it. Never raises."""
    with contextlib.suppress(OSError):
        (group / "cgroup.kill").write_text("1")  # since 5.14
    until_s = time.monotonic() + EMPTY_S
    while _populated(group) and time.monotonic() < until_s:
        time.sleep(0.005)
    _discard(group)


def parse_io(stat: str) -> tuple[int, int]:
    """Return the bytes (read, written) of all devices by io.stat."""
    fields = [dict(word.split("=") for word in line.split()[1:] if "=" in word) for line in stat.splitlines()]
    read, written = (sum(int(device.get(key, 0)) for device in fields) for key in ("rbytes", "wbytes"))
    return read, written


def _make(hierarchy: Path, name: str, roles: Sequence[str]) -> Path:
    there, on = (text(hierarchy / f"cgroup.{name}").split() for name in ("controllers", "subtree_control"))
    wanted = [controller for controller in CONTROLLERS if controller in there and controller not in on]
    group = hierarchy / "+".join((f"{PREFIX}{name}", *wanted))
    group.mkdir()
    try:
        for controller in wanted:
            _switch(hierarchy, f"+{controller}")
        for controller in CONTROLLERS:
            _switch(group, f"+{controller}")
        for role in roles:
            (group / role).mkdir()
            _ignore_pressure(group / role)
        _ignore_pressure(group)
    except OSError:
        remove(group)
        raise
    return group


def _discard(group: Path) -> None:
    """Remove a group that nobody is in, and switch off what was switched on for it."""
    for path in (*group.glob("*/"), group):
        with contextlib.suppress(OSError):
            path.rmdir()
    if not group.exists():
        for controller in group.name.split("+")[1:]:
            _switch(group.parent, f"-{controller}")


def _switch(group: Path, what: str) -> None:
    """Switch a controller on or off for what is below a group, if that can be done."""
    with contextlib.suppress(OSError):
        (group / "cgroup.subtree_control").write_text(what)


def _ignore_pressure(group: Path) -> None:
    """Have the kernel not account for stalls (PSI) here, as it does in each group at each switch between tasks.

    Of PostgreSQL that took 1 % of its transactions. See cgroup.pressure in the kernel's cgroup-v2.rst, since 6.1.
    """
    with contextlib.suppress(OSError):
        (group / "cgroup.pressure").write_text("0")


def _populated(group: Path) -> bool:
    return bool(numbers(text_if_any(group / "cgroup.events") or "").get("populated"))
