# SPDX-License-Identifier: Apache-2.0
"""What can be true of a run directory, whoever it comes from: numbers that can be, names that lead nowhere else.

A run directory is read by others than who wrote it, and disks fail. Whatever is read of one is held against this before
anything is made of it, in one place (store.py; what hosts of a cluster send: cluster/order.py). A fault is a ValueError
that names the place.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import re
import stat
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpfbench.model import FioResult, Record, Setup, Status, Study, TracerSummary, Trial, Workload
from bpfbench.values import DEBIAN_PACKAGE, Reader, rings, wakeup

MOST = 2**64
"""No counter of a kernel reaches it, nor any time in nanoseconds."""
POSSIBLE = "numbers here are finite, 0 or more, and less than 2^64"

SUSPECT = re.compile(r"[\[:,]\s*(?:[-NI]|\d{20}|\d[\d.]*[eE]\+?\d\d)")
"""What text looks like that may hold an impossible number; it may also be within a text."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,199}")
"""What names directories, or part of them."""

TEXTS: dict[str, Reader] = {"wakeup": wakeup, "rings": rings}
"""What a tracer is configured with in a text, each with what makes it of what a study says."""

HALVES = re.compile(r"\\u[dD][89a-fA-F]")
"""How characters beyond 16 bits are written, and bytes that are no text: those become question marks."""

ROUNDING = 1.001
"""What a share of all CPUs may exceed the whole by."""
TOO_FAST = 2
"""So many times what was done in the runtime, a rate is none of it: fio's processes do not all take the whole."""

ALWAYS_KNOWN = ("kernel", "cpus", "cpu_model")
"""Facts that every machine has, or every host of a cluster."""

MOST_LINKS = 40
"""That Linux follows on the way to a file; there may be a circle of them."""
LOGIN = Path("/proc/self/loginuid")
"""The user whom this process's session belongs to since logging in, whoever they have become; 2^32 - 1: nobody's."""

FACTS: Mapping[str, type] = {
    "architecture": str,
    "cpu_model": str,
    "cpus": int,
    "distribution": str,
    "emulated": bool,
    "hosts": dict,
    "kernel": str,
    "kernels": dict,
    "memory_bytes": int,
    "storage": dict,
}
"""Facts about a machine that something is made of, and what they are."""


def content(path: Path, owners: Container[int] | None = None) -> bytes:
    """Return what a file holds; a link is not followed, nor is a pipe waited for.

    Args:
        path: of the file.
        owners: the users one of whom it has to belong to; None: to anybody.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        if owners is not None and found.st_uid not in owners:
            raise OSError(errno.EPERM, f"it belongs to user {found.st_uid}", str(path))
        return file.read()


def parsed(text_bytes: bytes, numbers_at: str | None = "") -> Any:
    """Return what JSON says.

    Args:
        text_bytes: UTF-8 text.
        numbers_at: the key below which every number has to be possible; empty: everywhere; None: nowhere.

    Raises:
        ValueError: it is no JSON, or a number in it is impossible.
    """
    try:
        text = text_bytes.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 text at byte {error.start}") from None
    try:
        data = json.loads(text)
        if HALVES.search(text):
            data = json.loads(json.dumps(data, ensure_ascii=False).encode(errors="replace"))
        if numbers_at is not None and SUSPECT.search(text):
            held = data.get(numbers_at) if numbers_at and isinstance(data, dict) else data
            for place in _impossible(held, numbers_at):
                raise ValueError(place)
    except RecursionError:
        raise ValueError("nested too deep to be ours") from None
    return data


def _impossible(data: Any, place: str) -> Iterator[str]:
    """Yield where numbers are that cannot be."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _impossible(value, f"{place}.{key}")
    elif isinstance(data, list):
        for at, value in enumerate(data):
            yield from _impossible(value, f"{place}[{at}]")
    elif isinstance(data, (int, float)) and not 0 <= data < MOST:
        yield f"{place}: {data!s:.30} is impossible: {POSSIBLE}"


def plan(trials: Sequence[Trial]) -> None:
    """Refuse a plan of trials that cannot be, or of two by one id.

    Raises:
        ValueError: says which.
    """
    ids = set()
    for at, own in enumerate(trials):
        try:
            trial(own)
        except ValueError as error:
            raise ValueError(f"trials[{at}].{error}") from None
        if own.id in ids:
            raise ValueError(f"trials[{at}].id: {own.id!r} is there twice")
        ids.add(own.id)


