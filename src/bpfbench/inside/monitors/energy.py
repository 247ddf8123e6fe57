# SPDX-License-Identifier: Apache-2.0
"""Energy by RAPL: package, DRAM and platform (psys), through perf's `power` PMU or powercap, whichever can be read.

perf is asked first: its counters are 64 bits wide, and the kernel sees to it that they miss no wrap of the hardware's.
powercap shows the hardware's own, which wrap at `max_energy_range_uj`, and more than once if nobody looks for long.
Intel's and AMD's processors are alike in both. Cores and graphics are not taken: they are part of their package.

Where it is described: the kernel's Documentation/power/powercap/powercap.rst and arch/x86/events/rapl.c.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bpfbench.inside.kernel import perf
from bpfbench.inside.kernel.files import text
from bpfbench.inside.monitors import series
from bpfbench.inside.monitors.series import Span
from bpfbench.model import Energy, EnergyDomain

POWER_MAX_W = 2000.0
"""No package, memory or machine of one draws more: what bounds how long a counter takes to wrap."""

PERF_EVENTS = {"energy-pkg": "package", "energy-ram": "dram", "energy-psys": "psys"}
"""perf's name of an event -> of the domain, as powercap has it."""

SHORT = "fio ran for less than the interval between two samples"


@dataclass(frozen=True, slots=True)
class Counter:
    """One domain's counter."""

    domain: str
    unit_j: float
    """Joules that one step is."""
    read: Callable[[], int]
    """Raises OSError where it cannot be read, ValueError where what it says is no number."""
    wraps_after: int | None = None
    """The last value before it starts again from 0, where it is known to have one."""


@dataclass(frozen=True, slots=True)
class EnergySample:
    """All counters at one moment."""

    monotonic_s: float
    values: tuple[int | None, ...]
    """In the meter's order; None where one could not be read."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """What one domain has consumed since its first sample."""

    monotonic_s: float
    joules: float


class Meter:
    """The energy counters of this machine. Use as a context manager, which keeps what has to be open."""

    def __init__(self, sysfs: Path = Path("/sys"), open_event: Callable[..., int] = perf.open_event) -> None:
        self.source: str | None = None
        """perf or powercap; None where there is neither, for `reasons`."""
        self.counters: tuple[Counter, ...] = ()
        self.reasons: list[str] = []
        """Why there is nothing to read."""
        self.samples: list[EnergySample] = []
        """In the order they were taken."""
        self._sysfs = sysfs
        self._open_event = open_event
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Meter:
        refused: list[str] = []
        for source, find in (("perf", self._perf), ("powercap", self._powercap)):
            reasons: list[str] = []
            self.counters = tuple(find(reasons))
            if self.counters:
                self.source, self.reasons = source, reasons
                return self
            refused += [f"{source}: {reason}" for reason in reasons]
        self.reasons = refused or ["no RAPL on this machine"]
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def take(self) -> None:
        """Read all counters now. Never raises."""
        now_s = time.monotonic()
        self.samples.append(EnergySample(now_s, tuple(_value(counter.read) for counter in self.counters)))

    def consumption(self) -> tuple[dict[str, tuple[Consumed, ...]], list[str]]:
        """Return what each domain has consumed since the first sample, and why that is not known of others."""
        found, reasons = {}, []
        for index, counter in enumerate(self.counters):
            try:
                found[counter.domain] = consumed(self.samples, index, counter)
            except ValueError as error:
                reasons.append(f"{counter.domain}: {error}")
        return found, reasons

    def sum_up(self, idle: Span, load: Span) -> tuple[Energy | None, str | None]:
        """Return what was consumed over fio's span, and what a reader has to know of what is missing.

        Args:
            idle: between READY and fio.
            load: from fio's start to its end.
        """
        if self.source is None:
            return None, "; ".join(self.reasons)
        if not any(load[0] <= sample.monotonic_s <= load[1] for sample in self.samples):
            return None, SHORT
        found, reasons = self.consumption()
        domains = tuple(_domain(name, consumption, idle, load) for name, consumption in found.items())
        energy = Energy(self.source, load[1] - load[0], domains) if domains else None
        return energy, "; ".join([*self.reasons, *reasons]) or None

    def _perf(self, reasons: list[str]) -> Iterator[Counter]:
        folder = self._sysfs / "bus/event_source/devices/power"
        for event, domain in PERF_EVENTS.items():
            path = folder / "events" / event
            if not path.exists():
                continue
            try:
                kind, config, unit_j = _number(folder / "type"), _config(text(path)), _joules(path)
                for cpu, name in self._places(domain, _cpus(text(folder / "cpumask"))):
                    fd = self._open_event(kind, cpu, config)
                    self._open.callback(os.close, fd)
                    yield Counter(name, unit_j, partial(_event_value, fd))
            except (OSError, ValueError) as error:
                reasons.append(f"{domain}: {_why(error)}")

    def _places(self, domain: str, cpus: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Say on which CPUs a domain is counted, and what it is called there. The platform is one, whatever it has."""
        if domain == "psys":
            yield cpus[0], domain
            return
        topologies = [self._sysfs / f"devices/system/cpu/cpu{cpu}/topology" for cpu in cpus]
        packages = [_number(topology / "physical_package_id") for topology in topologies]
        for cpu, topology, package in zip(cpus, topologies, packages, strict=True):
            die = f"-die-{_number(topology / 'die_id')}" if packages.count(package) > 1 else ""
            yield cpu, f"{domain}-{package}{die}"

    def _powercap(self, reasons: list[str]) -> Iterator[Counter]:
        # Not intel-rapl-mmio:*, which is the same package once more.
        for zone in sorted((self._sysfs / "class/powercap").glob("intel-rapl:*")):
            try:
                name = text(zone / "name")
                if name == "dram":
                    name += text(zone.with_name(zone.name.rpartition(":")[0]) / "name").removeprefix("package")
                if name.startswith(("package", "dram", "psys")):
                    read = partial(_number, zone / "energy_uj")
                    read()  # raises now what it would raise later
                    yield Counter(name, 1e-6, read, _value(partial(_number, zone / "max_energy_range_uj")) or None)
            except (OSError, ValueError) as error:
                reasons.append(f"{zone.name}: {_why(error)}")