def trial(own: Trial) -> None:
    """Refuse a trial that cannot be, or whose names would lead out of a directory.

    Raises:
        ValueError: says which.
    """
    _named("id", own.id)
    _named("setup", own.setup)
    _named("tool", own.tool)
    _named("workload.name", own.workload.name)
    _named("host", own.host)
    if own.kernel is not None:
        _named("kernel", own.kernel)
    if own.config is not None:
        for name, read in TEXTS.items():
            if not _is_made_by(read, value := getattr(own.config, name)):
                raise ValueError(f"config.{name}: {value!r:.80} is none of ours")
    for fault in _of_workload(own.workload):
        raise ValueError(f"workload.{fault}")
    if own.repetition < 1:
        raise ValueError("repetition: they are counted from 1")


def _is_made_by(read: Reader, value: str) -> bool:
    """Tell whether a value is one that a study's reader makes."""
    try:
        return bool(read(value) == value)
    except ValueError:
        return False


def _named(what: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{what}: {name!r:.80} is no name of ours: letters, digits, and '_.@-' behind the first")


def _of_workload(work: Workload) -> Iterator[str]:
    if work.is_fio and not work.bytes_per_process:
        yield "bytes_per_process: fio's processes read and write something"
    if work.rate_iops is not None and not work.rate_iops:
        yield "rate_iops: 0 is no rate"
    if not work.burst_ios:
        yield "burst_ios: 0 is no burst"
    if not 0 < work.duty_percent <= 100:
        yield f"duty_percent: {work.duty_percent:g} is no share of the time"


def record(own: Record) -> None:
    """Refuse a record that cannot be: of a trial that ended ok, its numbers have to go together, too.

    Raises:
        ValueError: says what is impossible.
    """
    try:
        trial(own.trial)
    except ValueError as error:
        raise ValueError(f"trial.{error}") from None
    if own.status is Status.OK:
        for fault in _of_ok(own):
            raise ValueError(fault)


def _of_ok(own: Record) -> Iterator[str]:
    """Yield what a trial that ended ok cannot say."""
    yield from (f"status: ok, and the check {check.name!r} failed" for check in own.checks if not check.ok)
    if own.outcome is None:
        yield "status: ok, and nothing came of its target"
    elif not own.outcome.runtime_s:
        yield "runtime_s: 0 s is no runtime of a target"
    if not own.trial.is_vanilla and own.summary is None and own.command is None:
        yield "status: ok, and its tracer gave no account"
    if own.summary is not None:
        yield from _of_summary(own.summary)
    if own.fio is not None:
        yield from _of_fio(own.fio)
    if own.delivery is not None and own.delivery.delay_ns is not None:
        ascending = own.delivery.delay_ns.ascending
        if list(ascending) != sorted(ascending):
            yield "delivery.delay_ns: a higher percentile is lower than another"
    for name, load in (("load", own.load), ("idle", own.idle)):
        if load is not None and load.cpu_percent > 100 * ROUNDING:
            yield f"{name}.cpu_percent: {load.cpu_percent:g} % of all CPUs are impossible"


def _of_summary(said: TracerSummary) -> Iterator[str]:
    if said.saved > said.intercepted_total:
        yield f"summary.saved: {said.saved} events saved, of {said.intercepted_total} intercepted"
    if said.lost_total > said.intercepted_total:
        yield f"summary.lost: {said.lost_total} events lost, of {said.intercepted_total} intercepted"


def _of_fio(found: FioResult) -> Iterator[str]:
    percentiles = sorted((float(percent), value) for percent, value in found.latency_percentiles_us.items())
    values = [value for _, value in percentiles]
    if values != sorted(values):
        yield "fio.latency_percentiles_us: a higher percentile is lower than another"
    rates = (("iops", found.iops, found.ios), ("throughput_bytes_per_s", found.throughput_bytes_per_s, found.bytes))
    for name, rate, done in rates:
        if rate * found.runtime_s > TOO_FAST * done:
            yield f"fio.{name}: {rate:g} a second for {found.runtime_s:g} s are far more than the {done} done"


def run(study: Study, image: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
    """Refuse what a run says it is where that cannot be, or a name in it would lead out of a directory.

    Raises:
        ValueError: says which.
    """
    _of_study(study)
    for what in ("name", "key"):
        if not isinstance(image.get(what), str):
            raise ValueError(f"image.{what}: a text is wanted")
    if not isinstance(image.get("versions", {}), dict):
        raise ValueError("image.versions: a table is wanted")
    _of_machine("machine", machine)
    for name, own in machine.get("hosts", {"": machine}).items():
        for fact in ALWAYS_KNOWN:
            if fact not in own:
                raise ValueError(f"machine{f'.hosts.{name}' if name else ''}: field {fact!r} is missing")


def _of_study(study: Study) -> None:
    """Refuse names and paths of a study that would lead elsewhere."""
    _named("study.name", study.name)
    for at, host in enumerate(study.hosts):
        _named(f"study.hosts[{at}]", host)
    for at, target in enumerate(study.targets):
        _named(f"study.targets[{at}].name", target.name)
    for at, setup in enumerate(study.setups):
        _named(f"study.setups[{at}].name", setup.name)
        if setup.is_command:
            _of_commands(f"study.setups[{at}]", setup)
        elif not setup.command or not setup.command[0].startswith("/"):
            raise ValueError(f"study.setups[{at}].command: a command begins with an absolute path")
    for what, path in (("data", study.paths.data), ("output", study.paths.output)):
        if path is not None and not path.startswith("/"):
            raise ValueError(f"study.paths.{what}: {path!r} is no absolute path")


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whose directories we write to without a thought."""

    users: frozenset[int]
    groups: frozenset[int]


def trusted() -> Trusted:
    """Return root and who we are; as root also who became that: by sudo, or, as the kernel says, since logging in."""
    euid = os.geteuid()
    if euid != 0:
        return Trusted(frozenset({0, euid}), frozenset({0, os.getegid()}))
    users, groups = ({0, int(os.environ.get(name, "0"))} for name in ("SUDO_UID", "SUDO_GID"))
    with contextlib.suppress(OSError, ValueError, KeyError):  # no login, or none that there is a user of
        known = pwd.getpwuid(int(LOGIN.read_text()))
        users.add(known.pw_uid)
        groups.add(known.pw_gid)
    return Trusted(frozenset(users), frozenset(groups))


def exposed(path: Path) -> str | None:
    """Say why root had better not write to a directory, or make it; None where nobody else could put a link there.

    Where the sticky bit is set, as in /tmp, others can at least replace nothing of ours. An ordinary user is not held
    back: what a link can make one do harms nobody else.
    """
    return None if os.geteuid() != 0 else open_to_others(path, trusted())


def open_to_others(path: Path, who: Trusted, look: Callable[[Path], os.stat_result] = Path.lstat) -> str | None:
    """Say which directory or link on the way to a path, or what is there, is in whose hands; None: in trusted ones.

    Args:
        path: may be there in part, or not at all.
        who: is trusted.
        look: tells of a file what it is; a link is not followed.
    """
    for at, found in _way(path, look):
        link = stat.S_ISLNK(found.st_mode)
        if found.st_uid not in who.users:
            harm = "lead it elsewhere" if link else "put links into it"
            return f"{at}: belongs to user {found.st_uid}, who could {harm}"
        wide = found.st_mode & (stat.S_IWOTH if found.st_gid in who.groups else stat.S_IWOTH | stat.S_IWGRP)
        if wide and not link and not found.st_mode & stat.S_ISVTX:
            return f"{at}: can be written to by others, who could put links into it"
    return None


def _way(path: Path, look: Callable[[Path], os.stat_result]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all that a path leads through, as far as it is there, as the kernel goes: links, and what they lead to."""
    at, links = Path("/"), 0
    yield at, look(at)
    left = list(reversed(path.absolute().parts[1:]))
    while left:
        name = left.pop()
        step = at.parent if name == ".." else at / name
        try:
            found = look(step)
        except OSError:
            return
        yield step, found
        if not stat.S_ISLNK(found.st_mode):
            at = step
        elif (links := links + 1) > MOST_LINKS:
            return
        else:
            target = step.readlink()
            at = Path("/") if target.is_absolute() else at
            left += reversed(target.parts[target.is_absolute() :])


def _of_commands(place: str, setup: Setup) -> None:
    """Refuse what a study cannot say of commands: their packages are asked of Debian, their tools name files."""
    for tool, own in setup.commands.items():
        _named(f"{place}.tools", tool)
        for tally in filter(None, (own.received, own.lost)):
            try:
                re.compile(tally.pattern)
            except re.error as error:
                raise ValueError(f"{place}.tools.{tool}: /{tally.pattern}/ is no regular expression") from error
    for package in setup.packages:
        if not DEBIAN_PACKAGE.fullmatch(package):
            raise ValueError(f"{place}.packages: {package!r:.80} is no name of a Debian package")
    if setup.files is not None and not setup.files.startswith("/"):
        raise ValueError(f"{place}.files: {setup.files!r:.80} is no absolute path")


def _of_machine(place: str, machine: Mapping[str, Any]) -> None:
    for name, kind in FACTS.items():
        if name in machine and not isinstance(machine[name], kind):
            raise ValueError(f"{place}.{name}: expected {kind.__name__}, got {type(machine[name]).__name__}")
    for many in ("hosts", "kernels", "storage"):
        for name, own in machine.get(many, {}).items():
            if not isinstance(own, dict):
                raise ValueError(f"{place}.{many}.{name}: expected dict, got {type(own).__name__}")
            _of_machine(f"{place}.{many}.{name}", own)