def consumed(samples: Sequence[EnergySample], index: int, counter: Counter) -> tuple[Consumed, ...]:
    """Undo the wraps of a counter, whose values have that index in each sample.

    Raises:
        ValueError: it cannot be known what was consumed; says why.
    """
    total, found, last = 0, [], None
    for sample in samples:
        value = sample.values[index]
        if value is None:
            raise ValueError("a sample could not be read")
        if last is not None:
            total += _step(*last, sample.monotonic_s, value, counter)
        last = sample.monotonic_s, value
        found.append(Consumed(sample.monotonic_s, total * counter.unit_j))
    return tuple(found)


def _domain(name: str, consumption: Sequence[Consumed], idle: Span, load: Span) -> EnergyDomain:
    joules, idle_joules = (series.increase(consumption, span, lambda at: at.joules) for span in (load, idle))
    idle_s = idle[1] - idle[0]
    return EnergyDomain(name, joules, joules / (load[1] - load[0]), idle_joules / idle_s if idle_s > 0 else None)


def _step(before_s: float, before: int, after_s: float, after: int, counter: Counter) -> int:
    """Return by how much a counter grew between two samples, if that can be told."""
    if counter.wraps_after is None:
        if after < before:
            raise ValueError("the counter went back, and at what value it wraps is not known")
        return after - before
    period = counter.wraps_after + 1
    if after_s - before_s > period * counter.unit_j / POWER_MAX_W:
        raise ValueError(f"{after_s - before_s:.0f} s passed between two samples: it may have wrapped more than once")
    return (after - before) % period


def _value(read: Callable[[], int]) -> int | None:
    try:
        return read()
    except (OSError, ValueError):
        return None


def _number(path: Path) -> int:
    return int(text(path))


def _event_value(fd: int) -> int:
    return int.from_bytes(os.read(fd, 8), "little")


def _config(event: str) -> int:
    found = re.fullmatch(r"event=(0x[0-9a-f]+)", event)
    if found is None:
        raise ValueError(f"event {event!r} is not understood")
    return int(found[1], 16)


def _joules(event: Path) -> float:
    unit = text(event.with_name(f"{event.name}.unit"))
    if unit != "Joules":
        raise ValueError(f"{event.name} is in {unit!r}, not in Joules")
    return float(text(event.with_name(f"{event.name}.scale")))


def _cpus(ranges: str) -> list[int]:
    """Read a list of CPUs, such as 0-1,18."""
    found: list[int] = []
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{error.filename}: {error.strerror} (only root may read energy since CVE-2020-8694)"
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
